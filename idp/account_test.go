package idp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
)

const (
	porter    = "555000000102"
	nurseMail = "nurse@ward.example"
)

// office is where a nurse, who has a card, and a porter look after their own
// accounts.
type office struct {
	*ward
	registry *memory.Store
	accounts *idp.Accounts
	mailed   *idp.MailCodes
}

func anOffice(t *testing.T) *office {
	t.Helper()
	o := &office{ward: aWard(t)}
	registry, err := memory.New(directory.Document{People: []directory.Person{
		{UID: nurse, Email: nurseMail, Profile: idp.Verified, Cards: []directory.Card{{Serial: "01", State: "active", Registered: true}}},
		{UID: porter, Email: "porter@ward.example", Profile: idp.Verified, Cards: []directory.Card{{Serial: "02", State: "active", Registered: true}}},
	}}, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return o.now }
	o.registry = registry
	o.logins.People, o.logins.Journal, o.logins.Fences = registry, registry, registry
	o.grants.People, o.grants.Journal, o.grants.Fences = registry, registry, registry
	o.accounts = &idp.Accounts{Holdings: registry, Contacts: registry, SignOuts: registry, Sessions: o.live, Own: o.live, Journal: registry, Fences: registry, Now: now}
	o.mailed = &idp.MailCodes{Questions: o.live.Questions("mail"), Teller: registry, Limits: unlimited{}, Now: now}
	return o
}

// owner is a person who signed in just now, at that level.
func (o *office) owner(uid string, level authenticators.Level) idp.Owner {
	o.t.Helper()
	p, err := o.registry.Person(o.t.Context(), uid)
	if err != nil {
		o.t.Fatal(err)
	}
	return idp.Owner{Person: p, Session: idp.Session{ID: "sid", Key: "key", Subject: uid, Level: level, AuthTime: o.now}, Request: "request", Lang: "cy"}
}

// aHeldKey is what a room has proved of a key.
func aHeldKey(handle string, level authenticators.Level) authenticators.Authenticator {
	m := authenticators.Passkey
	if level == authenticators.AAL3 {
		m = authenticators.FIDO2
	}
	return authenticators.Authenticator{Kind: authenticators.KeyKind, Handle: handle, Method: m, Level: level, Record: json.RawMessage(`{}`)}
}

