package provider

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// guesses are the wrong secrets of clients that this server saw, each by its
// client and where it came from.
//
// A client that shows the right secret pays nothing for the limit: code
// redemption is one script, and stays one. The check needs no store and takes a
// microsecond, so it is made with the guess in hand under one lock: of many
// guesses at once, one is judged here and the others are known for what they
// are. From then on, each try from there is counted by idp.Limits before it is
// judged, over all servers, as is the first. So each server gives away one
// guess, and no more.
type guesses struct {
	mu   sync.Mutex
	last map[idp.LimitKey]time.Time
}

const (
	guessMemory = time.Hour // after the last wrong secret
	maxGuesses  = 10_000    // beyond it one is forgotten: a guess more for somebody
)

// first judges a secret, unless a wrong one came before: then counted says that
// the limit must be asked.
func (g *guesses) first(key idp.LimitKey, now time.Time, right func() bool) (ok, counted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if last, known := g.last[key]; known && now.Sub(last) < guessMemory {
		return false, true
	}
	if right() {
		return true, false
	}
	g.note(key, now)
	return false, false
}

// note is called with the lock.
func (g *guesses) note(key idp.LimitKey, now time.Time) {
	if g.last == nil {
		g.last = map[idp.LimitKey]time.Time{}
	}
	for some := range g.last {
		if len(g.last) < maxGuesses {
			break
		}
		delete(g.last, some)
	}
	g.last[key] = now
}

func (g *guesses) forget(key idp.LimitKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.last, key)
}

func (g *guesses) again(key idp.LimitKey, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(key, now)
}

// checkSecret says nil if secret is the one of c. Wrong ones are counted for
// the client and where they come from, so a stranger can keep a client out
// from no place but their own.
func (p *Provider) checkSecret(ctx context.Context, c idp.Client, secret string) error {
	errWrong := wrong("client_secret", "wrong", "the registered one")
	right := func() bool { return c.CheckSecret(secret) }
	if p.Limits == nil {
		if !right() {
			return errWrong
		}
		return nil
	}

	var from netip.Addr
	if p.Address != nil {
		from = p.Address(ctx)
	}
	now, key := p.Logins.Now(), idp.LimitKey{Account: c.ID, Authenticator: "client_secret", Network: idp.Network(from)}
	ok, counted := p.guesses.first(key, now, right)
	if ok {
		return nil
	}
	if err := p.Limits.Attempt(ctx, key, idp.SecretLimit, now); err != nil {
		return err
	}
	if !counted || !right() {
		p.guesses.again(key, now)
		return errWrong
	}
	p.guesses.forget(key)
	return p.Limits.Clear(ctx, key)
}
