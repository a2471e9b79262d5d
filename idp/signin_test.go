package idp_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

func TestSignIn(t *testing.T) {
	t.Run("X10: the answer to one question is worth one session, after its room forgot too", func(t *testing.T) {
		w := aWard(t)
		l := w.begin("a")
		w.mustSignIn(l)
		if _, secret, err := w.signIn(l, "once"); !errors.Is(err, authenticators.ErrAnswer) || secret != "" || w.sessions() != 1 {
			t.Errorf("the second time: %v, %d sessions; want ErrAnswer and 1", err, w.sessions())
		}
		if _, secret, err := w.signIn(w.begin("b"), "once"); !errors.Is(err, authenticators.ErrAnswer) || secret != "" {
			t.Errorf("at another login: %v, want ErrAnswer", err)
		}
		if _, _, err := w.signIn(w.begin("c"), "another"); err != nil {
			t.Errorf("another question: %v", err)
		}
	})
	t.Run("S2: of many who sign in at one login one wins, after Redis forgot too", func(t *testing.T) {
		w := aWard(t)
		l := w.begin("a")
		var wg sync.WaitGroup
		var won atomic.Int64
		for n := range 16 {
			wg.Go(func() {
				switch _, _, err := w.signIn(l, fmt.Sprint(n)); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, idp.ErrLoginGone):
					t.Errorf("SignIn: %v, want ErrLoginGone", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || w.sessions() != 1 {
			t.Errorf("%d signed in and %d sessions, want 1", won.Load(), w.sessions())
		}
		w.server.FlushAll()
		if _, secret, err := w.signIn(l, "later"); !errors.Is(err, idp.ErrLoginGone) || secret != "" || w.sessions() != 0 {
			t.Errorf("after Redis forgot: %v, want ErrLoginGone", err)
		}
	})
	t.Run("NIST SP 800-63B §4.3.3: a session keeps the limits that it was made with", func(t *testing.T) {
		w := aWard(t)
		w.logins.Timers = map[authenticators.Level]idp.Timers{authenticators.AAL3: {Idle: 5 * time.Minute}}
		s := w.mustSignIn(w.begin("a"))
		w.logins.Timers = nil
		w.pass(4 * time.Minute)
		if v := w.look(w.begin("b"), s); v.Session == nil {
			t.Error("it ended before its time")
		}
		w.pass(time.Minute)
		if v := w.look(w.begin("c"), s); v.Session != nil {
			t.Error("it outlived the limit that it was made with")
		}
	})
	t.Run("ASVS 7.4.1: a session that was ended stays ended, though Redis brings it back", func(t *testing.T) {
		w := aWard(t)
		first := w.mustSignIn(w.begin("a"))
		before, err := w.rdb.Dump(t.Context(), "session:"+first.Key).Result()
		if err != nil {
			t.Fatal(err)
		}
		evidence := authenticators.Evidence{Subject: nurse, Method: authenticators.Smartcard, Level: authenticators.AAL3, At: w.now, Once: "second"}
		if _, _, err := w.logins.SignIn(t.Context(), w.begin("b"), "request", evidence, first.Key); err != nil {
			t.Fatal(err)
		}
		if err := w.rdb.Restore(t.Context(), "session:"+first.Key, 0, before).Err(); err != nil {
			t.Fatal(err)
		}
		if v := w.look(w.begin("c"), first); v.Session != nil || v.Step != idp.Authenticate {
			t.Errorf("step %v with session %v, want a sign-in", v.Step, v.Session)
		}
	})
	t.Run("NIST SP 800-63B §4.3.3: choosing a role is an act, after which the session lives on", func(t *testing.T) {
		w := aWard(t)
		s := w.mustSignIn(w.begin("a"))
		w.pass(14 * time.Minute)
		v, err := w.logins.ChooseRole(t.Context(), w.look(w.begin("b"), s), "request", "1")
		if err != nil || v.Step != idp.Return || v.Err != nil || v.Role.Role != "1" {
			t.Fatalf("ChooseRole: step %v with role %q, %v; want the end", v.Step, v.Role.Role, err)
		}
		w.pass(14 * time.Minute)
		if v := w.look(w.begin("c"), s); v.Step != idp.Return || v.Role.Role != "1" {
			t.Errorf("step %v with role %q, want the end with role 1", v.Step, v.Role.Role)
		}
		w.pass(time.Minute)
		if v := w.look(w.begin("d"), s); v.Step != idp.Authenticate {
			t.Errorf("step %v 15 minutes after the act, want a sign-in", v.Step)
		}
	})
}
