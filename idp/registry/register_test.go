package registry

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// registers begins to make a profile in a browser.
func (c *counter) registers(t *testing.T, given, email, browser string) error {
	t.Helper()
	puzzle, answer := c.solved(t)
	return c.Register(t.Context(), Registered{PersonName{Given: given, Family: "Parry"},
		Claimed{Email: email, Puzzle: puzzle, Answer: answer, Network: somewhere, Browser: browser, Lang: "cy"}})
}

// comesNew brings somebody new to where a key is added, and returns their uid.
func (c *counter) comesNew(t *testing.T, email, browser string) string {
	t.Helper()
	err := c.registers(t, "Olwen", email, browser)
	if err == nil {
		err = c.Prove(t.Context(), browser, c.mailed(t))
	}
	if err == nil {
		err = c.Choose(t.Context(), browser, authenticators.KeyKind, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Enrolment(t.Context(), browser, authenticators.KeyKind)
	if err != nil || e.Display != "Olwen Parry" || e.Email != email {
		t.Fatalf("Enrolment() = %+v, %v", e, err)
	}
	return e.Subject
}

func TestRegister(t *testing.T) {
	t.Run("own rule: a profile that somebody makes is unverified, and is made with what they sign in with", func(t *testing.T) {
		c, _ := aCounter(t)
		uid := c.comesNew(t, "olwen@home.example", "browser")
		if c.person(uid) != nil {
			t.Error("there is a profile before it is finished")
		}
		if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "Blue key", byPhone); err != nil {
			t.Fatal(err)
		}
		p := c.person(uid)
		if p == nil || !idp.IsUID(uid) || p.Profile != idp.Unverified || p.IdentityAssurance != 0 || p.Email != "olwen@home.example" || p.Name.Display != "Olwen Parry" ||
			len(p.Positions) != 0 || !p.AddedAt.Equal(c.at) {
			t.Fatalf("they are %+v", p)
		}
		if a := p.Authenticators[0]; a.Level != 2 || a.Method != authenticators.Passkey || !a.SelfClaimed {
			t.Errorf("they hold %+v", a)
		}
		var kinds []Kind
		for _, e := range c.events {
			kinds = append(kinds, e.Kind)
		}
		if !slices.Equal(kinds, []Kind{idp.AuthenticatorAdded, PersonAdded}) {
			t.Errorf("the journal has %v", kinds)
		}
		if m := c.mails[0]; m.Text != "mail.registered" || m.Args["uid"] != uid || m.To != "olwen@home.example" {
			t.Errorf("the mail is %+v", m)
		}
	})
	t.Run("own rule: whoever is verified later keeps the uid and what they sign in with, at its level", func(t *testing.T) {
		for _, from := range []idp.Profile{idp.Unverified, idp.Restricted} {
			c, _ := aCounter(t)
			uid := c.comesNew(t, "olwen@home.example", "browser")
			if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "Blue key", byPhone); err != nil {
				t.Fatal(err)
			}
			if from == idp.Restricted {
				c.do(t, c.holder(Manager, "HOM"), RestrictPerson{uid, "who is it?"})
			}
			checker := c.holder(IDChecker, "MID")
			c.not(t, checker, VerifyPerson{UID: uid, Check: passport}, ErrConfirm)
			done := c.do(t, checker, VerifyPerson{UID: uid, Check: passport, Confirmed: true})
			if len(done.Warnings) != 1 || done.Warnings[0].Code != WarnSelfClaimed || done.Warnings[0].Args[0] != "Blue key" {
				t.Errorf("warnings: %+v", done.Warnings)
			}
			p := c.person(uid)
			if p.Profile != idp.Verified || p.IdentityAssurance != 3 || len(p.Authenticators) != 1 || p.Authenticators[0].Level != 2 || !p.Authenticators[0].SelfClaimed {
				t.Errorf("from %s: %+v", from, p)
			}
		}
	})
	t.Run("A11: whether an address is somebody's or not, the stores are asked the same, and nobody is told", func(t *testing.T) {
		c, _ := aCounter(t)
		var want []string
		for i, email := range []string{"olwen@home.example", "nurse@ward.example", "NURSE@ward.example"} {
			browser := fmt.Sprint("browser ", i)
			c.made = nil
			told := len(c.told)
			if err := c.registers(t, "Olwen", email, browser); err != nil {
				t.Errorf("%s: %v", email, err)
			}
			if sent := !c.told[told].Mails[0].ForNobody(); sent != (i == 0) {
				t.Errorf("%s: a code was sent: %t", email, sent)
			}
			for range 7 {
				if err := c.Prove(t.Context(), browser, "0000-0000"); !errors.Is(err, idp.ErrMailCode) {
					t.Errorf("%s, a guess: %v", email, err)
				}
			}
			if want == nil {
				want = c.made
			}
			if !slices.Equal(c.made, want) {
				t.Errorf("%s: the stores are asked %v, otherwise %v", email, c.made, want)
			}
			if _, err := c.Who(t.Context(), browser); !errors.Is(err, ErrClaimGone) {
				t.Errorf("%s: without the code: %v", email, err)
			}
		}
	})
	t.Run("own rule: two who make a profile with one address, and one does", func(t *testing.T) {
		c, _ := aCounter(t)
		one, other := c.comesNew(t, "olwen@home.example", "one"), c.comesNew(t, "olwen@home.example", "other")
		if err := c.Bind(t.Context(), "one", aKeyOf(one, "h"), "Key", byPhone); err != nil {
			t.Fatal(err)
		}
		if err := c.Bind(t.Context(), "other", aKeyOf(other, "i"), "Key", byPhone); !errors.Is(err, idp.ErrTaken) || c.person(other) != nil {
			t.Errorf("the other: %v", err)
		}
	})
	t.Run("own rule: who makes a profile gets nothing forgotten that was counted: the next mails go to strangers", func(t *testing.T) {
		c, _ := aCounter(t)
		uid := c.comesNew(t, "olwen@home.example", "browser")
		if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "Key", byPhone); err != nil || len(c.cleared) > 0 {
			t.Errorf("Bind: %v, forgotten: %v", err, c.cleared)
		}
	})
	t.Run("own rule: a puzzle, a name and an address are wanted", func(t *testing.T) {
		c, _ := aCounter(t)
		for name, email := range map[string]string{"": "olwen@home.example", "Olwen": "home"} {
			if err := c.registers(t, name, email, "browser"); !errors.Is(err, ErrField) {
				t.Errorf("%q, %q: %v", name, email, err)
			}
		}
		err := c.Register(t.Context(), Registered{PersonName{Given: "Olwen", Family: "Parry"}, Claimed{Email: "olwen@home.example", Browser: "browser"}})
		if !errors.Is(err, idp.ErrPuzzle) || len(c.told) != 0 {
			t.Errorf("without a puzzle: %v", err)
		}
	})
}
