package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// readyAgain is how soon a server that was killed takes people again.
const readyAgain = 2 * time.Second

// comeBack signs in as people do: whoever loses an answer goes back to the
// application and begins anew, which must then work.
func (w *world) comeBack(c *client) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		var err error
		for range 3 {
			if _, err = w.flow(n, c).run(ctx); !errors.Is(err, errLost) {
				return err
			}
		}
		return err
	}
}

// straight signs in and takes no excuse.
func (w *world) straight(c *client) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		_, err := w.flow(n, c).run(ctx)
		return err
	}
}

// killServer is F1.
func killServer(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		c := w.client("ES256", &keyCache{life: time.Minute, unknown: true})
		people := newLoad(t.size(50, 15), w.comeBack(c))
		var slowest time.Duration
		rounds := t.size(50, 2)
		err := people.while(ctx, func(ctx context.Context) error {
			for i := range rounds {
				took, err := w.killOne(ctx, i%len(w.servers), c)
				if err != nil {
					return fmt.Errorf("kill %d: %w", i+1, err)
				}
				slowest = max(slowest, took)
				wait(ctx, time.Second) // for people to come who know of nothing
			}
			return nil
		})
		if err = errors.Join(err, people.failed()); err != nil {
			return err
		}
		t.report("%d kills at %d sign-ins a second: %d sign-ins ended well, a killed server was ready again in %s at most",
			rounds, people.rate, people.well(), slowest.Round(time.Millisecond))
		if slowest > readyAgain {
			return fmt.Errorf("a killed server was ready again only in %s", slowest)
		}
		return w.audit(ctx)
	})
}

// killOne kills a server while people wait at every step of their sign-ins,
// lets them go on, and starts it again.
func (w *world) killOne(ctx context.Context, i int, c *client) (time.Duration, error) {
	waiting := w.hold(ctx, c)
	if err := w.servers[i].kill(); err != nil {
		return 0, err
	}
	// For the balancer to see its connections end. What it writes into one that
	// has ended without a word may have arrived, for all that it knows.
	wait(ctx, askEvery/2)
	if err := waiting.goOn(); err != nil {
		return 0, fmt.Errorf("a sign-in in progress did not end on the other server: %w", err)
	}
	took, err := w.servers[i].run(ctx)
	if err != nil {
		return took, err
	}
	return took, w.allReady(ctx)
}

func (w *world) allReady(ctx context.Context) error {
	return until(ctx, func() error {
		if n := len(w.balancer.ready()); n < len(w.servers) {
			return fmt.Errorf("the balancer sees %d of %d servers ready", n, len(w.servers))
		}
		return nil
	})
}

// stepNames are the steps of a whole sign-in at which somebody may wait.
var stepNames = []string{"begin", "redeem", "response", "done", "role", "token", "userinfo"}

// held are sign-ins that wait, one before each step.
type held struct {
	release chan struct{}
	through sync.WaitGroup
	errs    chan error
}

// hold begins sign-ins and returns when each waits before its step.
func (w *world) hold(ctx context.Context, c *client) *held {
	h := &held{release: make(chan struct{}), errs: make(chan error, len(stepNames))}
	var there sync.WaitGroup
	for i, name := range stepNames {
		there.Add(1)
		var once sync.Once
		f := w.flow(i, c)
		if name == "role" {
			f.holder = w.crowd.busy
		}
		f.steps = func(step string) {
			if step == name {
				once.Do(there.Done)
				<-h.release
			}
		}
		h.through.Go(func() {
			defer once.Do(there.Done) // should it fail before its step
			if _, err := f.run(ctx); err != nil {
				h.errs <- fmt.Errorf("waiting before %s: %w", name, err)
			}
		})
	}
	there.Wait()
	return h
}

// goOn lets them go on, and says who did not come to the end.
func (h *held) goOn() error {
	close(h.release)
	h.through.Wait()
	close(h.errs)
	var errs []error
	for err := range h.errs {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// rollServers is F2.
func rollServers(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		c := w.client("ES256", &keyCache{life: time.Minute, unknown: true})
		people := newLoad(t.size(50, 15), w.straight(c))
		rounds := t.size(20, 1)
		err := people.while(ctx, func(ctx context.Context) error {
			for range rounds {
				for _, s := range w.servers {
					if err := w.replace(ctx, s); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err = errors.Join(err, people.failed()); err != nil {
			return err
		}
		t.report("%d rolling restarts at %d sign-ins a second: %d sign-ins, none failed", rounds, people.rate, people.well())
		return w.audit(ctx)
	})
}

// replace stops a server as an update does, and starts it again.
func (w *world) replace(ctx context.Context, s *server) error {
	if err := s.stop(); err != nil {
		return err
	}
	if _, err := s.run(ctx); err != nil {
		return err
	}
	return w.allReady(ctx)
}

// loseAnswers is F12.
func loseAnswers(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		c := w.client("ES256", &keyCache{life: time.Minute, unknown: true})
		rounds := t.size(100, 10)
		for n := range rounds {
			if err := w.loseOne(ctx, w.flow(n, c)); err != nil {
				return fmt.Errorf("round %d: %w", n+1, err)
			}
		}
		t.report("%d answers of the token endpoint lost, and everybody recovered", rounds)
		return w.audit(ctx)
	})
}

// loseOne loses the tokens of one sign-in, asks for them again, and signs in
// anew.
func (w *world) loseOne(ctx context.Context, f *flow) error {
	r, err := f.code(ctx)
	if err != nil {
		return err
	}
	w.balancer.loseAt("/token")
	_, err = r.request.redeem(ctx, f.person.site, r.code, nil)
	w.balancer.loseAt("")
	if err == nil {
		return errors.New("the answer came through: the trial shows nothing")
	}
	f.ledger.tried(r.code)
	again, err := r.request.redeem(ctx, f.person.site, r.code, nil)
	if err != nil {
		return err
	}
	if told, ok := errors.AsType[oauthError](problem("", again)); !ok || told != (oauthError{"invalid_grant", 400}) {
		return problem("ask again for tokens that were lost", again)
	}
	_, err = f.run(ctx)
	return err
}
