package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
)

// linkedTo is a registry in which one account is linked, and the questions that
// are open.
type linkedTo struct {
	handle, subject string
	questions       sync.Map
}

func (l *linkedTo) Ask(_ context.Context, name string, question []byte, _ time.Time) error {
	l.questions.Store(name, question)
	return nil
}

func (l *linkedTo) Take(_ context.Context, name string, _ time.Time) ([]byte, error) {
	if q, ok := l.questions.LoadAndDelete(name); ok {
		b, _ := q.([]byte)
		return b, nil
	}
	return nil, authenticators.ErrAnswer
}

func (l *linkedTo) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	if handle != l.handle {
		return authenticators.Authenticator{}, authenticators.ErrNotHeld
	}
	return authenticators.Authenticator{ID: "a1", Kind: kind, Subject: l.subject, State: authenticators.Active, Level: authenticators.AAL2}, nil
}

func (l *linkedTo) HeldBy(context.Context, string) ([]authenticators.Authenticator, error) {
	return nil, errors.New("nobody should ask")
}

// otherProcess runs `lanyard dev` as a process of its own, which signs everybody
// in as one person of the demo directory.
func otherProcess(t *testing.T) running {
	t.Helper()
	cmd := program(t, nil, "dev", "--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0", "--seed", seed(t), "--auto-login", oneRole)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = log.Close()
	})
	return ready(t, out, log.Name())
}

func TestUpstreamProcess(t *testing.T) {
	other := otherProcess(t)
	people := &linkedTo{handle: other.issuer + " " + oneRole, subject: fiveRoles}
	login := authenticators.Login{ID: "login-a", Browser: strings.Repeat("b", 43), ClientID: "demo-rp"}
	signIn := func(t *testing.T, proof federated.Proof) (authenticators.Evidence, error) {
		t.Helper()
		room, err := federated.New(federated.Config{Issuer: other.issuer, ClientID: "basic", ClientSecret: clientSecret, RedirectURI: callback, LinkURI: callback + "?tenant=a%20b",
			AAL2: proof, HTTP: &http.Client{}, Questions: people, Held: people, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		question, err := room.Begin(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		var asked struct{ URL string }
		if err := json.Unmarshal(question, &asked); err != nil {
			t.Fatal(err)
		}
		p := newPerson(t)
		p.open(asked.URL)
		answer := map[string]string{}
		for name, values := range p.answer() {
			answer[name] = values[0]
		}
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		return room.Finish(t.Context(), login, raw)
	}
	t.Run("federation: somebody signs in at another provider, in another process", func(t *testing.T) {
		e, err := signIn(t, federated.Proof{ACR: []string{"AAL3_ANY"}})
		if err != nil || e.Subject != fiveRoles || e.Level != authenticators.AAL2 || e.Method != authenticators.Federated || time.Since(e.At) > time.Minute {
			t.Errorf("Finish() = %+v, %v", e, err)
		}
	})
	t.Run("RFC 8176 §2: what that provider says proves nothing where nobody configured it", func(t *testing.T) {
		if e, err := signIn(t, federated.Proof{}); !errors.Is(err, federated.ErrWeak) {
			t.Errorf("Finish() = %+v, %v; want ErrWeak", e, err)
		}
	})
}
