package idp_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// calls notes what stores are asked, in order.
type calls struct {
	idp.Contacts
	authenticators.Held
	authenticators.Questions
	idp.Limits
	idp.Teller
	made []string
}

func (c *calls) note(call string) { c.made = append(c.made, call) }

func (c *calls) PersonByEmail(ctx context.Context, email string) (idp.Contact, error) {
	c.note("person")
	return c.Contacts.PersonByEmail(ctx, email)
}

func (c *calls) ByHandle(ctx context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	c.note("held")
	return c.Held.ByHandle(ctx, kind, handle)
}

func (c *calls) Ask(ctx context.Context, name string, question []byte, expires time.Time) error {
	c.note("ask")
	return c.Questions.Ask(ctx, name, question, expires)
}

func (c *calls) Take(ctx context.Context, name string, now time.Time) ([]byte, error) {
	c.note("take")
	return c.Questions.Take(ctx, name, now)
}

func (c *calls) Attempt(ctx context.Context, key idp.LimitKey, l idp.Limit, now time.Time) error {
	c.note("count")
	return c.Limits.Attempt(ctx, key, l, now)
}

func (c *calls) Tell(ctx context.Context, act idp.Act) error {
	c.note("tell")
	return c.Teller.Tell(ctx, act)
}

// recovering is an office in which the nurse has a password and the porter has
// none, and what its stores are asked.
func recovering(t *testing.T) (*office, *idp.Recovery, *calls) {
	t.Helper()
	o := anOffice(t)
	if _, err := o.accounts.Add(t.Context(), o.owner(nurse, authenticators.AAL3), aPassword(nurse), "Password"); err != nil {
		t.Fatal(err)
	}
	c := &calls{Contacts: o.registry, Held: o.registry, Questions: o.mailed.Questions, Limits: o.live, Teller: o.registry}
	now := func() time.Time { return o.now }
	o.mailed = &idp.MailCodes{Questions: c, Teller: c, Limits: c, Now: now}
	return o, &idp.Recovery{Contacts: c, Holdings: c, Mailed: o.mailed, Accounts: o.accounts}, c
}

func aPassword(uid string) authenticators.Authenticator {
	return authenticators.Authenticator{Kind: authenticators.CodeKind, Handle: uid, Method: authenticators.TOTP, Level: authenticators.AAL2, Record: json.RawMessage(`{}`)}
}

// mailedTo is the newest code that was mailed; "" if none was.
func (o *office) mailedTo(address string) string {
	code := ""
	for _, m := range o.registry.Mails() {
		if m.To == address && m.Text == "mail.code" {
			code = m.Args["code"]
		}
	}
	return code
}