// mustAdd gives the person a key.
func (o *office) mustAdd(uid, handle string, level authenticators.Level) authenticators.Authenticator {
	o.t.Helper()
	a, err := o.accounts.Add(o.t.Context(), o.owner(uid, authenticators.AAL3), aHeldKey(handle, level), "My key")
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// signedInWith is a session of the person that an authenticator made, with a
// token of it.
func (o *office) signedInWith(uid, called string) (idp.Session, string) {
	o.t.Helper()
	e := authenticators.Evidence{Subject: uid, Method: authenticators.FIDO2, Level: authenticators.AAL3, At: o.now, Once: idp.NewSecret(), Authenticator: called}
	s, _, err := o.logins.SignIn(o.t.Context(), o.begin(idp.NewSecret()), "request", e, "")
	if err != nil {
		o.t.Fatal(err)
	}
	of := idp.NewSecret()[:len(family)]
	g := idp.Grant{Family: of, ClientID: "ward", Subject: uid, Scopes: []string{"openid"}, AuthTime: s.AuthTime, Authenticator: called,
		SessionID: s.ID, SessionKey: s.Key}
	code := of + idp.NewSecret()
	if err := o.live.SaveCode(o.t.Context(), code, g, o.now.Add(idp.CodeLife)); err != nil {
		o.t.Fatal(err)
	}
	_, _, tokens, err := o.grants.Redeem(o.t.Context(), idp.Redemption{Code: code, ClientID: "ward"}, "request")
	if err != nil {
		o.t.Fatal(err)
	}
	return s, tokens.Access
}

// told are the words of the mails that were written, with whom to.
func (o *office) told() []string {
	var all []string
	for _, m := range o.registry.Mails() {
		all = append(all, m.Text+" "+m.To+" "+m.Lang)
	}
	return all
}

// last is the newest event of the journal.
func (o *office) last() idp.Event {
	o.t.Helper()
	events := o.registry.Events()
	if len(events) == 0 {
		o.t.Fatal("nothing is in the journal")
	}
	return events[len(events)-1]
}

func TestMay(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	may := map[string]func(idp.Session, authenticators.Level) error{
		"add":    func(s idp.Session, l authenticators.Level) error { return s.MayAdd(l, now) },
		"remove": func(s idp.Session, l authenticators.Level) error { return s.MayRemove(l, now) },
	}
	t.Run("A6: a change needs a sign-in of its own level and of the last 20 minutes", func(t *testing.T) {
		for _, age := range []time.Duration{0, 20*time.Minute - time.Second, 20 * time.Minute, 20*time.Minute + time.Second, 11 * time.Hour, -time.Minute, -time.Minute - time.Second} {
			for has := authenticators.AAL1; has <= authenticators.AAL3; has++ {
				s := idp.Session{Level: has, AuthTime: now.Add(-age)}
				want := func(l authenticators.Level) error {
					switch {
					case has < l:
						return idp.ErrTooLow
					case age > 20*time.Minute || age < -time.Minute:
						return idp.ErrStale
					}
					return nil
				}
				for l := authenticators.AAL1; l <= authenticators.AAL3; l++ {
					for name, ask := range may {
						if got := ask(s, l); !errors.Is(got, want(l)) || want(l) == nil && got != nil {
							t.Errorf("%s AAL%d, signed in at AAL%d %v ago: %v, want %v", name, l, has, age, got, want(l))
						}
					}
				}
				if got := s.MayChangeEmail(now); !errors.Is(got, want(authenticators.AAL3)) || want(authenticators.AAL3) == nil && got != nil {
					t.Errorf("change the e-mail, signed in at AAL%d %v ago: %v, want %v", has, age, got, want(authenticators.AAL3))
				}
			}
		}
	})
}

func TestAdd(t *testing.T) {
	t.Run("A6: a key of AAL3 is not added from AAL2, nor from a stale sign-in: nothing is kept, told or recorded", func(t *testing.T) {
		o := anOffice(t)
		low, stale, future := o.owner(nurse, authenticators.AAL2), o.owner(nurse, authenticators.AAL3), o.owner(nurse, authenticators.AAL3)
		stale.Session.AuthTime = o.now.Add(-20*time.Minute - time.Second)
		future.Session.AuthTime = o.now.Add(time.Hour)
		for want, by := range map[error][]idp.Owner{idp.ErrTooLow: {low}, idp.ErrStale: {stale, future}} {
			for _, owner := range by {
				if _, err := o.accounts.Add(t.Context(), owner, aHeldKey("h", authenticators.AAL3), "My key"); !errors.Is(err, want) {
					t.Errorf("Add: %v, want %v", err, want)
				}
			}
		}
		if held, err := o.registry.HeldBy(t.Context(), nurse); len(held) != 0 || err != nil || len(o.told()) != 0 || len(o.registry.Events()) != 0 {
			t.Errorf("held %v, told %v, recorded %v", held, o.told(), o.registry.Events())
		}
	})
	t.Run("A6: what is added is in the journal with time, source and level, and its person is told", func(t *testing.T) {
		o := anOffice(t)
		a := o.mustAdd(nurse, "h", authenticators.AAL3)
		e := o.last()
		want := idp.Event{At: o.now, Kind: idp.AuthenticatorAdded, Request: "request", Subject: nurse, Client: idp.AccountClient, Session: "sid",
			Authenticator: a.Called(), Method: "FIDO2", Level: 3}
		if e != want || !slices.Equal(o.told(), []string{"mail.added " + nurseMail + " cy"}) {
			t.Errorf("recorded %+v, told %v", e, o.told())
		}
		if a.Subject != nurse || a.State != authenticators.Active || a.AddedAt != o.now || len(a.ID) < 20 {
			t.Errorf("added %+v", a)
		}
	})
	t.Run("A6: AAL2 may be added from AAL2", func(t *testing.T) {
		o := anOffice(t)
		if _, err := o.accounts.Add(t.Context(), o.owner(nurse, authenticators.AAL2), aHeldKey("h", authenticators.AAL2), "My key"); err != nil {
			t.Error(err)
		}
	})
	t.Run("W9: a key that somebody has is nobody else's, and nobody is told of what did not happen", func(t *testing.T) {
		o := anOffice(t)
		o.mustAdd(nurse, "h", authenticators.AAL2)
		if _, err := o.accounts.Add(t.Context(), o.owner(porter, authenticators.AAL3), aHeldKey("h", authenticators.AAL2), "Mine"); !errors.Is(err, idp.ErrTaken) || len(o.told()) != 1 {
			t.Errorf("Add: %v, told %v", err, o.told())
		}
	})
	t.Run("own rule: a name is one to 60 letters that can be shown in a list", func(t *testing.T) {
		o := anOffice(t)
		for name, good := range map[string]bool{
			"": false, "x": true, "Llygad y dydd’s 2nd key": true, strings.Repeat("x", 60): true, strings.Repeat("x", 61): false,
			strings.Repeat("𝒳", 60): true, strings.Repeat("𝒳", 61): false, "a\nb": false, "a\tb": false, "a\x00": false, "a\x7f": false, "\xff": false, strings.Repeat("x", 10_000): false,
		} {
			a, err := o.accounts.Add(t.Context(), o.owner(nurse, authenticators.AAL3), aHeldKey(idp.NewSecret(), authenticators.AAL2), name)
			if good != (err == nil) || !good && !errors.Is(err, idp.ErrUnnamed) {
				t.Errorf("Add(%.20q): %v", name, err)
			}
			if !good {
				continue
			}
			if err := o.accounts.Rename(t.Context(), o.owner(nurse, authenticators.AAL2), a.ID, "\n"); !errors.Is(err, idp.ErrUnnamed) {
				t.Errorf("Rename: %v", err)
			}
		}
	})
}

func TestOnesOwn(t *testing.T) {
	t.Run("own rule: what is another's is not found, whatever is done with it", func(t *testing.T) {
		o := anOffice(t)
		hers := o.mustAdd(nurse, "h", authenticators.AAL2)
		session, token := o.signedInWith(nurse, hers.Called())
		his := o.owner(porter, authenticators.AAL3)
		before, told := len(o.registry.Events()), len(o.told())
		for what, err := range map[string]error{
			"rename":      o.accounts.Rename(t.Context(), his, hers.ID, "Mine"),
			"remove":      o.accounts.Remove(t.Context(), his, hers.ID),
			"lose":        o.accounts.Lose(t.Context(), his, hers.ID),
			"lose a card": o.accounts.Lose(t.Context(), his, "01"),
			"end":         o.accounts.End(t.Context(), his, session.ID),
			"password":    o.accounts.SetPassword(t.Context(), his, hers, authenticators.Use{ID: hers.ID}, "once"),
		} {
			if !errors.Is(err, idp.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", what, err)
			}
		}
		if _, err := o.accounts.One(t.Context(), his, hers.ID); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("One: %v", err)
		}
		if open, err := o.accounts.Open(t.Context(), his); len(open) != 0 || err != nil {
			t.Errorf("Open: %v, %v", open, err)
		}
		if held, err := o.accounts.Held(t.Context(), o.owner(nurse, authenticators.AAL2)); err != nil || len(held) != 1 || held[0].Name != "My key" || held[0].State != authenticators.Active {
			t.Errorf("hers: %+v, %v", held, err)
		}
		if len(o.registry.Events()) != before || len(o.told()) != told {
			t.Error("something was recorded or told")
		}
		o.wantHolder(token, nil)
		if v := o.look(o.begin("b"), session); v.Session == nil {
			t.Error("her session has ended")
		}
	})
}

