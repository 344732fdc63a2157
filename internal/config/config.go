// Package config reads posrecon's configuration: a strict YAML file, the environment and the defaults. Flags, which
// outrank all three, are cmd's. It knows what may be configured, not what is done with it.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v4"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// Config is everything that can be configured, validated.
type Config struct {
	DatabaseURL string
	DataDir     string
	Inbox       string
	Out         string
	Lang        string
	Zone        *time.Location
	Schedule    []string // cron specs in Zone
	Acquirers   recon.Acquirers
	Aliases     map[string]map[string]string
	Profiles    []string // files and folders of the user's own formats
	Weights     string   // file of weights of causes, "" for those that ship
}

// file is the YAML document; a key that it does not have is an error.
type file struct {
	DatabaseURL string              `yaml:"database_url"`
	DataDir     string              `yaml:"data_dir"`
	Inbox       string              `yaml:"inbox"`
	Out         string              `yaml:"out"`
	Lang        string              `yaml:"lang"`
	TimeZone    string              `yaml:"time_zone"`
	Schedule    []string            `yaml:"schedule"`
	Profiles    []string            `yaml:"profiles"`
	Weights     string              `yaml:"weights"`
	Acquirers   map[string]acquirer `yaml:"acquirers"`
}

type acquirer struct {
	CutOff           string            `yaml:"cut_off"`
	Deadline         string            `yaml:"file_deadline"`
	Cycle            string            `yaml:"settle_cycle"`
	Tolerance        string            `yaml:"tolerance"`
	Contact          string            `yaml:"contact"`
	Aliases          map[string]string `yaml:"merchant_aliases"`
	BankNames        []string          `yaml:"bank_names"`
	FeeRate          string            `yaml:"fee_rate"`
	MerchantFeeRates map[string]string `yaml:"merchant_fee_rates"`
	FeeRounding      string            `yaml:"fee_rounding"`
}

// fees reads the contracted fees.
func (a acquirer) fees(acq *recon.Acquirer) error {
	if a.FeeRate != "" {
		rate, err := parseRate(a.FeeRate)
		if err != nil {
			return fmt.Errorf("fee_rate: %w", err)
		}
		acq.FeeRate = decimal.NewNullDecimal(rate)
	}
	for merchant, text := range a.MerchantFeeRates {
		rate, err := parseRate(text)
		if err != nil {
			return fmt.Errorf("merchant_fee_rates.%s: %w", merchant, err)
		}
		if acq.MerchantFeeRates == nil {
			acq.MerchantFeeRates = map[string]decimal.Decimal{}
		}
		acq.MerchantFeeRates[merchant] = rate
	}
	switch a.FeeRounding {
	case "", "line":
	case "batch":
		acq.FeePerBatch = true
	default:
		return fmt.Errorf("fee_rounding: %q is neither line nor batch", a.FeeRounding)
	}
	return nil
}

// parseRate reads 0.38%, from 0 to 10 %: no acquirer takes more, and 0.38 without the sign would be one.
func parseRate(s string) (decimal.Decimal, error) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(s), "%")
	rate, err := decimal.NewFromString(digits)
	if !ok || err != nil || rate.IsNegative() || rate.GreaterThan(decimal.NewFromInt(10)) || rate.Exponent() < -6 {
		return decimal.Decimal{}, fmt.Errorf("%q is not a rate from 0%% to 10%% such as 0.38%%", s)
	}
	return rate.Shift(-2), nil
}

// maxFileBytes bounds a configuration: a thousand acquirers with a hundred aliases each fit.
const maxFileBytes = 4 << 20

