package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
)

// raceCodes is F25.
func raceCodes(ctx context.Context, t *trial) error {
	const tries = 50
	return t.in(ctx, plan{}, func(w *world) error {
		codes, c := t.size(200, 20), w.client("ES256", nil)
		for n := range codes {
			r, err := w.flow(n, c).code(ctx)
			if err != nil {
				return err
			}
			won, err := w.race(tries, func(s *site) (answer, error) { return r.request.redeem(ctx, s, r.code, nil) })
			if err != nil {
				return err
			}
			if len(won) != 1 {
				return fmt.Errorf("code %d: %d of %d got tokens", n+1, len(won), tries)
			}
			if r.tokens, err = r.request.accept(ctx, w.site(), won[0]); err != nil {
				return err
			}
			w.ledger.redeemed(r)
			w.ledger.reused(r.code)
		}
		t.report("%d codes, each shown %d times to two servers at once: %d tokens, all of them revoked by the second use", codes, tries, codes)
		return w.audit(ctx)
	})
}

// race lets n ask at once, in turn at each server, and returns what those got
// who succeeded. The others must have been refused, and not by a fault.
func (w *world) race(n int, ask func(s *site) (answer, error)) ([]answer, error) {
	type outcome struct {
		answer answer
		err    error
	}
	var sites []*site
	for _, s := range w.servers {
		sites = append(sites, w.siteOf(s))
	}
	var won []answer
	var broken findings
	for _, o := range together(n, func(i int) outcome {
		a, err := ask(sites[i%len(sites)])
		return outcome{a, err}
	}) {
		switch {
		case o.err != nil:
			broken.add(o.err)
		case o.answer.status < 400:
			won = append(won, o.answer)
		case o.answer.status >= 500:
			broken.add(problem("lose a race", o.answer))
		}
	}
	return won, broken.err()
}

// raceOnce is F26, for what is used once beside codes: a handle, a card's
// signature, a completion code and a client's assertion.
func raceOnce(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		rounds := t.size(200, 10)
		for n := range rounds {
			if err := w.raceCard(ctx, w.flow(n, w.client("ES256", nil))); err != nil {
				return fmt.Errorf("card %d: %w", n+1, err)
			}
		}
		for n := range rounds {
			if err := w.raceAssertion(ctx, w.flow(n, w.client(assertionClient, nil))); err != nil {
				return fmt.Errorf("assertion %d: %w", n+1, err)
			}
		}
		t.report("%d handles, signatures, completion codes and assertions, each used %d times at once: each once", rounds, raceTries)
		return w.audit(ctx)
	})
}

const raceTries = 50

// raceCard signs in by card, with everybody at every step.
func (w *world) raceCard(ctx context.Context, f *flow) error {
	ways, err := f.person.open(ctx, "GET", f.client.request().address(nil), nil)
	if err != nil {
		return err
	}
	way, err := formTo(ways.body, "/login/smartcard/begin")
	if err != nil {
		return err
	}
	page, err := f.person.submit(ctx, way, nil)
	if err != nil {
		return err
	}
	handle, err := handleIn(link(page.body, "lanyard-desk:"))
	if err != nil {
		return err
	}
	agents := make(chan *agent, raceTries)
	won, err := w.race(raceTries, func(s *site) (answer, error) {
		a, err := newAgent(s, f.holder.card, f.holder.passcode)
		if err != nil {
			return answer{}, err
		}
		got, err := a.redeem(ctx, handle)
		if err == nil && got.status == 200 {
			agents <- a
		}
		return got, err
	})
	if err != nil || len(won) != 1 {
		return fmt.Errorf("%d redeemed the handle: %w", len(won), err)
	}
	a := <-agents
	jws, err := a.sign()
	if err != nil {
		return err
	}
	if won, err = w.race(raceTries, func(s *site) (answer, error) {
		own := *a
		own.site = s
		return own.respond(ctx, jws)
	}); err != nil || len(won) != 1 {
		return fmt.Errorf("%d got a completion code: %w", len(won), err)
	}
	code, err := completion(won[0])
	if err != nil {
		return err
	}
	return w.raceDone(f, a.done(code), ctx)
}

// raceDone finishes one sign-in in many tabs at once.
func (w *world) raceDone(f *flow, address string, ctx context.Context) error {
	cookies := f.person.cookies
	var mu sync.Mutex
	sessions := map[string]bool{}
	_, err := w.race(raceTries, func(s *site) (answer, error) {
		p := newPerson(s)
		for name, value := range cookies {
			p.cookies[name] = value
		}
		got, err := p.once(ctx, "GET", address, nil)
		if secret := p.session(); secret != "" {
			mu.Lock()
			sessions[secret] = true
			mu.Unlock()
		}
		return got, err
	})
	if err != nil || len(sessions) != 1 {
		return fmt.Errorf("%d sessions of one proof: %w", len(sessions), err)
	}
	for secret := range sessions {
		w.ledger.signedIn(secret, "", f.holder.uid)
	}
	return nil
}

// raceAssertion redeems many codes with one assertion.
func (w *world) raceAssertion(ctx context.Context, f *flow) error {
	results := make(chan result, raceTries)
	for range cap(results) {
		r, err := f.code(ctx) // the first shows the card, the others go through
		if err != nil {
			return err
		}
		results <- r
	}
	assertion, err := f.client.assertion(f.person.site)
	if err != nil {
		return err
	}
	proof := url.Values{"client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	won, err := w.race(raceTries, func(s *site) (answer, error) {
		r := <-results
		a, err := r.request.redeem(ctx, s, r.code, proof)
		if err == nil && a.status == 200 {
			if r.tokens, err = r.request.accept(ctx, s, a); err == nil {
				w.ledger.redeemed(r)
			}
		}
		return a, err
	})
	if err != nil || len(won) != 1 {
		return fmt.Errorf("%d tokens for one assertion: %w", len(won), err)
	}
	return nil
}
