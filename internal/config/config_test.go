package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// environment is a getenv of its own.
func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// home is an environment in which every default can be found.
var home = environment(map[string]string{"HOME": "/home/li"})

// same compares what cmp cannot look into: cycles as they are, time zones by name.
var same = cmp.Options{
	cmp.Comparer(func(a, b recon.Cycle) bool { return a == b }),
	cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
}

func TestGood(t *testing.T) {
	t.Parallel()
	got, err := Load("testdata/conf.good.yml", home)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Asia/Urumqi")
	if err != nil {
		t.Fatal(err)
	}
	own := recon.DefaultAcquirer("own-bank_2")
	own.CutOff, own.Cycle = 24*time.Hour, recon.TPlus(0)
	want := Config{
		DatabaseURL: "postgres://posrecon@db.example:5432/posrecon", DataDir: "/srv/posrecon/data",
		Inbox: "/srv/posrecon/inbox", Out: "/srv/posrecon/out", Weights: "/srv/posrecon/weights.csv", Lang: "zh", Zone: zone,
		Schedule: []string{"30 10 * * *", "30 16 * * *"},
		Acquirers: recon.Acquirers{
			"lakala": {ID: "lakala", CutOff: 22*time.Hour + 30*time.Minute, Deadline: 9 * time.Hour, Cycle: recon.DPlus(1),
				Tolerance: decimal.RequireFromString("0.10"), Contact: "Lakala 95016, contract 88-1234"},
			"own-bank_2": own,
			"shengpay":   recon.DefaultAcquirer("shengpay"),
		},
		// Ids are text, zeros and all, however YAML would read a number.
		Aliases: map[string]map[string]string{"lakala": {"0001": "0822", "M1": "M2", "M3": "M2"}},
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// With nothing configured the contract's defaults hold.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "testdata/conf.empty.yml", "testdata/conf.only-comments.yml"} {
		got, err := Load(path, environment(map[string]string{"POSRECON_DATA_DIR": "/data"}))
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		want := Config{DataDir: "/data", Lang: "en", Zone: time.FixedZone("Asia/Shanghai", 8*60*60), Acquirers: recon.Acquirers{}, Aliases: map[string]map[string]string{}}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
		lakala := got.Acquirers.Get("lakala")
		if lakala.CutOff != 23*time.Hour || lakala.Deadline != 10*time.Hour || lakala.Cycle != recon.TPlus(1) || !lakala.Tolerance.IsZero() {
			t.Errorf("%q: lakala's rules are %+v", path, lakala)
		}
	}
}