// wantOver checks that s and its token are worth nothing.
func (o *office) wantOver(s idp.Session, token string) {
	o.t.Helper()
	if v := o.look(o.begin(idp.NewSecret()), s); v.Session != nil || v.Step != idp.Authenticate {
		o.t.Errorf("the session still stands: step %v", v.Step)
	}
	o.wantHolder(token, idp.ErrToken)
}

func TestLose(t *testing.T) {
	t.Run("A10: what is reported lost stops at once, however old or weak the sign-in, with what it signed in to", func(t *testing.T) {
		o := anOffice(t)
		key := o.mustAdd(nurse, "h", authenticators.AAL3)
		for id, called := range map[string]string{key.ID: key.Called(), "01": "card:01"} {
			s, token := o.signedInWith(nurse, called)
			o.pass(30 * time.Second)
			owner := o.owner(nurse, authenticators.AAL2)
			owner.Session.AuthTime = o.now.Add(-time.Hour)
			for range 2 { // the second time changes nothing
				told := len(o.told())
				if err := o.accounts.Lose(t.Context(), owner, id); err != nil {
					t.Fatal(err)
				}
				if e := o.last(); e.Kind != idp.AuthenticatorSuspended || e.Authenticator != called || e.Subject != nurse {
					t.Errorf("recorded %+v", e)
				}
				if n := len(o.told()) - told; n > 1 {
					t.Errorf("told %d times", n)
				}
				owner = o.owner(nurse, authenticators.AAL2)
			}
			o.wantOver(s, token)
			e := authenticators.Evidence{Subject: nurse, Method: authenticators.FIDO2, Level: authenticators.AAL3, At: o.now, Once: idp.NewSecret(), Authenticator: called}
			if _, _, err := o.logins.SignIn(t.Context(), o.begin(idp.NewSecret()), "request", e, ""); !errors.Is(err, authenticators.ErrSuspended) {
				t.Errorf("SignIn with %s: %v, want ErrSuspended", called, err)
			}
		}
		if got := o.told(); len(got) != 3 {
			t.Errorf("told %v, want each loss once", got)
		}
	})
	t.Run("A9: what was stopped its person does not get rid of, so its record stays for who must look at it", func(t *testing.T) {
		o := anOffice(t)
		key := o.mustAdd(nurse, "h", authenticators.AAL2)
		if err := o.accounts.Lose(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID); err != nil {
			t.Fatal(err)
		}
		if err := o.accounts.Remove(t.Context(), o.owner(nurse, authenticators.AAL3), key.ID); !errors.Is(err, authenticators.ErrSuspended) {
			t.Errorf("Remove: %v, want ErrSuspended", err)
		}
		if a, err := o.accounts.One(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID); err != nil || a.State != authenticators.Suspended {
			t.Errorf("One: %+v, %v", a, err)
		}
	})
}

