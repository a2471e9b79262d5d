package redis_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/redis"
)

// TestOutage freezes a real Redis, as a machine does that swaps or a disk that
// hangs: it takes connections and says nothing.
func TestOutage(t *testing.T) {
	one, err := servers.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.Stop(); err != nil {
			t.Error(err)
		}
	})
	o := &goredis.UniversalOptions{Addrs: []string{one.Address()}}
	redis.Harden(o)
	rdb := goredis.NewUniversalClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	var unanswered atomic.Int64
	open := redis.Watch(rdb, time.Now, func(_ string, _ time.Duration, err error) {
		if err != nil {
			unanswered.Add(1)
		}
	})
	s := redis.New(rdb, time.Now)
	if _, err := s.Session(t.Context(), "none", time.Now()); !errors.Is(err, idp.ErrNotFound) || unanswered.Load() != 0 {
		t.Fatalf("no session: %v, %d unanswered; want ErrNotFound and none", err, unanswered.Load())
	}
	base := runtime.NumGoroutine()

	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Run("F6: while Redis is frozen, every question fails as an outage, in its deadline, and soon at once", func(t *testing.T) {
		first := outages(t, s, 100)
		if last := slices.Max(first); last > 4*time.Second {
			t.Errorf("the first took up to %v", last)
		}
		if !open() || unanswered.Load() < 100 {
			t.Errorf("circuit open: %v, %d unanswered", open(), unanswered.Load())
		}
		later := outages(t, s, 100)
		slices.Sort(later)
		if most := later[90]; most > 500*time.Millisecond {
			t.Errorf("nine of ten took up to %v after the circuit opened", most)
		}
	})
	t.Run("F6: no count of tries is passed over", func(t *testing.T) {
		if err := s.Attempt(t.Context(), idp.LimitKey{Account: "a"}, idp.GuessLimit, time.Now()); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Attempt: %v, want ErrUnavailable", err)
		}
	})
	t.Run("F6: a question that cannot be taken is an outage and no refusal", func(t *testing.T) {
		if _, err := s.Questions("a").Take(t.Context(), "name", time.Now()); !errors.Is(err, idp.ErrUnavailable) || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Take: %v, want ErrUnavailable", err)
		}
		if err := s.Questions("a").Ask(t.Context(), "name", nil, time.Now()); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Ask: %v, want ErrUnavailable", err)
		}
	})
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	t.Run("F6: it recovers by itself", func(t *testing.T) {
		recovers(t, s)
		deadline := time.Now().Add(15 * time.Second)
		if open() {
			t.Error("the circuit is still open")
		}
		for runtime.NumGoroutine() > base+base/10+2 && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > base+base/10+2 {
			t.Errorf("%d goroutines, %d before", n, base)
		}
	})
	t.Run("F6: one that is gone is an outage too, and its return is noticed", func(t *testing.T) {
		if err := one.Kill(); err != nil {
			t.Fatal(err)
		}
		outages(t, s, 50)
		if err := one.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		recovers(t, s)
	})
}

// recovers waits until the store answers.
func recovers(t *testing.T, s *redis.Store) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := s.Session(t.Context(), "none", time.Now())
		if errors.Is(err, idp.ErrNotFound) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %v", err)
		}
	}
}

// outages asks so often at once, as requests do, and returns how long each
// took to fail.
func outages(t *testing.T, s *redis.Store, questions int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, questions)
	var wg sync.WaitGroup
	for n := range took {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, err := s.Session(ctx, "none", start); !errors.Is(err, idp.ErrUnavailable) {
				t.Errorf("Session: %v, want ErrUnavailable", err)
			}
			took[n] = time.Since(start)
		})
	}
	wg.Wait()
	return took
}