// Each file is named for what is wrong with it, and the error says so.
func TestBad(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"unknown-key":                `field inbux not found`,
		"unknown-key-of-an-acquirer": `field cutoff not found`,
		"key-given-twice":            `"inbox" already defined`,
		"acquirer-given-twice":       `"lakala" already defined`,
		"two-documents":              `more than one document`,
		"no-yaml":                    `did not find expected`,
		"list-instead-of-map":        `cannot`,
		"text-instead-of-list":       `cannot`,
		"lang-unknown":               `lang "fr" is neither en nor zh`,
		"time-zone-unknown":          `time_zone "Asia/Peking" is not known`,
		"cut-off-beyond-the-day":     `acquirers.lakala.cut_off: time of day "24:01" is not HH:MM from 00:00 to 24:00`,
		"cut-off-without-minutes":    `acquirers.lakala.cut_off: time of day "23" is not HH:MM from 00:00 to 24:00`,
		"deadline-with-seconds":      `acquirers.lakala.file_deadline: time of day "10:00:00" is not HH:MM from 00:00 to 24:00`,
		"cycle-unknown":              `acquirers.lakala.settle_cycle: `,
		"cycle-too-long":             `acquirers.lakala.settle_cycle: `,
		"tolerance-negative":         `acquirers.lakala.tolerance: "-0.01" is not an amount in yuan`,
		"tolerance-three-decimals":   `acquirers.lakala.tolerance: "0.005" is not an amount in yuan`,
		"tolerance-no-amount":        `acquirers.lakala.tolerance: "1%" is not an amount in yuan`,
		"acquirer-upper-case":        `acquirers: "Lakala" is not an id of lower-case letters, digits, - and _`,
		"acquirer-with-a-blank":      `acquirers: "la kala" is not an id of lower-case letters, digits, - and _`,
		"alias-of-itself":            `acquirers.lakala.merchant_aliases: "M1" stands for "M1", which is an alias itself`,
		"alias-of-an-alias":          `acquirers.lakala.merchant_aliases: "M1" stands for "M2", which is an alias itself`,
		"not-utf-8":                  `UTF-8`,
	}
	paths, err := filepath.Glob("testdata/conf.*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "conf."), ".yml")
		if name == "good" || name == "empty" || name == "only-comments" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			wrong, ok := want[name]
			if !ok {
				t.Fatal("this test does not say what is wrong with it")
			}
			delete(want, name)
			c, err := Load(path, home)
			if err == nil {
				t.Fatalf("it was taken: %+v", c)
			}
			if !strings.HasPrefix(err.Error(), "configuration "+path+": ") || !strings.Contains(err.Error(), wrong) {
				t.Errorf("error %q, want one that names the file and says %q", err, wrong)
			}
		})
	}
	for name := range want {
		t.Errorf("there is no testdata/conf.%s.yml", name)
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"testdata/nowhere.yml": "configuration: open testdata/nowhere.yml: no such file or directory",
		"testdata":             "configuration testdata: read testdata: is a directory",
	} {
		if _, err := Load(path, home); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	large := filepath.Join(t.TempDir(), "large.yml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# more\n", maxFileBytes/7+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, home); err == nil || !strings.HasSuffix(err.Error(), ": larger than 4 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

// The environment outranks the file; what it leaves empty it does not say.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ url, dir, wantURL, wantDir string }{
		"nothing": {"", "", "postgres://posrecon@db.example:5432/posrecon", "/srv/posrecon/data"},
		"both":    {"postgres://elsewhere/db", "/elsewhere", "postgres://elsewhere/db", "/elsewhere"},
		"one":     {"", "/elsewhere", "postgres://posrecon@db.example:5432/posrecon", "/elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load("testdata/conf.good.yml", environment(map[string]string{"POSRECON_DATABASE_URL": tt.url, "POSRECON_DATA_DIR": tt.dir}))
			if err != nil {
				t.Fatal(err)
			}
			if c.DatabaseURL != tt.wantURL || c.DataDir != tt.wantDir {
				t.Errorf("database %s and data %s, want %s and %s", c.DatabaseURL, c.DataDir, tt.wantURL, tt.wantDir)
			}
		})
	}
}

// Root's data lie in /var/lib, a user's where users' data lie.
func TestDefaultDataDir(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		vars map[string]string
		user string // what an ordinary user gets; "" for an error
	}{
		"home":     {map[string]string{"HOME": "/home/li"}, "/home/li/.local/share/posrecon"},
		"XDG":      {map[string]string{"HOME": "/home/li", "XDG_DATA_HOME": "/data/li"}, "/data/li/posrecon"},
		"homeless": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := tt.user
			if os.Geteuid() == 0 {
				want = "/var/lib/posrecon"
			}
			c, err := Load("", environment(tt.vars))
			if want == "" {
				if err == nil || !strings.Contains(err.Error(), "POSRECON_DATA_DIR") {
					t.Errorf("data in %q, error %v; want one that says what to set", c.DataDir, err)
				}
				return
			}
			if err != nil || c.DataDir != want {
				t.Errorf("data in %q, want %q (%v)", c.DataDir, want, err)
			}
		})
	}
}

// Whom to call: the configured contact, else the public line, else just who it is.
func TestContact(t *testing.T) {
	t.Parallel()
	c := Config{Acquirers: recon.Acquirers{"lakala": {Contact: "Ms Wang"}, "chinaums": {}}}
	for acquirer, want := range map[string]string{"lakala": "Ms Wang", "chinaums": "ChinaUMS 95534", "alipay": "Alipay 95188", "own-bank": "own-bank"} {
		if got := c.Contact(acquirer); got != want {
			t.Errorf("contact of %s: %q, want %q", acquirer, got, want)
		}
	}
}