func TestRemove(t *testing.T) {
	t.Run("A10: what is removed ends what it signed in to, and nothing else", func(t *testing.T) {
		o := anOffice(t)
		key, other := o.mustAdd(nurse, "h", authenticators.AAL3), o.mustAdd(nurse, "i", authenticators.AAL2)
		s, token := o.signedInWith(nurse, key.Called())
		stays, err := o.anotherSession(other.Called())
		if err != nil {
			t.Fatal(err)
		}
		if err := o.accounts.Remove(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("from AAL2: %v, want ErrTooLow", err)
		}
		o.wantHolder(token, nil)
		if err := o.accounts.Remove(t.Context(), o.owner(nurse, authenticators.AAL3), key.ID); err != nil {
			t.Fatal(err)
		}
		o.wantOver(s, token)
		if v := o.look(o.begin("b"), stays); v.Session == nil {
			t.Error("the other key's session has ended too")
		}
		if e := o.last(); e.Kind != idp.AuthenticatorRemoved || e.Authenticator != key.Called() {
			t.Errorf("recorded %+v", e)
		}
	})
}

// anotherSession is one of the nurse's.
func (o *office) anotherSession(called string) (idp.Session, error) {
	e := authenticators.Evidence{Subject: nurse, Method: authenticators.FIDO2, Level: authenticators.AAL3, At: o.now, Once: idp.NewSecret(), Authenticator: called}
	s, _, err := o.logins.SignIn(o.t.Context(), o.begin(idp.NewSecret()), "request", e, "")
	return s, err
}

