package main

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// operation is what is measured, with its budget in signatures.
type operation struct {
	name   string
	budget float64
	do     func(ctx context.Context, n int) error
	before func(ctx context.Context) error // makes ready, once; may be nil
	hashes bool                            // a password each, with the memory that it takes, and not often: an eighth of the time
}

// named says whether the operation is one of those that are asked for.
func (o operation) named(only string) bool {
	return slices.ContainsFunc(strings.Split(only, ","), func(begins string) bool { return strings.HasPrefix(o.name, begins) })
}

// keyBudget is what a sign-in by key may cost: as much as one by card.
const keyBudget = 1.05

// operations are everything that is measured.
func (b *bench) operations(ctx context.Context) ([]operation, error) {
	w := b.world
	var all []operation
	clients := map[string]*client{}
	for _, alg := range []string{"ES256", "RS256"} {
		clients[alg] = w.client(alg, &keyCache{life: forever, unknown: true})
	}
	whole := map[string]float64{"ES256": 1.05, "RS256": 2.1}
	live := map[string]float64{"ES256": 0.75, "RS256": 1.8}
	var tokens []string
	for _, alg := range []string{"ES256", "RS256"} {
		c := clients[alg]
		all = append(all, operation{name: "sign-in by card, " + alg, budget: whole[alg], do: func(ctx context.Context, n int) error {
			_, err := w.flow(n, c).run(ctx)
			return err
		}})
	}
	key, code := b.held(clients["ES256"])
	all = append(all, key)
	for _, alg := range []string{"ES256", "RS256"} {
		browsers := make(chan *flow, len(w.crowd.holders))
		for n := range cap(browsers) {
			f := w.flow(n, clients[alg])
			r, err := f.run(ctx)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, r.tokens.access)
			browsers <- f
		}
		all = append(all, operation{name: "sign-in in a live session, " + alg, budget: live[alg], do: func(ctx context.Context, _ int) error {
			f := <-browsers
			defer func() { browsers <- f }()
			_, err := f.run(ctx)
			return err
		}})
	}
	s := w.site()
	all = append(all, operation{name: "userinfo", budget: 0.13, do: func(ctx context.Context, n int) error {
		a, err := s.userinfo(ctx, tokens[n%len(tokens)])
		if err == nil && a.status != http.StatusOK {
			err = problem("ask userinfo", a)
		}
		return err
	}})
	for _, alg := range []string{"ES256", "RS256"} {
		all = append(all, b.later(alg)...)
	}
	for _, public := range []struct{ name, path string }{{"discovery", "/.well-known/openid-configuration"}, {"keys", "/jwks"}} {
		name, path := public.name, public.path
		all = append(all, operation{name: name, budget: 0.03, do: func(ctx context.Context, _ int) error {
			a, err := s.ask(ctx, http.MethodGet, path, nil, "")
			if err == nil && a.status != http.StatusOK {
				err = problem("ask for "+name, a)
			}
			return err
		}})
	}
	return append(all, code), nil // last: a server gives back slowly what hashing took
}

// held are the sign-ins with what people hold beside their cards, which they
// add before.
func (b *bench) held(c *client) (key, code operation) {
	holders := make(chan holder, len(b.world.crowd.holders))
	for _, h := range b.world.crowd.holders {
		holders <- h
	}
	add := func(what func(ctx context.Context, p *person, h *holder) error) func(context.Context) error {
		return func(ctx context.Context) error {
			for n := range cap(holders) {
				f := b.world.flow(n, c)
				f.holder = <-holders
				if _, err := f.run(ctx); err != nil {
					return err
				}
				if err := what(ctx, f.person, &f.holder); err != nil {
					return err
				}
				holders <- f.holder
			}
			return nil
		}
	}
	with := func(way func(*flow, context.Context, answer) (answer, error)) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			f := b.world.flow(n, c)
			f.holder, f.params = <-holders, aal2
			defer func() { holders <- f.holder }()
			f.way = func(ctx context.Context, ways answer) (answer, error) { return way(f, ctx, ways) }
			_, err := f.run(ctx)
			return err
		}
	}
	key = operation{name: "sign-in by key, ES256", budget: keyBudget, do: with((*flow).useKey),
		before: add(func(ctx context.Context, p *person, h *holder) (err error) {
			h.key, err = p.addKey(ctx, testkey.ES256)
			return err
		})}
	// No budget: hashing the password is nearly all of it, and is meant to cost.
	code = operation{name: "sign-in by code, ES256", hashes: true, do: with((*flow).useCode),
		before: add(func(ctx context.Context, p *person, h *holder) (err error) {
			h.app, err = p.addCode(ctx)
			return err
		})}
	return key, code
}
