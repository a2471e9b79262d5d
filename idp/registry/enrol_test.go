package registry

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// somewhere is the network that codes are typed at.
var somewhere = netip.MustParsePrefix("192.0.2.7/32")

// aDoor is where people type the codes of their invitations.
func (w *world) aDoor() *Enrolling {
	return &Enrolling{Keeper: w, Codes: w, Limits: w, Now: func() time.Time { return w.at }}
}

// aKeyOf is a key that its room has proved.
func aKeyOf(uid, handle string) authenticators.Authenticator {
	return authenticators.Authenticator{Subject: uid, Kind: authenticators.KeyKind, Handle: handle, Model: "Test Key 5",
		Method: authenticators.FIDO2, Level: authenticators.AAL3, Record: []byte(`{"key":1}`), Mark: []byte(`{"count":0}`)}
}

var byPhone = idp.Owner{Request: "REQUEST2", Lang: "cy"}

// invites lets an advanced agent invite a nurse.
func invites(t *testing.T) (w *world, agent, uid, code string) {
	t.Helper()
	w = aWorld(t)
	agent, uid = w.holder(Advanced, "MID"), w.add(func(p *directory.Person) {
		p.Authenticators = []directory.Authenticator{{ID: "k", Kind: authenticators.KeyKind, Handle: "old", Name: "Old key", State: authenticators.Active}}
	}, work("", "MID"))
	w.person(uid).Name.Display, w.person(agent).Name.Display = "Nurse Example", "Agent Example"
	return w, agent, uid, w.do(t, agent, InviteAuthenticator{uid, passport}).Secret
}

