package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// bridgePolicy answers applications of the old service.
func bridgePolicy() map[string]string {
	return map[string]string{"bridge.exchange": "true", "bridge.session_manager": "true"}
}

// endsWithin is how soon what came of a session of the old service is worth
// nothing when that has ended.
const endsWithin = 5 * time.Second

// breakBridge is F22: what the sessions of the old service stand on is gone or
// slow, or one ends while a token is made of it.
func breakBridge(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{policy: bridgePolicy()}, func(w *world) error {
		ways := []outageOf{
			{"Redis answering after 2 s", func() error { w.toRedis.slow(2 * time.Second); return nil }, func() error { w.toRedis.heal(); return nil }},
			{"Redis cut off", func() error { w.toRedis.sever(); return nil }, func() error { w.toRedis.heal(); return nil }},
			{"Redis frozen", w.redis.Freeze, w.redis.Thaw},
			{"PostgreSQL frozen", w.postgres.Freeze, w.postgres.Thaw},
		}
		tokens := &ssoTokens{world: w}
		for _, o := range ways[:t.size(len(ways), 2)] {
			for range t.size(5, 1) {
				if err := w.outageOfBridge(ctx, t, tokens, o); err != nil {
					return fmt.Errorf("%s: %w", o.how, err)
				}
			}
		}
		races := t.size(500, 40)
		if err := tokens.makeSome(ctx, races); err != nil {
			return err
		}
		made := 0
		for n := range races {
			got, err := w.raceEnd(ctx, tokens.made[n], n)
			if err != nil {
				return fmt.Errorf("race %d: %w", n+1, err)
			}
			if got {
				made++
			}
		}
		t.report("%d races between an exchange and the session's end: %d tokens were made before it, none lived %s after, and none was made", races, made, endsWithin)
		return w.audit(ctx)
	})
}

// outageOfBridge exchanges SSO tokens while something is gone, and afterwards.
func (w *world) outageOfBridge(ctx context.Context, t *trial, tokens *ssoTokens, o outageOf) error {
	if err := tokens.makeSome(ctx, 4*len(w.servers)); err != nil {
		return err
	}
	if err := o.gone(); err != nil {
		return err
	}
	var broken findings
	for _, s := range w.servers {
		for range 2 {
			broken.add(w.toldOfOutage(ctx, t, s, tokens))
		}
	}
	if err := errors.Join(broken.err(), o.back()); err != nil {
		return err
	}
	if err := w.well(ctx); err != nil {
		return err
	}
	for _, s := range w.servers {
		token, err := tokens.take()
		if err != nil {
			return err
		}
		if _, err := w.client(worker("ES256"), nil).exchange(ctx, w.siteOf(s), token, anSSOToken); err != nil {
			return fmt.Errorf("%s, afterwards: %w", s.name, err)
		}
	}
	return nil
}

// toldOfOutage exchanges one at a server that cannot, or can only slowly.
func (w *world) toldOfOutage(ctx context.Context, t *trial, s *server, tokens *ssoTokens) error {
	token, err := tokens.take()
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = w.client(worker("ES256"), nil).exchange(ctx, w.siteOf(s), token, anSSOToken)
	if err != nil && !outage(err) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if took := time.Since(began); took > t.within(patienceOfPeople) {
		return fmt.Errorf("%s took %s to say so", s.name, took)
	}
	return nil
}

// raceEnd ends a session of the old service at one server while its token is
// exchanged at the other, and says whether a token was made.
func (w *world) raceEnd(ctx context.Context, token string, n int) (bool, error) {
	type outcome struct {
		access string
		err    error
	}
	one, other := w.siteOf(w.servers[0]), w.siteOf(w.servers[1])
	came := make(chan outcome, 1)
	go func() {
		access, err := w.client(worker("ES256"), nil).exchange(ctx, one, token, anSSOToken)
		came <- outcome{access, err}
	}()
	time.Sleep(time.Duration(n%10) * 400 * time.Microsecond)
	a, err := other.ask(ctx, http.MethodGet, "/identity/logout?"+url.Values{"subjectid": {token}}.Encode(), nil, "")
	ended := time.Now()
	got := <-came
	if err != nil {
		return false, err
	}
	if a.status != http.StatusOK {
		return false, problem("end the session", a)
	}
	var told oauthError
	if got.err != nil && (!errors.As(got.err, &told) || told.code != "invalid_request") {
		return false, got.err
	}
	_, err = w.client(worker("RS256"), nil).exchange(ctx, one, token, anSSOToken)
	switch {
	case err == nil:
		return false, errors.New("a token was made after the end")
	case !errors.As(err, &told) || told.code != "invalid_request":
		return false, fmt.Errorf("exchange after the end: %w", err)
	}
	if got.err != nil {
		return false, nil
	}
	for {
		info, err := one.userinfo(ctx, got.access)
		if err != nil {
			return true, err
		}
		if info.status == http.StatusUnauthorized {
			return true, nil
		}
		if time.Since(ended) > endsWithin {
			return true, fmt.Errorf("a token lives %s after the end", endsWithin)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
