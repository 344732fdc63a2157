package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posrecon/posrecon/internal/testdb"
)

// withDatabase ends the package's tests as testdb wants it: the last package out stops the server.
type withDatabase struct{ m *testing.M }

func (w withDatabase) Run() int { return testdb.Main(w.m) }

// The test binary under the name posrecon is the program itself: scripts, and tests that start it, run what main runs.
func TestMain(m *testing.M) {
	testscript.Main(withDatabase{m}, map[string]func(){"posrecon": main})
}
