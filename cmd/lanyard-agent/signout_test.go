package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestSignOutCommand(t *testing.T) {
	for _, tt := range []struct {
		rule string
		ends error
		says string
		want string // of the error
	}{
		{"own rule: who signs out is told so", nil, "Signed out", ""},
		{"own rule: who signs out is told that the bridge did not hear of it", errors.New("the bridge does not answer"), "", "the bridge did not say that it ended it"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			folder, err := os.MkdirTemp("", "desk") // a test's own folder may have too long a name for a socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			t.Setenv("XDG_RUNTIME_DIR", folder)
			path, err := socketPath(os.Getenv)
			if err != nil {
				t.Fatal(err)
			}
			s := newSession(path, func(context.Context, string) {})
			s.leaves = func(context.Context) error { return tt.ends }
			ctx, stop := context.WithCancel(t.Context())
			ready, ended := make(chan struct{}), make(chan error, 1)
			go func() { ended <- s.stay(ctx, func() { close(ready) }) }()
			select {
			case <-ready:
			case err := <-ended:
				t.Fatal(err)
			}
			cmd, out := signOutCommand(), &bytes.Buffer{}
			cmd.SetArgs([]string{})
			cmd.SetOut(out)
			cmd.SetErr(out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			err = cmd.ExecuteContext(t.Context())
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(out.String(), tt.says) || tt.says == "" && out.Len() > 0 {
				t.Errorf("%v; it says %q", err, out)
			}
			stop()
			<-ended
		})
	}
}