func TestInvitations(t *testing.T) {
	t.Run("own rule: a code says whom it is for, who invited them and what they have, and is not used up by that", func(t *testing.T) {
		w, agent, uid, code := invites(t)
		for _, typed := range []string{code, strings.ToLower(code), " " + strings.ReplaceAll(code, "-", " "), strings.ReplaceAll(code, "-", ""),
			strings.ReplaceAll(strings.ReplaceAll(code, "0", "o"), "1", "l"), strings.ReplaceAll(code, "-", "\u2013")} {
			i, err := w.aDoor().Invited(t.Context(), typed, somewhere)
			if err != nil || i.UID != uid || i.By != agent || i.Display != "Nurse Example" || i.Inviter != "Agent Example" || len(i.Held) != 1 || i.Held[0].Handle != "old" {
				t.Errorf("%q: %+v, %v", typed, i, err)
			}
		}
	})
	t.Run("A6: a key is added by a code of the registration authority, which is used up; the journal says who invited whom and how", func(t *testing.T) {
		w, agent, uid, code := invites(t)
		door := w.aDoor()
		i, err := door.Invited(t.Context(), code, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		a, err := door.Bind(t.Context(), i, aKeyOf(uid, "new"), " Blue key ", byPhone)
		if err != nil || a.Level != authenticators.AAL3 || a.Name != "Blue key" {
			t.Fatalf("Bind = %+v, %v", a, err)
		}
		held := w.person(uid).Authenticators
		if len(held) != 2 || held[1].ID != a.ID || held[1].Level != 3 || held[1].SelfClaimed || held[1].State != authenticators.Active || held[1].Mark == "" {
			t.Errorf("held: %+v", held)
		}
		e := w.last()
		if e.Kind != idp.AuthenticatorAdded || e.Subject != uid || e.Actor != uid || e.Authenticator != a.Called() || e.Level != 3 ||
			e.Request != "REQUEST2" || e.Reason != "invited by "+agent+"; in_person" {
			t.Errorf("the journal has %+v", e)
		}
		if m := w.mails[len(w.mails)-1]; m.Text != "mail.added" || m.To != w.person(uid).Email || m.Lang != "cy" || m.Args["name"] != "Blue key" {
			t.Errorf("the mail is %+v", m)
		}
		for name, try := range map[string]func() error{
			"looked at": func() error { _, err := door.Invited(t.Context(), code, somewhere); return err },
			"used":      func() error { _, err := door.Bind(t.Context(), i, aKeyOf(uid, "third"), "x", byPhone); return err },
		} {
			if err := try(); !errors.Is(err, ErrEnrolment) {
				t.Errorf("a used code, %s: %v", name, err)
			}
		}
	})
	t.Run("own rule: of many browsers with one code one adds its key", func(t *testing.T) {
		w, _, uid, code := invites(t)
		door := w.aDoor()
		i, err := door.Invited(t.Context(), code, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var won atomic.Int64
		for n := range 8 {
			all.Go(func() {
				switch _, err := door.Bind(t.Context(), i, aKeyOf(uid, string(rune('a'+n))), "x", byPhone); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, ErrEnrolment):
					t.Errorf("Bind: %v", err)
				}
			})
		}
		all.Wait()
		if n := len(w.person(uid).Authenticators); won.Load() != 1 || n != 2 {
			t.Errorf("%d added a key, %d are held", won.Load(), n)
		}
	})
	t.Run("own rule: a code that is wrong, used or too old has one answer, and tries are counted where they come from", func(t *testing.T) {
		w, _, uid, code := invites(t)
		door := w.aDoor()
		i, err := door.Invited(t.Context(), code, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		w.at = noon.Add(InviteLife)
		for name, typed := range map[string]string{"wrong": "0000-0000-0000", "empty": "", "too long": strings.Repeat("A", 100), "too old": code} {
			w.tried, w.cleared = nil, nil
			if _, err := door.Invited(t.Context(), typed, somewhere); err != error(ErrEnrolment) { //nolint:errorlint // it must be that one, with nothing around it
				t.Errorf("%s: %v", name, err)
			}
			if len(w.cleared) > 0 || w.tried[idp.LimitKey{Authenticator: "enrolment", Network: somewhere}] != 1 || w.tried[idp.LimitKey{Authenticator: "enrolment"}] != 1 {
				t.Errorf("%s: counted %v, forgotten %v", name, w.tried, w.cleared)
			}
		}
		if _, err := door.Bind(t.Context(), i, aKeyOf(uid, "new"), "x", byPhone); !errors.Is(err, ErrEnrolment) {
			t.Errorf("a key a quarter of an hour later: %v", err)
		}
		w.at, w.limited = noon, idp.Limited{Wait: time.Second}
		if _, err := door.Invited(t.Context(), code, somewhere); !errors.Is(err, idp.ErrLimited) {
			t.Errorf("after too many tries: %v", err)
		}
	})
	t.Run("own rule: whoever may have no key any more adds none, and the code is not used up", func(t *testing.T) {
		w, _, uid, code := invites(t)
		door := w.aDoor()
		i, err := door.Invited(t.Context(), code, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		not := func(a authenticators.Authenticator, name string, want error) {
			t.Helper()
			if _, err := door.Bind(t.Context(), i, a, name, byPhone); !errors.Is(err, want) {
				t.Errorf("Bind: %v, want %v", err, want)
			}
		}
		w.person(uid).Profile = idp.Restricted
		not(aKeyOf(uid, "new"), "x", ErrRestricted)
		if _, err := door.Invited(t.Context(), code, somewhere); !errors.Is(err, ErrRestricted) {
			t.Errorf("Invited: %v", err)
		}
		w.person(uid).Profile = idp.Closed
		not(aKeyOf(uid, "new"), "x", ErrClosed)
		w.person(uid).Profile = idp.Verified
		not(aKeyOf(uid, "new"), " ", idp.ErrUnnamed)
		not(aKeyOf("000000000000", "new"), "x", authenticators.ErrAnswer)
		held := w.person(uid).Authenticators
		w.person(uid).Authenticators = make([]directory.Authenticator, maxAuthenticators)
		not(aKeyOf(uid, "new"), "x", ErrMany)
		w.person(uid).Authenticators = held
		if _, err := door.Bind(t.Context(), i, aKeyOf(uid, "new"), "x", byPhone); err != nil {
			t.Errorf("the code is used up: %v", err)
		}
	})
}
