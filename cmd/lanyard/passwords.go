package main

import (
	"context"
	"errors"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
)

// guesses counts the tries at what a room judges, by the rules of what can be
// guessed. They count wherever they come from: an account is one, and the
// networks that guess at it are many.
type guesses struct {
	limits idp.Limits
	kind   authenticators.Kind
	now    func() time.Time
}

var _ totp.Guesses = guesses{}

func (g guesses) key(account string) idp.LimitKey {
	return idp.LimitKey{Account: account, Authenticator: string(g.kind)}
}

// Attempt implements totp.Guesses.
func (g guesses) Attempt(ctx context.Context, account string) error {
	return g.limits.Attempt(ctx, g.key(account), idp.GuessLimit, g.now())
}

// Clear implements totp.Guesses.
func (g guesses) Clear(ctx context.Context, account string) error {
	return g.limits.Clear(ctx, g.key(account))
}

// names finds people by the e-mail that they sign in with.
type names struct{ contacts idp.Contacts }

var _ totp.People = names{}

// ByEmail implements totp.People.
func (n names) ByEmail(ctx context.Context, email string) (string, error) {
	p, err := n.contacts.PersonByEmail(ctx, email)
	if errors.Is(err, idp.ErrNotFound) {
		return "", authenticators.ErrNotHeld
	}
	return p.UID, err
}

// Spelt implements totp.People.
func (names) Spelt(email string) string { return idp.EmailKey(email) }
