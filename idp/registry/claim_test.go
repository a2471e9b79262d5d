package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// counter is where people claim: a world, and what its stores are asked.
type counter struct {
	*world
	*Claims
	made   []string // calls
	kept   map[string][]byte
	told   []idp.Act
	broken error // what the registry says to a change
}

func (c *counter) note(call string) { c.made = append(c.made, call) }

func (c *counter) PersonByEmail(_ context.Context, email string) (idp.Contact, error) {
	c.note("person")
	for _, p := range c.records.People {
		if p.Email != "" && idp.EmailKey(p.Email) == idp.EmailKey(email) {
			return idp.Contact{UID: p.UID, Email: p.Email, Profile: p.Profile, Robot: p.Robot.Owner != ""}, nil
		}
	}
	return idp.Contact{}, idp.ErrNotFound
}

func (*counter) SaveEmail(context.Context, string, string, idp.Act) error { return nil }

func (c *counter) HasNINumber(_ context.Context, uid, number string) (bool, error) {
	c.note("number")
	p := c.records.People[uid]
	return p != nil && p.NINumber == number && number != "", nil
}

func (c *counter) Ask(_ context.Context, name string, question []byte, _ time.Time) error {
	c.note("ask")
	c.kept[name] = question
	return nil
}

func (c *counter) Take(ctx context.Context, name string, now time.Time) ([]byte, error) {
	b, err := c.Look(ctx, name, now)
	c.made[len(c.made)-1] = "take"
	delete(c.kept, name)
	return b, err
}

func (c *counter) Look(_ context.Context, name string, _ time.Time) ([]byte, error) {
	c.note("look")
	b, ok := c.kept[name]
	if !ok {
		return nil, authenticators.ErrAnswer
	}
	return b, nil
}

func (c *counter) Tell(_ context.Context, act idp.Act) error {
	c.note("tell")
	c.told = append(c.told, act)
	return nil
}

func (c *counter) Attempt(ctx context.Context, key idp.LimitKey, l idp.Limit, now time.Time) error {
	c.note("count " + key.Authenticator)
	return c.world.Attempt(ctx, key, l, now)
}

func (c *counter) Change(ctx context.Context, t Touch, decide func(*Records) (idp.Act, error)) error {
	if c.broken != nil {
		return c.broken
	}
	return c.world.Change(ctx, t, decide)
}

// open seals nothing: who has it can read it.
type open struct{}

