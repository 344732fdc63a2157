package export

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/classify"
)

// Evidence is read as encoding/json reads it, whatever was read into the same memory before.
func TestReadEvidence(t *testing.T) {
	t.Parallel()
	var memory []classify.Evidence
	same := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, stored string) {
		t.Helper()
		var want []classify.Evidence
		werr := json.Unmarshal([]byte(stored), &want)
		got, err := readEvidence(memory, stored)
		if (err != nil) != (werr != nil) {
			t.Fatalf("%s: %v, encoding/json: %v", stored, err, werr)
		}
		if err != nil {
			return
		}
		memory = got
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (- as by encoding/json):\n%s", stored, diff)
		}
	}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"`, `\`, "a.csv:1", "<b>", "付款码无效", "},{", `","en":"`}))
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) classify.Evidence {
			return classify.Evidence{Family: text.Draw(t, "family"), EN: text.Draw(t, "en"), ZH: text.Draw(t, "zh"), Source: text.Draw(t, "source"), Decibans: rapid.Int().Draw(t, "db")}
		}), 0, 3).Draw(t, "list")
		stored, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		same(t, string(stored))
		// Damaged, it is refused where encoding/json refuses it.
		at := rapid.IntRange(0, len(stored)-1).Draw(t, "at")
		same(t, string(stored[:at])+rapid.SampledFrom([]string{"", " ", "0", "\"", "}", "]", "\n", "\x01", "\x7f", "\xff"}).Draw(t, "put in")+string(stored[at+rapid.IntRange(0, 1).Draw(t, "taken out"):]))
	})
	for _, stored := range []string{
		`[{"en": "spaced", "db": 1}]`, `[{"db":1,"en":"another order"}]`, `[{}]`, `null`, `[]`, ``,
		`[{"family":"a","en":"b","zh":"c","source":"d","db":+1}]`, `[{"family":"a","en":"b","zh":"c","source":"d","db":01}]`,
		`[{"family":"a","en":"b","zh":"c","source":"d","db":1},]`, `[{"family":"a","en":"b","zh":"c","source":"d","db":1}`,
		`[{"family":"a","en":"b","zh":"c","source":"d","db":1}]]`,
	} {
		same(t, stored)
	}
}

// What posrecon stores is read without encoding/json.
func TestReadSentence(t *testing.T) {
	t.Parallel()
	want := classify.Evidence{Family: "status", EN: "the POS says FAILED", ZH: "POS 记为 FAILED", Source: "pos.csv:7", Decibans: -12}
	stored, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, ok := readSentence(string(stored) + ",{")
	if diff := cmp.Diff(want, got); !ok || diff != "" || !strings.HasPrefix(rest, ",") {
		t.Errorf("read %v, left %q, difference (-want +got):\n%s", ok, rest, diff)
	}
}
