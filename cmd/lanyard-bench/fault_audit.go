package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// killBetween is F37.
func killBetween(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		wanted := int64(t.size(10_000, 300))
		var given atomic.Int64
		var broken findings
		work, stop := context.WithCancel(ctx)
		defer stop()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, err := range together(16, func(i int) error { return w.collect(work, i, wanted, &given) }) {
				broken.add(err)
			}
			stop()
		}()
		kills := 0
		for ; work.Err() == nil; kills++ {
			wait(work, time.Duration(200+rand.IntN(800))*time.Millisecond)
			s := w.servers[kills%len(w.servers)]
			if err := s.kill(); err != nil {
				broken.add(err)
				stop()
			}
			if _, err := s.run(ctx); err != nil {
				broken.add(err)
				stop()
			}
			if err := w.allReady(ctx); err != nil {
				broken.add(err)
				stop()
			}
		}
		<-done
		if err := broken.err(); err != nil {
			return err
		}
		t.report("%d tokens given out while servers were killed %d times, each with its row", given.Load(), kills)
		return w.audit(ctx)
	})
}

// wait pauses the one who breaks things.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// collect gets tokens until there are enough of them, and looks for the row of
// each at once.
func (w *world) collect(ctx context.Context, i int, wanted int64, given *atomic.Int64) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	f := w.flow(i, w.client("ES256", nil))
	for ctx.Err() == nil && given.Load() < wanted {
		began := time.Now()
		r, err := f.run(ctx)
		switch {
		case r.tokens.access != "":
			given.Add(1)
			if err := hasRow(ctx, conn, r.tokens.access, began); err != nil && ctx.Err() == nil {
				return err
			}
		case outage(err) || ctx.Err() != nil:
			f = w.flow(i, f.client) // who loses an answer begins anew
		case err != nil:
			return err
		}
	}
	return nil
}

// hasRow looks for the event of a token that was just given out.
func hasRow(ctx context.Context, conn *pgx.Conn, token string, since time.Time) error {
	var n int
	err := conn.QueryRow(ctx, `SELECT count(*) FROM audit_events WHERE at >= $1 AND strpos(event, $2) > 0 AND event::jsonb->>'kind' = 'token_issued'`,
		since.Add(-time.Second), token[:familyLetters]).Scan(&n)
	if err == nil && n != 1 {
		err = fmt.Errorf("a token was given out before its event was in the journal: %d rows", n)
	}
	return err
}

// findLeaks is F36.
func findLeaks(ctx context.Context, t *trial) error {
	p := plan{policy: map[string]string{"log.level": "debug"}, redis: []string{"--save", "", "--appendonly", "yes"}}
	return t.in(ctx, p, func(w *world) error {
		for n := range t.size(300, 20) {
			f := w.flow(n, w.client([]string{"ES256", "RS256", assertionClient}[n%3], nil))
			r, err := f.run(ctx)
			if err != nil {
				return err
			}
			if err := w.provoke(ctx, f, r); err != nil {
				return err
			}
		}
		// What is written when a store is gone is written nowhere else.
		for _, o := range []outageOf{{"Redis frozen", w.redis.Freeze, w.redis.Thaw}, {"PostgreSQL frozen", w.postgres.Freeze, w.postgres.Thaw}} {
			stock, err := w.provide(ctx)
			if err != nil {
				return err
			}
			if err := o.gone(); err != nil {
				return err
			}
			_, askErr := w.askAll(ctx, stock, 2*time.Second)
			if err := errors.Join(askErr, o.back(), w.well(ctx)); err != nil {
				return fmt.Errorf("%s: %w", o.how, err)
			}
		}
		n := len(w.ledger.heard())
		if err := w.searchLeaks(ctx); err != nil {
			return err
		}
		t.report("%d secrets looked for in logs, metrics, traces, dumps and what the stores keep: none found", n)
		return nil
	})
}

// provoke makes the servers refuse and fail with a person's own secrets, so
// that what they write of it can be read.
func (w *world) provoke(ctx context.Context, f *flow, r result) error {
	s := f.person.site
	basic := http.Header{"Authorization": []string{"Basic " + random(24)}}
	for _, ask := range []func() (answer, error){
		func() (answer, error) { return r.request.redeem(ctx, s, r.code, nil) },
		func() (answer, error) { return r.request.redeem(ctx, s, r.code[:len(r.code)-2], nil) },
		func() (answer, error) {
			return r.request.redeem(ctx, s, r.code, url.Values{"client_secret": {f.client.secret}, "client_id": {f.client.id}})
		},
		func() (answer, error) { return s.ask(ctx, http.MethodGet, "/token?code="+r.code, basic, "") },
		func() (answer, error) {
			return s.ask(ctx, http.MethodGet, "/userinfo?access_token="+r.tokens.access, nil, "")
		},
		func() (answer, error) { return s.userinfo(ctx, r.tokens.id) },
		func() (answer, error) { return s.userinfo(ctx, r.code) },
		func() (answer, error) { return f.person.once(ctx, http.MethodGet, "/"+r.tokens.access, nil) },
		func() (answer, error) {
			return f.person.once(ctx, http.MethodGet, "/desk/v1/done?tx="+random(32)+"&cc="+r.code, nil)
		},
		func() (answer, error) {
			return f.person.once(ctx, http.MethodGet, r.request.address(url.Values{"id_token_hint": {r.tokens.id + "x"}}), nil)
		},
		func() (answer, error) {
			return s.ask(ctx, http.MethodPost, "/desk/v1/redeem", asJSON(), `{"h":"`+r.code+`"}`)
		},
	} {
		a, err := ask()
		if err != nil {
			return err
		}
		if a.status >= 500 {
			return problem("ask what must be refused", a)
		}
	}
	return nil
}
