package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// patienceOfPeople is how soon people are told that something is gone.
const patienceOfPeople = 2 * time.Second

// outageOf is a store that goes away in some way and comes back.
type outageOf struct {
	how        string
	gone, back func() error
}

// freezeRedis is F6.
func freezeRedis(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		ways := []outageOf{
			{"Redis frozen", w.redis.Freeze, w.redis.Thaw},
			{"Redis cut off", func() error { w.toRedis.sever(); return nil }, func() error { w.toRedis.heal(); return nil }},
			{"Redis answering after 2 s", func() error { w.toRedis.slow(2 * time.Second); return nil }, func() error { w.toRedis.heal(); return nil }},
			{"the way to Redis swallowing all", func() error { w.toRedis.freeze(); return nil }, func() error { w.toRedis.heal(); return nil }},
		}
		return w.outages(ctx, t, ways[:t.size(len(ways), 2)])
	})
}

// freezePostgres is F8.
func freezePostgres(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		hog := &connectionHog{world: w}
		ways := []outageOf{
			{"PostgreSQL frozen", w.postgres.Freeze, w.postgres.Thaw},
			{"no connection to PostgreSQL left", func() error { return hog.take(ctx) }, hog.release},
			{"the way to PostgreSQL swallowing all", func() error { w.toSQL.freeze(); return nil }, func() error { w.toSQL.heal(); return nil }},
			{"PostgreSQL cut off", func() error { w.toSQL.sever(); return nil }, func() error { w.toSQL.heal(); return nil }},
		}
		return w.outages(ctx, t, ways[:t.size(len(ways), 2)])
	})
}

func (w *world) outages(ctx context.Context, t *trial, ways []outageOf) error {
	for _, o := range ways {
		for range t.size(5, 1) {
			if err := w.outage(ctx, t, o); err != nil {
				return fmt.Errorf("%s: %w", o.how, err)
			}
		}
	}
	return w.audit(ctx)
}

