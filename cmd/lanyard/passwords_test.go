package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// counted notes what is counted, and under which limit.
type counted struct {
	attempts, clears []idp.LimitKey
	limit            idp.Limit
	says             error
}

func (c *counted) Attempt(_ context.Context, key idp.LimitKey, limit idp.Limit, _ time.Time) error {
	c.attempts, c.limit = append(c.attempts, key), limit
	return c.says
}

func (c *counted) Clear(_ context.Context, key idp.LimitKey) error {
	c.clears = append(c.clears, key)
	return c.says
}

// addressed is one person, found by e-mail.
type addressed struct{ idp.Contacts }

func (addressed) PersonByEmail(_ context.Context, email string) (idp.Contact, error) {
	switch email {
	case "asha.smith@riverside.example":
		return idp.Contact{UID: "555000000101"}, nil
	case "":
		return idp.Contact{}, idp.ErrUnavailable
	}
	return idp.Contact{}, idp.ErrNotFound
}

func TestPasswords(t *testing.T) {
	t.Run("A1: tries at a password count for the account over all networks, and the limit's word comes back as it is", func(t *testing.T) {
		c := &counted{says: idp.Limited{Wait: time.Minute}}
		g := guesses{limits: c, kind: authenticators.CodeKind, now: time.Now}
		want := idp.LimitKey{Account: "555000000101", Authenticator: "totp"}
		if err := g.Attempt(t.Context(), "555000000101"); err != c.says || c.limit != idp.GuessLimit { //nolint:errorlint // the very same
			t.Errorf("Attempt() = %v under %+v", err, c.limit)
		}
		c.says = nil
		if err := g.Clear(t.Context(), "555000000101"); err != nil || c.attempts[0] != want || c.clears[0] != want {
			t.Errorf("Clear() = %v; attempts %+v, clears %+v", err, c.attempts, c.clears)
		}
	})
	t.Run("A11: an e-mail that is nobody's is not an outage, and an outage is not nobody's e-mail", func(t *testing.T) {
		n := names{addressed{}}
		if uid, err := n.ByEmail(t.Context(), "asha.smith@riverside.example"); uid != "555000000101" || err != nil {
			t.Errorf("ByEmail() = %s, %v", uid, err)
		}
		if _, err := n.ByEmail(t.Context(), "nobody@riverside.example"); !errors.Is(err, authenticators.ErrNotHeld) {
			t.Errorf("nobody's: %v", err)
		}
		if _, err := n.ByEmail(t.Context(), ""); !errors.Is(err, idp.ErrUnavailable) || errors.Is(err, authenticators.ErrNotHeld) {
			t.Errorf("an outage: %v", err)
		}
	})
	t.Run("A11: tries at nobody's e-mail are counted by the spellings that the registry takes for one", func(t *testing.T) {
		n := names{addressed{}}
		if n.Spelt(" Nobody@Riverside.example\n") != n.Spelt("nobody@riverside.example") {
			t.Error("space and capitals make two of one")
		}
		if n.Spelt("\uff4eobody@riverside.example") == n.Spelt("nobody@riverside.example") {
			t.Error("what the registry tells apart is counted as one")
		}
	})
}
