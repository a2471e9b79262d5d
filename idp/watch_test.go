package idp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/memory"
)

// watching is a ward whose application is told when sessions end.
type watching struct {
	*ward
	lookout  *idp.Lookout
	registry *memory.Store
}

func aWatch(t *testing.T) watching {
	t.Helper()
	w := aWard(t)
	registry, ok := w.grants.Journal.(*memory.Store)
	if !ok {
		t.Fatal("the ward has another journal")
	}
	told := clients{"ward": {ID: "ward", MinLevel: authenticators.AAL1, BackchannelLogoutURI: "https://ward.example/out"}}
	w.grants.Clients, w.logins.Clients = told, told
	return watching{w, &idp.Lookout{Watches: registry, Sessions: w.live, Own: w.live, People: w.people, Fences: registry, Now: w.grants.Now}, registry}
}

// token is one of who signed in to s.
func (w watching) token(s idp.Session) string {
	w.t.Helper()
	g := idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: []string{"openid"}, SessionID: s.ID, SessionKey: s.Key, AuthTime: s.AuthTime,
		Level: s.Level, Authenticator: s.Authenticator}
	if err := w.live.SaveCode(w.t.Context(), aCode, g, w.now.Add(idp.CodeLife)); err != nil {
		w.t.Fatal(err)
	}
	return w.mustRedeem()
}

