package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Two servers that want the same two things take them in the same order, or
// each would wait for the other until PostgreSQL ends one of them.
func TestOneCodeForTwo(t *testing.T) {
	url := newDatabase(t, "")
	if err := Migrate(t.Context(), url, silent); err != nil {
		t.Fatal(err)
	}
	const uid = "555000000101"
	here, there := openAt(t, url), openAt(t, url)
	exec(t, here, `INSERT INTO people (uid, email, profile) VALUES ('`+uid+`', 'a@ward.example', 'verified')`)
	password := authenticators.Authenticator{ID: "p1", Subject: uid, Kind: authenticators.CodeKind, Handle: uid, Method: authenticators.TOTP,
		Level: authenticators.AAL2, State: authenticators.Active, AddedAt: time.Now(), Record: json.RawMessage(`{"hash":"old"}`), Mark: json.RawMessage(`{"step":0}`)}
	if err := here.AddAuthenticator(t.Context(), password, anActOf(idp.AuthenticatorAdded, "a")); err != nil {
		t.Fatal(err)
	}
	held := func() authenticators.Authenticator {
		t.Helper()
		h, err := here.ByHandle(t.Context(), authenticators.CodeKind, uid)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	change := func(h authenticators.Authenticator, step int) error {
		act := anActOf(idp.PasswordChanged, "change")
		act.Event.Use = &authenticators.Use{ID: h.ID, Mark: fmt.Appendf(nil, `{"step":%d}`, step), Was: h.Mark}
		act.Fences = []idp.Fence{{Kind: idp.ChallengeFence, Hash: fmt.Sprint("step ", step)}}
		return here.KeepRecord(t.Context(), uid, h.ID, json.RawMessage(`{"hash":"new"}`), act)
	}
	t.Run("A2: of a new password at one server and a sign-in at another, with one code, one happens and neither is an outage", func(t *testing.T) {
		for step := 1; step <= 60; step++ {
			h := held()
			var changed, signedIn error
			var wg sync.WaitGroup
			wg.Go(func() { changed = change(h, step) })
			wg.Go(func() {
				e := idp.Event{At: time.Now(), Kind: idp.SignedIn, Subject: uid, Use: &authenticators.Use{ID: h.ID, Mark: fmt.Appendf(nil, `{"step":%d}`, step), Was: h.Mark}}
				signedIn = there.Record(t.Context(), e, idp.Fence{Kind: idp.ChallengeFence, Hash: fmt.Sprint("step ", step)}, idp.Fence{Kind: idp.LoginFence, Hash: fmt.Sprint("login ", step)})
			})
			wg.Wait()
			if errors.Is(changed, idp.ErrUnavailable) || errors.Is(signedIn, idp.ErrUnavailable) || (changed == nil) == (signedIn == nil) {
				t.Fatalf("the change: %v; the sign-in: %v", changed, signedIn)
			}
		}
	})
	t.Run("A9: who judged a password before it was reported as lost does not bring it back", func(t *testing.T) {
		h := held()
		if err := there.StopAuthenticator(t.Context(), uid, h.ID, anActOf(idp.AuthenticatorSuspended, "lost")); err != nil {
			t.Fatal(err)
		}
		if err := change(h, 1000); err == nil {
			t.Error("the password was changed")
		}
		if got := held(); got.State != authenticators.Suspended || string(got.Record) == `{"hash": "late"}` {
			t.Errorf("it is %s with %s", got.State, got.Record)
		}
	})
}
