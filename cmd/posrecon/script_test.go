package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/posrecon/posrecon/internal/testdb"
)

var update = flag.Bool("update", false, "write the expected output in testdata/script anew; review the difference")

// TestScript runs the scripts of testdata/script, each with a fresh database in POSRECON_DATABASE_URL and the casebook in
// $CASEBOOK. -update writes what they compare with anew.
func TestScript(t *testing.T) {
	t.Parallel()
	casebook, err := filepath.Abs("../../internal/pipeline/testdata/casebook")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		ContinueOnError:     true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("POSRECON_DATABASE_URL", testdb.New(env.T().(testing.TB)))
			// A script that forgot its database must not start a server in the user's own data directory.
			env.Setenv("POSRECON_DATA_DIR", filepath.Join(env.WorkDir, "no", "private", "server"))
			env.Setenv("CASEBOOK", casebook)
			env.Values[lockKey{}] = &heldLock{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exit":    exitCmd,
			"bare":    bareCmd,
			"column":  columnCmd,
			"totals":  totalsCmd,
			"xlsx":    xlsxCmd,
			"sql":     sqlCmd,
			"lock":    lockCmd,
			"unlock":  unlockCmd,
			"waiting": waitingCmd,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "tmpfs" {
				return canMount(), nil
			}
			return false, fmt.Errorf("there is no condition %q", cond)
		},
	})
}

// canMount tells whether a test may mount a small file system that nobody but itself sees.
func canMount() bool {
	return exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", os.TempDir()).Run() == nil
}