var acquirerID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Load reads the file at path (none where path is ""), then the environment.
func Load(path string, getenv func(string) string) (Config, error) {
	var f file
	if path != "" {
		r, err := os.Open(path)
		if err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		defer r.Close()
		text, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
		if err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
		if len(text) > maxFileBytes {
			return Config{}, fmt.Errorf("configuration %s: larger than %d MiB", path, maxFileBytes>>20)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
		if err := decoder.Decode(new(file)); !errors.Is(err, io.EOF) {
			return Config{}, fmt.Errorf("configuration %s: more than one document", path)
		}
	}
	c, err := f.validate()
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	if v := getenv("POSRECON_DATABASE_URL"); v != "" {
		c.DatabaseURL = v
	}
	if v := getenv("POSRECON_DATA_DIR"); v != "" {
		c.DataDir = v
	}
	if c.DataDir == "" {
		if c.DataDir, err = defaultDataDir(getenv); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

func (f file) validate() (Config, error) {
	c := Config{
		DatabaseURL: f.DatabaseURL, DataDir: f.DataDir, Inbox: f.Inbox, Out: f.Out, Lang: f.Lang, Schedule: f.Schedule,
		Profiles: f.Profiles, Weights: f.Weights, Acquirers: recon.Acquirers{}, Aliases: map[string]map[string]string{},
	}
	if c.Lang == "" {
		c.Lang = "en"
	}
	if c.Lang != "en" && c.Lang != "zh" {
		return Config{}, fmt.Errorf("lang %q is neither en nor zh", c.Lang)
	}
	zone := f.TimeZone
	if zone == "" {
		zone = "Asia/Shanghai"
	}
	var err error
	if c.Zone, err = time.LoadLocation(zone); err != nil {
		return Config{}, fmt.Errorf("time_zone %q is not known", zone)
	}
	for id, a := range f.Acquirers {
		if !acquirerID.MatchString(id) {
			return Config{}, fmt.Errorf("acquirers: %q is not an id of lower-case letters, digits, - and _", id)
		}
		acq := recon.DefaultAcquirer(id)
		acq.Contact = a.Contact
		if err := a.fees(&acq); err != nil {
			return Config{}, fmt.Errorf("acquirers.%s.%w", id, err)
		}
		for _, name := range a.BankNames {
			if len(strings.TrimSpace(name)) < 4 {
				return Config{}, fmt.Errorf("acquirers.%s.bank_names: %q is too short to tell anybody apart", id, name)
			}
			acq.BankNames = append(acq.BankNames, name)
		}
		if a.CutOff != "" {
			if acq.CutOff, err = calendar.ParseClock(a.CutOff); err != nil {
				return Config{}, fmt.Errorf("acquirers.%s.cut_off: %w", id, err)
			}
		}
		if a.Deadline != "" {
			if acq.Deadline, err = calendar.ParseClock(a.Deadline); err != nil {
				return Config{}, fmt.Errorf("acquirers.%s.file_deadline: %w", id, err)
			}
		}
		if a.Cycle != "" {
			if acq.Cycle, err = recon.ParseCycle(strings.ToUpper(a.Cycle)); err != nil {
				return Config{}, fmt.Errorf("acquirers.%s.settle_cycle: %w", id, err)
			}
		}
		if a.Tolerance != "" {
			if acq.Tolerance, err = decimal.NewFromString(a.Tolerance); err != nil || acq.Tolerance.IsNegative() || acq.Tolerance.Exponent() < -2 {
				return Config{}, fmt.Errorf("acquirers.%s.tolerance: %q is not an amount in yuan", id, a.Tolerance)
			}
		}
		c.Acquirers[id] = acq
		if len(a.Aliases) > 0 {
			for from, to := range a.Aliases {
				if _, chained := a.Aliases[to]; chained || from == to {
					return Config{}, fmt.Errorf("acquirers.%s.merchant_aliases: %q stands for %q, which is an alias itself", id, from, to)
				}
			}
			c.Aliases[id] = a.Aliases
		}
	}
	return c, nil
}

// defaultDataDir is /var/lib/posrecon for root, else the user's data directory.
func defaultDataDir(getenv func(string) string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/posrecon", nil
	}
	if dir := getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "posrecon"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("no data directory: set POSRECON_DATA_DIR, or --data-dir")
	}
	return filepath.Join(home, ".local", "share", "posrecon"), nil
}

// Contact returns whom to call at an acquirer: the configured contact, else its public service line.
func (c Config) Contact(acquirer string) string {
	if a, ok := c.Acquirers[acquirer]; ok && a.Contact != "" {
		return a.Contact
	}
	if line, ok := recon.KnownAcquirers[acquirer]; ok {
		return line
	}
	return acquirer
}