func (w watching) look() {
	w.t.Helper()
	if _, err := w.lookout.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// told are the sessions that the application has to be told the end of.
func (w watching) told() (sids []string) {
	w.t.Helper()
	all, err := w.registry.LastLogouts(w.t.Context(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range all {
		sids = append(sids, l.SID)
	}
	return sids
}

// wantTold checks whether the application was told, and the last event.
func (w watching) wantTold(sid, reason string) {
	w.t.Helper()
	events := w.events()
	if told := w.told(); len(told) != 1 || told[0] != sid {
		w.t.Errorf("told of %q, want %q", told, sid)
	}
	if e := events[len(events)-1]; e.Kind != idp.SessionEnded || e.Reason != reason || e.Session != sid || e.Subject != nurse {
		w.t.Errorf("the journal ends with %+v, want %s", e, reason)
	}
}

// again signs the nurse in once more at the browser with session s.
func (w watching) again(s idp.Session, once string) idp.Session {
	w.t.Helper()
	next, _, err := w.logins.SignIn(w.t.Context(), w.begin(once), "request", w.evidence(once), s.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return next
}

func TestLookout(t *testing.T) {
	t.Run("S4: a session that nobody uses any more is told of, when it is over and not before, and its tokens live on", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		token := w.token(s)
		w.look()
		w.pass(idp.FirstLook)
		w.look()
		w.pass(14 * time.Minute)
		s.LastAct = w.now
		if err := w.live.UpdateSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.look()
		w.pass(14*time.Minute - time.Second)
		w.look()
		if told := w.told(); len(told) != 0 {
			t.Fatalf("told of %q while it lives", told)
		}
		w.pass(time.Second)
		w.look()
		w.wantTold(s.ID, idp.EndExpired)
		w.wantHolder(token, nil)
		w.look()
		w.wantTold(s.ID, idp.EndExpired)
	})
	t.Run("S3: and one that has lived as long as it may", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		w.token(s)
		for w.now.Sub(s.AuthTime) < 12*time.Hour-10*time.Minute {
			w.pass(10 * time.Minute)
			s.LastAct = w.now
			if err := w.live.UpdateSession(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			w.look()
		}
		if told := w.told(); len(told) != 0 {
			t.Fatalf("told of %q while it lives", told)
		}
		w.pass(10 * time.Minute)
		w.look()
		w.wantTold(s.ID, idp.EndExpired)
	})
	t.Run("S6: who is restricted is told of at once, and their session does not come back when they are not any more", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		token := w.token(s)
		w.restrict()
		w.pass(idp.FirstLook)
		w.look()
		w.wantTold(s.ID, idp.EndStopped)
		p := w.people[nurse]
		p.Profile = idp.Verified
		w.people[nurse] = p
		w.wantHolder(token, idp.ErrToken)
		if v := w.look2(s); v.Session != nil {
			t.Error("the session is back")
		}
	})
	t.Run("S6: a session whose authenticator was stopped is told of, and who signs in again gets another", func(t *testing.T) {
		w := aWatch(t)
		p := w.people[nurse]
		p.Holds = map[string]bool{"card:01": true, "passkey:k": true}
		w.people[nurse] = p
		with := func(authenticator, once string) authenticators.Evidence {
			e := w.evidence(once)
			e.Authenticator = authenticator
			return e
		}
		s, _, err := w.logins.SignIn(t.Context(), w.begin("a"), "request", with("card:01", "a"), "")
		if err != nil {
			t.Fatal(err)
		}
		w.token(s)
		same, _, err := w.logins.SignIn(t.Context(), w.begin("b"), "request", with("card:01", "b"), s.Key)
		if err != nil || same.ID != s.ID {
			t.Fatalf("the same person's session is %s, %v; want %s", same.ID, err, s.ID)
		}
		p.Holds["card:01"] = false
		other, _, err := w.logins.SignIn(t.Context(), w.begin("c"), "request", with("passkey:k", "c"), same.Key)
		if err != nil || other.ID == s.ID {
			t.Errorf("what has ended goes on as %s, %v", other.ID, err)
		}
		if told := w.told(); len(told) != 1 || told[0] != s.ID {
			t.Errorf("told of %q, want %q", told, s.ID)
		}
	})
	t.Run("own rule: a session that gives way to another of the same name is not over, at no moment", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		w.token(s)
		w.pass(idp.FirstLook)
		// As the journal and the store stand between two steps of a sign-in.
		if err := w.registry.Record(t.Context(), idp.Event{At: w.now}, idp.Fence{Kind: idp.SessionFence, Hash: s.Key}); err != nil {
			t.Fatal(err)
		}
		w.look()
		next := w.again(s, "b")
		w.pass(14 * time.Minute)
		w.look()
		if told := w.told(); next.ID != s.ID || len(told) != 0 {
			t.Errorf("%s follows %s, told of %q", next.ID, s.ID, told)
		}
		w.pass(time.Minute)
		w.look()
		w.wantTold(s.ID, idp.EndExpired)
	})
	t.Run("own rule: a client that got a token in the moment in which the session ended is told soon", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil {
			t.Fatal(err)
		}
		// Its server had asked whether the session lives before that.
		if err := w.registry.Record(t.Context(), idp.Event{At: w.now, Tell: &idp.Watch{SID: s.ID, Client: "ward", Subject: nurse}}); err != nil {
			t.Fatal(err)
		}
		w.pass(idp.FirstLook)
		w.look()
		w.wantTold(s.ID, idp.EndBefore)
	})
	t.Run("F6: nobody is told while it cannot be known", func(t *testing.T) {
		w := aWatch(t)
		s := w.mustSignIn(w.begin("a"))
		w.token(s)
		w.pass(time.Hour)
		for name, broken := range map[string]func(*idp.Lookout){
			"sessions": func(lo *idp.Lookout) { lo.Own = unknown{} },
			"people":   func(lo *idp.Lookout) { lo.People = unknown{} },
			"fences":   func(lo *idp.Lookout) { lo.Fences = unknown{} },
		} {
			lo := *w.lookout
			broken(&lo)
			if _, err := lo.Look(t.Context()); !errors.Is(err, idp.ErrUnavailable) || len(w.told()) != 0 {
				t.Errorf("without %s: %v, told of %q", name, err, w.told())
			}
			w.pass(time.Minute) // who looked has given up
		}
		w.look()
		w.wantTold(s.ID, idp.EndExpired)
	})
	t.Run("own rule: one session that cannot be read keeps nobody else waiting", func(t *testing.T) {
		w := aWatch(t)
		for _, sid := range []string{"a", "b", "c"} {
			if err := w.registry.Record(t.Context(), idp.Event{At: w.now, Tell: &idp.Watch{SID: sid, Client: "ward", Subject: nurse}}); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(13 * time.Hour)
		lo := *w.lookout
		lo.Own = &oneUnread{OwnSessions: lo.Own}
		if _, err := lo.Look(t.Context()); !errors.Is(err, errUnread) || len(w.told()) != 2 {
			t.Errorf("%v, told of %q", err, w.told())
		}
	})
	t.Run("own rule: a client that cannot be told costs nothing", func(t *testing.T) {
		w := aWatch(t)
		w.grants.Clients = clients{"ward": {ID: "ward", MinLevel: authenticators.AAL1}}
		s := w.mustSignIn(w.begin("a"))
		w.token(s)
		if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil {
			t.Fatal(err)
		}
		if told := w.told(); len(told) != 0 {
			t.Errorf("told of %q", told)
		}
	})
}

// look2 is where another login of the browser with session s would stand.
func (w watching) look2(s idp.Session) idp.View { w.t.Helper(); return w.ward.look(w.begin("next"), s) }

// oneUnread is a session store with a record that nobody can read, which is the
// first that is asked for.
type oneUnread struct {
	idp.OwnSessions
	asked bool
}

var errUnread = errors.New("the record cannot be read")

func (o *oneUnread) SessionsOf(ctx context.Context, uid string, now time.Time) ([]idp.OwnSession, error) {
	if !o.asked {
		o.asked = true
		return nil, errUnread
	}
	return o.OwnSessions.SessionsOf(ctx, uid, now)
}

// unknown is a store that does not answer.
type unknown struct{}

func (unknown) SessionsOf(context.Context, string, time.Time) ([]idp.OwnSession, error) {
	return nil, idp.ErrUnavailable
}
func (unknown) Person(context.Context, string) (idp.Person, error) {
	return idp.Person{}, idp.ErrUnavailable
}
func (unknown) PersonNow(context.Context, string) (idp.Person, error) {
	return idp.Person{}, idp.ErrUnavailable
}
func (unknown) Stands(context.Context, idp.Fence) (bool, error) { return false, idp.ErrUnavailable }
