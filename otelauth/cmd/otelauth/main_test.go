// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"otelauth": main})
}

// TestScripts runs the command as a shell would. Every password in the scripts is a canary,
// which no output holds.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/script")
}

// TestLongScripts runs many commands: every error of --check and of the users' files.
func TestLongScripts(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	scripts(t, "testdata/long")
}

func scripts(t *testing.T, dir string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mode": fileMode,
		},
	})
}

// fileMode asserts the mode of a file.
func fileMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm().String(); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}
