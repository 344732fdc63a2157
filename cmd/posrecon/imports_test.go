package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/posrecon/posrecon/"

// mayImport is ARCHITECTURE's picture: what each package may import of this module. A package that is not in it may
// not exist.
var mayImport = map[string][]string{
	"internal/recon":            {},
	"internal/calendar":         {"internal/recon"},
	"internal/archive":          {},
	"internal/charset":          {},
	"internal/sheet":            {},
	"internal/profile":          {"internal/recon"},
	"internal/statement":        {"internal/recon", "internal/charset", "internal/sheet", "internal/profile"},
	"migrations":                {},
	"testdata/demo":             {},
	"internal/config":           {"internal/recon", "internal/calendar"},
	"internal/postgres":         {"internal/recon", "internal/calendar", "migrations"},
	"internal/postgres/private": {},
	"internal/ingest":           {"internal/recon", "internal/calendar", "internal/archive", "internal/profile", "internal/statement", "internal/postgres"},
	"internal/match":            {"internal/recon", "internal/calendar", "internal/postgres"},
	"internal/codes":            {"internal/recon"},
	"internal/classify":         {"internal/recon", "internal/codes"},
	"internal/cases":            {"internal/recon"},
	"internal/export":           {"internal/recon", "internal/classify", "internal/postgres"},
	"internal/check":            {"internal/match", "internal/classify", "internal/postgres"},
	"internal/retention":        {"internal/recon", "internal/postgres", "internal/match"},
	"internal/schedule":         {},
	"internal/simulate":         {"internal/recon", "internal/calendar"},
	"internal/evaluate":         {"internal/recon", "internal/postgres", "internal/pipeline", "internal/simulate"},
	"internal/testdb":           {"internal/postgres", "internal/postgres/private", "migrations"},
	"internal/pipeline": {"internal/recon", "internal/calendar", "internal/config", "internal/postgres", "internal/profile", "internal/ingest",
		"internal/match", "internal/classify", "internal/cases", "internal/export", "internal/retention"},
}

// The stages know the nouns, never the next stage; only cmd joins everything.
func TestImportDirections(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "cmd/posrecon" {
			continue
		}
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("package %s is not in the picture", name)
			continue
		}
		for _, path := range p.Imports {
			if own, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which points the wrong way", name, own)
			}
		}
	}
}

// Money is decimal: no package that carries it uses binary floating point, but for a spreadsheet's own number cells.
func TestNoFloatsNearMoney(t *testing.T) {
	out, err := exec.Command("grep", "-rnE", `\bfloat(32|64)\b`, "--include=*.go", "--exclude=*_test.go",
		"../../internal/recon", "../../internal/statement", "../../internal/ingest", "../../internal/match", "../../internal/export").Output()
	if len(out) > 0 {
		t.Errorf("floats where money may be:\n%s", out)
	} else if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
		t.Fatal(err)
	}
}

// The go command passes over testdata, so nothing else would tell that the benchmark no longer builds.
func TestBenchmarkBuilds(t *testing.T) {
	if out, err := exec.Command("go", "vet", "../../testdata/bench").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