func TestRecovery(t *testing.T) {
	const porterMail, nobody = "porter@ward.example", "nobody@ward.example"
	addresses := []string{nurseMail, porterMail, nobody}
	t.Run("A11: who asks for a code for somebody with a password, without one, and for nobody sees and costs the same", func(t *testing.T) {
		o, rs, c := recovering(t)
		var made [][]string
		for _, address := range addresses {
			c.made = nil
			if err := rs.Ask(t.Context(), address, "browser", "cy"); err != nil {
				t.Errorf("Ask(%s): %v", address, err)
			}
			made = append(made, c.made)
		}
		if !slices.Equal(made[0], made[1]) || !slices.Equal(made[0], made[2]) {
			t.Errorf("the stores are asked %v", made)
		}
		if o.mailedTo(nurseMail) == "" || o.mailedTo(porterMail) != "" || o.mailedTo(nobody) != "" {
			t.Errorf("mails: %v", o.registry.Mails())
		}
	})
	t.Run("A11: so is showing a wrong code, with one sent and with none", func(t *testing.T) {
		for _, asked := range []bool{true, false} {
			_, rs, c := recovering(t)
			var made [][]string
			for _, address := range addresses {
				if asked {
					if err := rs.Ask(t.Context(), address, "browser", "cy"); err != nil {
						t.Fatal(err)
					}
				}
				c.made = nil
				err := rs.Reset(t.Context(), address, "browser", "00000000", func(idp.Owner) error { t.Error("a wrong code was taken"); return nil })
				if !errors.Is(err, idp.ErrMailCode) {
					t.Errorf("Reset(%s): %v, want ErrMailCode", address, err)
				}
				made = append(made, c.made)
			}
			if !slices.Equal(made[0], made[1]) || !slices.Equal(made[0], made[2]) {
				t.Errorf("asked %v: the stores are asked %v", asked, made)
			}
		}
	})
	t.Run("A11: and asking too often: three are free, then a minute, for every spelling of the address together", func(t *testing.T) {
		_, rs, _ := recovering(t)
		for _, address := range addresses {
			for n := range 6 {
				spelt := address
				if n%2 == 1 {
					spelt = " " + strings.ToUpper(address)
				}
				err := rs.Ask(t.Context(), spelt, "browser", "cy")
				if limited, ok := errors.AsType[idp.Limited](err); (n < 4) != (err == nil) || n >= 4 && (!ok || limited.Wait != time.Minute) {
					t.Errorf("Ask(%s) number %d: %v", spelt, n+1, err)
				}
			}
		}
	})
	t.Run("own rule: a stranger who asks for codes of one purpose keeps nobody from those of another", func(t *testing.T) {
		o, rs, _ := recovering(t)
		for range 4 {
			if err := o.mailed.Pretend(t.Context(), "claim browser", nurse, nurseMail, "cy"); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.mailed.Pretend(t.Context(), "claim another", nurse, nurseMail, "cy"); !errors.Is(err, idp.ErrLimited) {
			t.Errorf("a fifth of one purpose: %v", err)
		}
		if err := rs.Ask(t.Context(), nurseMail, "browser", "cy"); err != nil {
			t.Errorf("Ask: %v", err)
		}
	})
	t.Run("A9: the code is of the one who asked, goes to the address that the registry has, and changes their password alone", func(t *testing.T) {
		o, rs, _ := recovering(t)
		if err := rs.Ask(t.Context(), "NURSE@ward.example", "browser", "cy"); err != nil {
			t.Fatal(err)
		}
		code := o.mailedTo(nurseMail)
		never := func(idp.Owner) error { t.Error("it was taken"); return nil }
		for _, address := range []string{porterMail, nobody} {
			if err := rs.Reset(t.Context(), address, "browser", code, never); !errors.Is(err, idp.ErrMailCode) {
				t.Errorf("for %s: %v", address, err)
			}
		}
		of := ""
		if err := rs.Reset(t.Context(), nurseMail, "browser", code, func(owner idp.Owner) error { of = owner.Person.UID; return nil }); err != nil || of != nurse {
			t.Errorf("Reset: %v, of %q", err, of)
		}
		if err := rs.Reset(t.Context(), nurseMail, "browser", code, never); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("the second time: %v", err)
		}
	})
	t.Run("A9: a code is good in the browser that asked, and while the address is the person's", func(t *testing.T) {
		o, rs, c := recovering(t)
		if err := rs.Ask(t.Context(), nurseMail, "browser", "cy"); err != nil {
			t.Fatal(err)
		}
		code := o.mailedTo(nurseMail)
		never := func(idp.Owner) error { t.Error("it was taken"); return nil }
		for range 10 { // a stranger's guesses use nothing up
			if err := rs.Reset(t.Context(), nurseMail, "another", code, never); !errors.Is(err, idp.ErrMailCode) {
				t.Errorf("in another browser: %v", err)
			}
		}
		if err := c.SaveEmail(t.Context(), nurse, "new@ward.example", idp.Act{Event: idp.Event{At: o.now}}); err != nil {
			t.Fatal(err)
		}
		if err := rs.Reset(t.Context(), "new@ward.example", "browser", code, never); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("after the address was changed: %v", err)
		}
	})
	t.Run("A9: a password that is suspended gets no code: getting one back undoes no loss", func(t *testing.T) {
		o, rs, _ := recovering(t)
		held, err := o.accounts.Held(t.Context(), o.owner(nurse, authenticators.AAL2))
		if err != nil {
			t.Fatal(err)
		}
		if err := o.accounts.Lose(t.Context(), o.owner(nurse, authenticators.AAL2), held[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := rs.Ask(t.Context(), nurseMail, "browser", "cy"); err != nil || o.mailedTo(nurseMail) != "" {
			t.Errorf("Ask: %v, mails %v", err, o.registry.Mails())
		}
	})
	t.Run("A9: setting the password uses up the one-time code that was shown, and its person is told", func(t *testing.T) {
		o, _, _ := recovering(t)
		owner := o.owner(nurse, authenticators.AAL2)
		held, err := o.accounts.Held(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		a := held[0]
		use := authenticators.Use{ID: a.ID, Mark: json.RawMessage(`{"step":2}`), Was: a.Mark}
		if err := o.accounts.SetPassword(t.Context(), owner, a, use, "step 2"); err != nil {
			t.Fatal(err)
		}
		if e := o.last(); e.Kind != idp.PasswordChanged || !slices.Contains(o.told(), "mail.password "+nurseMail+" cy") {
			t.Errorf("recorded %+v, told %v", e, o.told())
		}
		told := len(o.told())
		if err := o.accounts.SetPassword(t.Context(), owner, a, use, "step 2"); !errors.Is(err, authenticators.ErrAnswer) || len(o.told()) != told {
			t.Errorf("the same code again: %v, told %v", err, o.told())
		}
	})
	t.Run("own rule: what is no address is refused before anybody is looked for", func(t *testing.T) {
		_, rs, c := recovering(t)
		for _, text := range []string{"", "nurse", "x <nurse@ward.example>"} {
			if err := rs.Ask(t.Context(), text, "browser", "cy"); !errors.Is(err, idp.ErrEmail) {
				t.Errorf("Ask(%q): %v", text, err)
			}
			if err := rs.Reset(t.Context(), text, "browser", "x", nil); !errors.Is(err, idp.ErrEmail) {
				t.Errorf("Reset(%q): %v", text, err)
			}
		}
		if len(c.made) != 0 {
			t.Errorf("the stores were asked %v", c.made)
		}
	})
}