func TestEnds(t *testing.T) {
	t.Run("S8: who ends one session keeps the others, and it stays ended though Redis brings it back", func(t *testing.T) {
		o := anOffice(t)
		s, _ := o.signedInWith(nurse, "card:01")
		other, err := o.anotherSession("card:01")
		if err != nil {
			t.Fatal(err)
		}
		before, err := o.rdb.Dump(t.Context(), "session:"+s.Key).Result()
		if err != nil {
			t.Fatal(err)
		}
		owner := o.owner(nurse, authenticators.AAL2)
		open, err := o.accounts.Open(t.Context(), owner)
		if err != nil || len(open) != 2 {
			t.Fatalf("Open: %v, %v", open, err)
		}
		if err := o.accounts.End(t.Context(), owner, s.ID); err != nil {
			t.Fatal(err)
		}
		if err := o.rdb.Restore(t.Context(), "session:"+s.Key, 0, before).Err(); err != nil {
			t.Fatal(err)
		}
		if v := o.look(o.begin("b"), s); v.Session != nil {
			t.Error("the session is back")
		}
		if v := o.look(o.begin("c"), other); v.Session == nil {
			t.Error("the other has ended too")
		}
		for _, sid := range []string{"", "x", s.Key} {
			if err := o.accounts.End(t.Context(), owner, sid); !errors.Is(err, idp.ErrNotFound) {
				t.Errorf("End(%q): %v, want ErrNotFound", sid, err)
			}
		}
	})
	t.Run("own rule: a session of the old service that has ended is not listed: neither with what came of it at a browser, nor with its card's certificate", func(t *testing.T) {
		for what, end := range map[string]func(*office, idp.Session, idp.Owner) error{
			"signed out at the browser": func(o *office, s idp.Session, _ idp.Owner) error {
				entered := s
				entered.Key, entered.Of, entered.Legacy = "browser", s.Key, nil
				if err := o.live.SaveSession(t.Context(), entered); err != nil {
					return err
				}
				return o.logins.SignOut(t.Context(), entered, "", "request")
			},
			"the certificate ended": func(o *office, s idp.Session, _ idp.Owner) error {
				s.Ends = o.now
				return o.live.SaveSession(t.Context(), s)
			},
			"ended here": func(o *office, s idp.Session, owner idp.Owner) error { return o.accounts.End(t.Context(), owner, s.ID) },
		} {
			o := anOffice(t)
			s := o.held("one", deskKey, "card:01")
			owner := o.owner(nurse, authenticators.AAL2)
			o.now = o.now.Add(time.Second)
			if open, err := o.accounts.Open(t.Context(), owner); err != nil || len(open) != 1 {
				t.Fatalf("Open: %v, %v", open, err)
			}
			if err := end(o, s, owner); err != nil {
				t.Fatal(err)
			}
			if open, err := o.accounts.Open(t.Context(), owner); err != nil || len(open) != 0 {
				t.Errorf("%s: Open: %v, %v", what, open, err)
			}
			if err := o.accounts.End(t.Context(), owner, s.ID); !errors.Is(err, idp.ErrNotFound) {
				t.Errorf("%s: End: %v, want ErrNotFound", what, err)
			}
		}
	})
	t.Run("S6: signing out everywhere ends sessions, codes and tokens, this session too, and nothing that begins after", func(t *testing.T) {
		o := anOffice(t)
		s, token := o.signedInWith(nurse, "card:01")
		other, err := o.anotherSession("card:01")
		if err != nil {
			t.Fatal(err)
		}
		his, err := o.registry.Person(t.Context(), porter)
		if err != nil {
			t.Fatal(err)
		}
		o.pass(time.Second)
		owner := o.owner(nurse, authenticators.AAL2)
		owner.Session = s
		if err := o.accounts.EndAll(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		o.wantOver(s, token)
		o.wantOver(other, token)
		if open, err := o.accounts.Open(t.Context(), o.owner(nurse, authenticators.AAL2)); len(open) != 0 || err != nil {
			t.Errorf("Open: %v, %v", open, err)
		}
		if e := o.last(); e.Kind != idp.SignedOutAll || !slices.Equal(o.told(), []string{"mail.everywhere " + nurseMail + " cy"}) {
			t.Errorf("recorded %+v, told %v", e, o.told())
		}
		if now, err := o.registry.Person(t.Context(), porter); err != nil || now.SignedOutAt != his.SignedOutAt {
			t.Errorf("another person was signed out: %v", err)
		}
		o.pass(time.Second)
		after, err := o.anotherSession("card:01")
		if err != nil {
			t.Fatal(err)
		}
		if v := o.look(o.begin(idp.NewSecret()), after); v.Session == nil {
			t.Error("who signs in again is not signed in")
		}
	})
}

func TestSetEmail(t *testing.T) {
	t.Run("A6: another sign-in name needs a fresh sign-in at AAL3, and the old address is told", func(t *testing.T) {
		o := anOffice(t)
		const other = "nurse@elsewhere.example"
		stale := o.owner(nurse, authenticators.AAL3)
		stale.Session.AuthTime = o.now.Add(-21 * time.Minute)
		if err := o.accounts.SetEmail(t.Context(), o.owner(nurse, authenticators.AAL2), other); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("from AAL2: %v", err)
		}
		if err := o.accounts.SetEmail(t.Context(), stale, other); !errors.Is(err, idp.ErrStale) {
			t.Errorf("from a stale sign-in: %v", err)
		}
		if err := o.accounts.SetEmail(t.Context(), o.owner(nurse, authenticators.AAL3), "PORTER@ward.example"); !errors.Is(err, idp.ErrTaken) {
			t.Errorf("another's: %v", err)
		}
		if len(o.told()) != 0 {
			t.Errorf("told %v", o.told())
		}
		if err := o.accounts.SetEmail(t.Context(), o.owner(nurse, authenticators.AAL3), other); err != nil {
			t.Fatal(err)
		}
		if p, err := o.registry.PersonByEmail(t.Context(), other); err != nil || p.UID != nurse || !slices.Equal(o.told(), []string{"mail.email " + nurseMail + " cy"}) {
			t.Errorf("now %s, %v; told %v", p.UID, err, o.told())
		}
	})
}

