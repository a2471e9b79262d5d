package idp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Lowerable finds authenticators of a level, and writes down that one is worth
// less.
type Lowerable interface {
	// HeldAt returns up to most authenticators of that kind and level, in the
	// order of their IDs, those after the ID after.
	HeldAt(ctx context.Context, kind authenticators.Kind, level authenticators.Level, after string, most int) ([]authenticators.Authenticator, error)

	// LowerAuthenticator gives the authenticator a another method and level, in
	// one transaction with act, and changes nothing else of it. ErrNotFound if
	// it is not held any more at a.Level by a.Subject, or that is no higher.
	LowerAuthenticator(ctx context.Context, a authenticators.Authenticator, method authenticators.Method, level authenticators.Level, act Act) error
}

// Rechecks judges the keys of the highest level anew. A sign-in finds out by
// itself what a key is worth today; this writes it down, and tells its person
// before they stand before a patient.
type Rechecks struct {
	Held    Lowerable
	Judge   func(context.Context, authenticators.Authenticator) (authenticators.Method, authenticators.Level, error)
	People  People
	Journal Journal
	Now     func() time.Time
}

// Rechecked is what came of a night.
type Rechecked struct {
	Keys, Lowered, Unread int
}

// nightBegins and nightEnds are hours of UTC, between which nobody waits for
// what is done.
const nightBegins, nightEnds = 2, 6

// Night is the name of the night that it is now, or "" by day.
func (r *Rechecks) Night() string {
	now := r.Now().UTC()
	if h := now.Hour(); h < nightBegins || h >= nightEnds {
		return ""
	}
	return now.Format(time.DateOnly)
}

// Begin makes this server the one that judges all keys that night. ErrUsed if
// another has.
func (r *Rechecks) Begin(ctx context.Context, night string) error {
	return r.Journal.Record(ctx, Event{At: r.Now(), Kind: KeysRechecked, Reason: night}, Fence{Kind: RecheckFence, Hash: night})
}

// All judges all keys, and lowers those that are worth less. One that cannot be
// judged is left as it is, and counted: a sign-in refuses it or not.
func (r *Rechecks) All(ctx context.Context) (Rechecked, error) {
	const page = 100
	var done Rechecked
	for after := ""; ; {
		held, err := r.Held.HeldAt(ctx, authenticators.KeyKind, authenticators.AAL3, after, page)
		if err != nil {
			return done, fmt.Errorf("keys to judge again: %w", err)
		}
		for _, a := range held {
			after = a.ID
			done.Keys++
			method, level, err := r.Judge(ctx, a)
			if ctx.Err() != nil {
				return done, ctx.Err() // what is judged in no time is not judged
			}
			if err != nil {
				done.Unread++
				continue
			}
			if level >= a.Level {
				continue
			}
			switch err := r.lower(ctx, a, method, level); {
			case err == nil:
				done.Lowered++
			case !errors.Is(err, ErrNotFound): // it was removed meanwhile
				return done, err
			}
		}
		if len(held) < page {
			return done, nil
		}
	}
}

func (r *Rechecks) lower(ctx context.Context, a authenticators.Authenticator, method authenticators.Method, level authenticators.Level) error {
	p, err := r.People.Person(ctx, a.Subject)
	if err != nil {
		return fmt.Errorf("whose key it is: %w", err)
	}
	act := Act{Event: Event{At: r.Now(), Kind: AuthenticatorLowered, Subject: a.Subject, Authenticator: a.Called(), Method: string(method), Level: int(level)}}
	if p.Email != "" {
		act.Mails = []Mail{{To: p.Email, Text: "mail.lowered", Args: map[string]string{"name": a.Name}}}
	}
	if err := r.Held.LowerAuthenticator(ctx, a, method, level, act); err != nil {
		return fmt.Errorf("lower %s: %w", a.Called(), err)
	}
	return nil
}
