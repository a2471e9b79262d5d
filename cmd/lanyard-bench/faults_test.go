package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

func TestMain(m *testing.M) {
	if os.Getenv(asBench) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

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

// inTurn leads each request to another server.
func inTurn(w *world) func() string {
	turn := 0
	return func() string {
		turn++
		return w.servers[turn%len(w.servers)].address
	}
}

// TestInTurn signs in with each request sent to another server than the one
// before, tokens and claims included.
func TestInTurn(t *testing.T) {
	tr := &trial{program: built(t), report: t.Logf}
	err := tr.in(t.Context(), plan{people: 1}, func(w *world) error {
		for _, h := range []holder{w.crowd.holders[0], w.crowd.busy} {
			for name := range w.crowd.clients {
				t.Run("own rule: each request of a sign-in may meet another server: "+name+", "+h.uid, func(t *testing.T) {
					f := w.flow(0, w.client(name, &keyCache{name: name}))
					f.person.site, f.holder = w.siteTo(inTurn(w)), h
					if _, err := f.run(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		t.Run("own rule: each request of a sign-in may meet another server: with what is added at the account", func(t *testing.T) {
			c := w.client("ES256", &keyCache{})
			f := w.flow(0, c)
			f.person.site = w.siteTo(inTurn(w))
			_, err := f.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			h := f.holder
			if h.key, err = f.person.addKey(t.Context(), testkey.ES256); err != nil {
				t.Fatal(err)
			}
			if h.app, err = f.person.addCode(t.Context()); err != nil {
				t.Fatal(err)
			}
			byKey, byCode := w.flow(0, c), w.flow(0, c)
			byKey.way, byCode.way = byKey.useKey, byCode.useCode
			for _, f := range []*flow{byKey, byCode} {
				f.person.site, f.holder, f.params = w.siteTo(inTurn(w)), h, aal2
				if _, err := f.run(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