func TestNames(t *testing.T) {
	o := anOffice(t)
	for name, want := range map[string]string{
		"Blue key": "Blue key", "  Blue key ": "Blue key", "Allwedd 2": "Allwedd 2", "鍵": "鍵", strings.Repeat("é", 60): strings.Repeat("é", 60),
		"": "", "   ": "", "\u200b": "", "\u00a0": "", "a\u202eb": "", "a\u2028b": "", "a\nb": "", "-": "", "\xff": "", strings.Repeat("a", 61): "",
	} {
		t.Run("own rule: a name can be read in a list, and in a mail", func(t *testing.T) {
			key := o.mustAdd(nurse, name+"h", authenticators.AAL2)
			err := o.accounts.Rename(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID, name)
			got, _ := o.accounts.One(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID)
			if (err == nil) != (want != "") || err == nil && got.Name != want {
				t.Errorf("%q: %q, %v", name, got.Name, err)
			}
			if err := o.accounts.Remove(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestMostHeld(t *testing.T) {
	t.Run("own rule: a person holds twenty ways to sign in beside their cards, and no more", func(t *testing.T) {
		o := anOffice(t)
		for n := range 20 {
			o.mustAdd(nurse, fmt.Sprint("h", n), authenticators.AAL2)
		}
		if _, err := o.accounts.Add(t.Context(), o.owner(nurse, authenticators.AAL3), aHeldKey("late", authenticators.AAL2), "late"); !errors.Is(err, idp.ErrTooMany) {
			t.Errorf("Add: %v, want ErrTooMany", err)
		}
	})
}

func TestRenameNeeds(t *testing.T) {
	t.Run("A6: a name is changed by who could remove what it names, and the person is told", func(t *testing.T) {
		o := anOffice(t)
		key := o.mustAdd(nurse, "h", authenticators.AAL3)
		if err := o.accounts.Rename(t.Context(), o.owner(nurse, authenticators.AAL2), key.ID, "other"); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("from AAL2: %v, want ErrTooLow", err)
		}
		before := len(o.told())
		if err := o.accounts.Rename(t.Context(), o.owner(nurse, authenticators.AAL3), key.ID, "other"); err != nil || len(o.told()) != before+1 {
			t.Errorf("%v, told %v", err, o.told())
		}
	})
}
