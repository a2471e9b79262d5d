package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built is the server under test, for all scenarios.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "lanyard")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../lanyard")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("build the server: %v", err)
	}
	return program
}

// TestFaults runs every scenario with the short numbers. The full ones are
// `make faults`.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two minutes")
	}
	program := built(t)
	for _, s := range scenarios() {
		t.Run(s.name+": "+s.rule, func(t *testing.T) {
			if err := s.run(t.Context(), &trial{program: program, source: "../..", report: t.Logf}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInTurn signs in by card with each request sent to another server than
// the one before, tokens and claims included.
func TestInTurn(t *testing.T) {
	tr := &trial{program: built(t), report: t.Logf}
	err := tr.in(t.Context(), plan{people: 1}, func(w *world) error {
		for _, h := range []holder{w.crowd.holders[0], w.crowd.busy} {
			for name := range w.crowd.clients {
				t.Run("own rule: each request of a sign-in may meet another server: "+name+", "+h.uid, func(t *testing.T) {
					f := w.flow(0, w.client(name, &keyCache{name: name}))
					turn := 0
					inTurn := func() string {
						turn++
						return w.servers[turn%len(w.servers)].address
					}
					f.person.site, f.holder = w.siteTo(inTurn), h
					if _, err := f.run(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