// outage asks everything of every server while a store is gone, and waits for
// all to be well again when it is back.
func (w *world) outage(ctx context.Context, t *trial, o outageOf) error {
	before, err := w.goroutines(ctx)
	if err != nil {
		return err
	}
	stock, err := w.provide(ctx)
	if err != nil {
		return err
	}
	if err := o.gone(); err != nil {
		return err
	}
	slowest, askErr := w.askAll(ctx, stock, time.Duration(t.size(6, 3))*time.Second)
	if err := errors.Join(askErr, o.back()); err != nil {
		return err
	}
	began := time.Now()
	if err := w.well(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if limit := t.within(patienceOfPeople); slowest > limit {
		return fmt.Errorf("an answer took %s", slowest)
	}
	if err := w.settled(ctx, before); err != nil {
		return err
	}
	t.report("%s: the slowest answer took %s, all was well %s after", o.how, slowest.Round(time.Millisecond), took.Round(time.Millisecond))
	return w.allReady(ctx)
}

// within is how long something may take: to the letter in the full numbers,
// three times as long where other tests run beside it.
func (t *trial) within(limit time.Duration) time.Duration {
	if t.full {
		return limit
	}
	return 3 * limit
}

// provisions are codes and tokens from before an outage.
type provisions struct {
	codes  chan result
	tokens []string
}

func (w *world) provide(ctx context.Context) (*provisions, error) {
	p := &provisions{codes: make(chan result, 4*len(w.servers))}
	c := w.client("ES256", nil)
	for n := range cap(p.codes) {
		f := w.flow(n, c)
		r, err := f.run(ctx)
		if err != nil {
			return nil, err
		}
		p.tokens = append(p.tokens, r.tokens.access)
		if r, err = f.code(ctx); err != nil {
			return nil, err
		}
		p.codes <- r
	}
	return p, nil
}

// askAll asks everything of each server for a while. Keys and discovery must
// be answered; all else either works or says that it cannot now. It returns how
// long the slowest answer took.
func (w *world) askAll(ctx context.Context, p *provisions, long time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, long+10*time.Second)
	defer cancel()
	var mu sync.Mutex
	var slowest time.Duration
	var broken findings
	var wg sync.WaitGroup
	end := time.Now().Add(long)
	for _, s := range w.servers {
		for _, q := range w.questions(p) {
			wg.Go(func() {
				for time.Now().Before(end) {
					began := time.Now()
					err := q.ask(ctx, w.siteOf(s))
					took := time.Since(began)
					if err != nil && (q.always || !outage(err)) {
						err = fmt.Errorf("%s, %s: %w", s.name, q.what, err)
					} else {
						err = nil
					}
					mu.Lock()
					slowest = max(slowest, took)
					broken.add(err)
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
	}
	wg.Wait()
	return slowest, broken.err()
}

// question is something that somebody asks of a server in an outage.
type question struct {
	what   string
	always bool // answered whatever is gone
	ask    func(ctx context.Context, s *site) error
}

func (w *world) questions(p *provisions) []question {
	c := w.client("ES256", nil)
	get := func(path string) func(ctx context.Context, s *site) error {
		return func(ctx context.Context, s *site) error {
			a, err := s.ask(ctx, http.MethodGet, path, nil, "")
			if err == nil && a.status != http.StatusOK {
				err = problem("GET "+path, a)
			}
			return err
		}
	}
	return []question{
		{"keys", true, get("/jwks")},
		{"discovery", true, get("/.well-known/openid-configuration")},
		{"authorize", false, func(ctx context.Context, s *site) error {
			person := newPerson(s)
			r := c.request()
			a, err := person.once(ctx, http.MethodGet, r.address(nil), nil)
			if err != nil {
				return err
			}
			if a.location != nil && strings.HasPrefix(a.location.String(), callback) {
				_, err = r.code(s, a.location)
				return err
			}
			if a.status >= 400 {
				return problem("authorize", a)
			}
			return nil
		}},
		{"token", false, func(ctx context.Context, s *site) error {
			select {
			case r := <-p.codes:
				a, err := r.request.redeem(ctx, s, r.code, nil)
				if err == nil && a.status != http.StatusOK {
					err = problem("redeem a code", a)
				}
				return err
			default:
				return nil
			}
		}},
		{"userinfo", false, func(ctx context.Context, s *site) error {
			a, err := s.userinfo(ctx, p.tokens[0])
			if err == nil && a.status != http.StatusOK {
				err = problem("ask userinfo", a)
			}
			return err
		}},
	}
}

// goroutines reads how many each server has.
func (w *world) goroutines(ctx context.Context) ([]int, error) {
	var all []int
	for _, s := range w.servers {
		text, err := w.metrics(ctx, s)
		if err != nil {
			return nil, err
		}
		n, err := gauge(text, "go_goroutines")
		if err != nil {
			return nil, err
		}
		all = append(all, int(n))
	}
	return all, nil
}

// gauge reads one figure without labels.
func gauge(text []byte, name string) (float64, error) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// settled waits until no server has goroutines left over from an outage.
func (w *world) settled(ctx context.Context, before []int) error {
	w.trip.CloseIdleConnections()
	return until(ctx, func() error {
		now, err := w.goroutines(ctx)
		if err != nil {
			return err
		}
		for i := range now {
			// Connections that the rig and the pools opened meanwhile have two
			// or three each.
			if now[i] > before[i]+before[i]/10+60 {
				return fmt.Errorf("%s has %d goroutines, before the outage it had %d", w.servers[i].name, now[i], before[i])
			}
		}
		return nil
	})
}

// connectionHog takes every connection that PostgreSQL has to give.
type connectionHog struct {
	world *world
	taken []*pgx.Conn
}

func (h *connectionHog) take(ctx context.Context) error {
	// Those of the servers are ended, so that they need new ones.
	for {
		conn, err := h.world.connect(ctx)
		if err != nil {
			break
		}
		h.taken = append(h.taken, conn)
	}
	if len(h.taken) == 0 {
		return errors.New("PostgreSQL gave no connection at all")
	}
	_, err := h.taken[0].Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> ALL ($1)`, h.pids())
	for err == nil {
		conn, full := h.world.connect(ctx)
		if full != nil {
			break
		}
		h.taken = append(h.taken, conn)
	}
	return err
}

func (h *connectionHog) pids() []int32 {
	var all []int32
	for _, c := range h.taken {
		all = append(all, int32(c.PgConn().PID()))
	}
	return all
}

func (h *connectionHog) release() error {
	var errs []error
	for _, c := range h.taken {
		errs = append(errs, c.Close(context.Background()))
	}
	h.taken = nil
	return errors.Join(errs...)
}

// killPostgres is F7.
func killPostgres(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		c := w.client("ES256", nil)
		sign := w.straight(c)
		people := newLoad(t.size(30, 15), func(ctx context.Context, n int) error {
			if err := sign(ctx, n); err != nil && !outage(err) {
				return err
			}
			return nil
		})
		registries, err := w.newRegistries(ctx)
		if err != nil {
			return err
		}
		rounds, longest := t.size(50, 2), time.Duration(0)
		err = people.while(ctx, func(ctx context.Context) error {
			for i := range rounds {
				wait(ctx, 500*time.Millisecond) // for people to come
				if err := registries.register(ctx, i); err != nil {
					return fmt.Errorf("register before kill %d: %w", i+1, err)
				}
				if err := w.postgres.Kill(); err != nil {
					return err
				}
				if err := w.postgres.Start(ctx); err != nil {
					return err
				}
				began := time.Now()
				if err := w.well(ctx); err != nil {
					return fmt.Errorf("kill %d: %w", i+1, err)
				}
				longest = max(longest, time.Since(began))
				if err := registries.audit(ctx); err != nil {
					return fmt.Errorf("kill %d: %w", i+1, err)
				}
			}
			return nil
		})
		if err = errors.Join(err, people.failed(), w.allReady(ctx)); err != nil {
			return err
		}
		_, sessions, tokens := w.ledger.facts()
		t.report("%d kills of PostgreSQL: %d sessions, %d tokens and %d registries of %d people acknowledged, all there; well %s after it was back, at most",
			rounds, len(sessions), len(tokens), rounds, len(w.crowd.document.People), longest.Round(time.Millisecond))
		return w.audit(ctx)
	})
}