func (open) Seal(plain, _ []byte) ([]byte, error)    { return plain, nil }
func (open) Unseal(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// aCounter has a nurse who may claim.
func aCounter(t *testing.T) (*counter, string) {
	t.Helper()
	c := &counter{world: aWorld(t), kept: map[string][]byte{}}
	now := func() time.Time { return c.at }
	c.Claims = &Claims{Contacts: c, Insured: c, Keeper: c, Half: c, Limits: c, Puzzles: &idp.Puzzles{Sealer: open{}, Limits: c, Now: now},
		Mailed: &idp.MailCodes{Questions: c, Teller: c, Limits: c, Now: now}, Now: now}
	return c, c.add(func(p *directory.Person) { p.Email, p.NINumber = "nurse@ward.example", "QQ123456C" }, work("", "MID"))
}

// solved is a puzzle with its answer.
func (c *counter) solved(t *testing.T) (puzzle, answer string) {
	t.Helper()
	p, err := c.Puzzles.New()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for sum := [32]byte{255}; (uint32(sum[0])<<16|uint32(sum[1])<<8|uint32(sum[2]))>>(24-p.Bits) != 0; n++ {
		sum = sha256.Sum256(fmt.Appendf(nil, "%s:%d", p.Text, n))
	}
	return p.Text, fmt.Sprint(n - 1)
}

// begins begins a claim in a browser.
func (c *counter) begins(t *testing.T, email, number, browser string) error {
	t.Helper()
	puzzle, answer := c.solved(t)
	return c.Begin(t.Context(), Claimed{Email: email, Number: number, Puzzle: puzzle, Answer: answer, Network: somewhere, Browser: browser, Lang: "cy"})
}

// mailed is the code of the last mail.
func (c *counter) mailed(t *testing.T) string {
	t.Helper()
	for _, act := range slices.Backward(c.told) {
		for _, m := range act.Mails {
			return m.Args["code"]
		}
	}
	t.Fatal("no code was mailed")
	return ""
}

// comes brings the nurse, in a browser, to where a key is added.
func (c *counter) comes(t *testing.T, browser string) {
	t.Helper()
	err := c.begins(t, "nurse@ward.example", "qq 12 34 56 c", browser)
	if err == nil {
		err = c.Prove(t.Context(), browser, c.mailed(t))
	}
	if err == nil {
		err = c.Choose(t.Context(), browser, authenticators.KeyKind, true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestClaims(t *testing.T) {
	t.Run("A11: whatever is wrong with a claim, its stores are asked the same, until the code is shown and with it", func(t *testing.T) {
		c, _ := aCounter(t)
		profile := func(email string, state idp.Profile) string {
			c.add(func(p *directory.Person) { p.Email, p.NINumber, p.Profile = email, "QQ123456D", state })
			return email
		}
		c.add(func(p *directory.Person) { p.Email = "none@ward.example" })
		c.add(func(p *directory.Person) {
			p.Email, p.NINumber, p.Robot = "robot@ward.example", "QQ123456D", directory.Robot{Owner: "x"}
		})
		var want []string
		for i, who := range [][2]string{{"nurse@ward.example", "QQ123456C"}, {"nurse@ward.example", "QQ123456D"}, {"NURSE@ward.example ", ""}, {"nobody@ward.example", "QQ123456C"},
			{"", ""}, {strings.Repeat("x", 5000), strings.Repeat("1", 5000)}, {"none@ward.example", "QQ123456D"}, {"robot@ward.example", "QQ123456D"},
			{profile("u@ward.example", idp.Unverified), "QQ123456D"}, {profile("r@ward.example", idp.Restricted), "QQ123456D"}, {profile("c@ward.example", idp.Closed), "QQ123456D"}} {
			browser := fmt.Sprint("browser ", i)
			c.made = nil
			told := len(c.told)
			if err := c.begins(t, who[0], who[1], browser); err != nil {
				t.Errorf("%.30v: %v", who, err)
			}
			sent := !c.told[told].Mails[0].ForNobody()
			if sent != (i == 0) {
				t.Errorf("%.30v: a code was sent: %t", who, sent)
			}
			for range 7 {
				if err := c.Prove(t.Context(), browser, "0000-0000"); err != error(idp.ErrMailCode) { //nolint:errorlint // it must be that one, with nothing around it
					t.Errorf("%.30v, a guess: %v", who, err)
				}
			}
			if want == nil {
				want = c.made
			}
			if !slices.Equal(c.made, want) {
				t.Errorf("%.30v: the stores are asked %v, otherwise %v", who, c.made, want)
			}
			if _, err := c.Who(t.Context(), browser); !errors.Is(err, ErrClaimGone) {
				t.Errorf("%.30v: without the code: %v", who, err)
			}
		}
	})
	t.Run("A7: what is claimed is worth AAL2 whatever the room says, and is marked", func(t *testing.T) {
		c, uid := aCounter(t)
		c.comes(t, "browser")
		if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "Blue key", byPhone); err != nil {
			t.Fatal(err)
		}
		a := c.person(uid).Authenticators[0]
		if a.Level != 2 || a.Method != authenticators.Passkey || !a.SelfClaimed || a.State != authenticators.Active || a.Name != "Blue key" {
			t.Errorf("%+v", a)
		}
		if e := c.last(); e.Reason != "self-claimed" || e.Actor != uid || e.Level != 2 || e.Request != "REQUEST2" {
			t.Errorf("the journal has %+v", e)
		}
		if m := c.mails[len(c.mails)-1]; m.Text != "mail.claimed" || m.To != "nurse@ward.example" || m.Lang != "cy" {
			t.Errorf("the mail is %+v", m)
		}
		if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "i"), "x", byPhone); !errors.Is(err, ErrClaimGone) {
			t.Errorf("a second thing by one claim: %v", err)
		}
	})
	t.Run("A7: of two claims of one profile one adds something, and the other is told", func(t *testing.T) {
		c, uid := aCounter(t)
		c.comes(t, "one")
		c.comes(t, "other")
		if err := c.Bind(t.Context(), "one", aKeyOf(uid, "h"), "x", byPhone); err != nil {
			t.Fatal(err)
		}
		if err := c.Bind(t.Context(), "other", aKeyOf(uid, "i"), "x", byPhone); !errors.Is(err, ErrClaimBehind) || len(c.person(uid).Authenticators) != 1 {
			t.Errorf("the other: %v", err)
		}
		c.comes(t, "other") // who knows of the first may add another
		if err := c.Bind(t.Context(), "other", aKeyOf(uid, "i"), "x", byPhone); err != nil || len(c.person(uid).Authenticators) != 2 {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("A7: what has changed since the code was shown ends a claim, and an outage does not", func(t *testing.T) {
		for _, tt := range []struct {
			change func(*counter, *Person)
			want   error
		}{
			{func(_ *counter, p *Person) { p.Profile = idp.Restricted }, ErrRestricted},
			{func(_ *counter, p *Person) { p.Profile = idp.Unverified }, ErrUnverified},
			{func(_ *counter, p *Person) { p.Profile = idp.Closed }, ErrClosed},
			{func(_ *counter, p *Person) { p.Email = "another@ward.example" }, ErrClaimBehind},
			{func(_ *counter, p *Person) { p.Authenticators = make([]directory.Authenticator, maxAuthenticators) }, ErrMany},
			{func(c *counter, _ *Person) { c.broken = idp.ErrUnavailable }, idp.ErrUnavailable},
			{func(c *counter, _ *Person) { c.broken = idp.ErrTaken }, idp.ErrTaken},
		} {
			c, uid := aCounter(t)
			c.comes(t, "browser")
			tt.change(c, c.person(uid))
			if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "x", byPhone); !errors.Is(err, tt.want) {
				t.Errorf("Bind: %v, want %v", err, tt.want)
			}
			c.broken = nil
			_, err := c.Find(t.Context(), "browser")
			if goes := tt.want == idp.ErrUnavailable || tt.want == idp.ErrTaken; goes != (err == nil) { //nolint:errorlint // rows of this table
				t.Errorf("after %v: %v", tt.want, err)
			}
		}
	})
	t.Run("A7: nothing is added that was not chosen, is another's or has no name", func(t *testing.T) {
		c, uid := aCounter(t)
		codes := aKeyOf(uid, "h")
		codes.Kind = authenticators.CodeKind
		for name, try := range map[string]struct {
			a    authenticators.Authenticator
			name string
			want error
		}{"another kind": {codes, "x", ErrClaimGone}, "another's": {aKeyOf("000000000009", "h"), "x", ErrClaimGone}, "no name": {aKeyOf(uid, "h"), " ", idp.ErrUnnamed}} {
			c.comes(t, "browser")
			if err := c.Bind(t.Context(), "browser", try.a, try.name, byPhone); !errors.Is(err, try.want) || len(c.person(uid).Authenticators) > 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.Choose(t.Context(), "another browser", authenticators.KeyKind, true); !errors.Is(err, ErrClaimGone) {
			t.Errorf("in another browser: %v", err)
		}
	})
	t.Run("A7: claims are counted by network, address and profile before they are judged, and forgotten once something is bound: but for the network", func(t *testing.T) {
		c, uid := aCounter(t)
		if err := c.begins(t, " NURSE@ward.example", "QQ123456C", "browser"); err != nil {
			t.Fatal(err)
		}
		theirs := []idp.LimitKey{addressKey("nurse@ward.example"), profileKey(uid)}
		for _, key := range append(theirs, networkKey(somewhere)) {
			if c.tried[key] != 1 {
				t.Errorf("%+v is not counted: %v", key, c.tried)
			}
		}
		if err := c.Prove(t.Context(), "browser", c.mailed(t)); err != nil {
			t.Fatal(err)
		}
		if err := c.Choose(t.Context(), "browser", authenticators.KeyKind, true); err != nil {
			t.Fatal(err)
		}
		if len(c.cleared) > 0 {
			t.Errorf("a code alone makes forgotten: %v", c.cleared)
		}
		if err := c.Bind(t.Context(), "browser", aKeyOf(uid, "h"), "Blue key", byPhone); err != nil {
			t.Fatal(err)
		}
		for _, key := range theirs {
			if !slices.Contains(c.cleared, key) {
				t.Errorf("%+v is not forgotten: %v", key, c.cleared)
			}
		}
		if slices.Contains(c.cleared, networkKey(somewhere)) {
			t.Errorf("what comes from a network is forgotten: %v", c.cleared)
		}
	})
}
