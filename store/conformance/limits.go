package conformance

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// Limits checks one implementation. open returns two stores, of two servers,
// on one that is empty.
func Limits(t *testing.T, open func(t *testing.T) [2]idp.Limits) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	key := idp.LimitKey{Account: "555000000101", Authenticator: "totp"}
	t.Run("A1: failures cost what the limit says, up to the last that is judged", func(t *testing.T) {
		for name, limit := range map[string]idp.Limit{"guess": idp.GuessLimit, "secret": idp.SecretLimit} {
			s, now := open(t), noon
			for n := range 110 {
				wait, locked := limit.After(n)
				err := s[n%2].Attempt(t.Context(), key, limit, now)
				if locked {
					if !errors.Is(err, idp.ErrLocked) {
						t.Fatalf("%s: try after %d failures: %v, want ErrLocked", name, n, err)
					}
					continue
				}
				if wait > 0 {
					if limited, _ := errors.AsType[idp.Limited](err); limited.Wait != wait {
						t.Fatalf("%s: try after %d failures: %v, want to wait %v", name, n, err, wait)
					}
					now = now.Add(wait)
					err = s[n%2].Attempt(t.Context(), key, limit, now)
				}
				if err != nil {
					t.Fatalf("%s: try after %d failures and the wait: %v", name, n, err)
				}
			}
		}
	})
	t.Run("B10: of 200 tries at once on two servers no more are judged than the limit lets through", func(t *testing.T) {
		s := open(t)
		judged, at := 0, noon
		for range 3 {
			judged += together(t, 200, func(n int) error { return s[n%2].Attempt(t.Context(), key, idp.GuessLimit, at) })
			at = at.Add(time.Millisecond)
		}
		if judged != idp.GuessLimit.Free+1 {
			t.Errorf("%d tries were judged, want %d", judged, idp.GuessLimit.Free+1)
		}
	})
	t.Run("own rule: tries that cost nothing are judged whatever the clocks of the servers say", func(t *testing.T) {
		s := open(t)
		for n := range idp.GuessLimit.Free + 1 {
			if err := s[n%2].Attempt(t.Context(), key, idp.GuessLimit, noon.Add(-time.Duration(n)*time.Second)); err != nil {
				t.Errorf("try %d, a second before the one before it: %v", n, err)
			}
		}
	})
	t.Run("B10: of 200 tries at once whenever a wait is over, 100 are judged and never another", func(t *testing.T) {
		s := open(t)
		judged, at := 0, noon
		for range 120 {
			judged += together(t, 20, func(n int) error { return s[n%2].Attempt(t.Context(), key, idp.GuessLimit, at) })
			at = at.Add(idp.GuessLimit.Longest)
		}
		if judged != 100 {
			t.Errorf("%d tries were judged, want 100", judged)
		}
	})
	t.Run("own rule: who is locked out is listed, from the last try that is judged until somebody lets them in", func(t *testing.T) {
		s := open(t)
		locked := func(at time.Time) []idp.LimitKey {
			t.Helper()
			l, ok := s[1].(interface {
				Locked(context.Context, time.Time) ([]idp.LimitKey, error)
			})
			if !ok {
				t.Fatal("it lists nobody")
			}
			keys, err := l.Locked(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		at := noon
		tries := func(k idp.LimitKey, limit idp.Limit, n int) {
			for range n {
				if err := s[0].Attempt(t.Context(), k, limit, at); err != nil && !errors.Is(err, idp.ErrLocked) {
					t.Fatal(err)
				}
				at = at.Add(limit.Longest)
			}
		}
		tries(key, idp.GuessLimit, idp.GuessLimit.Most-1)
		if got := locked(at); len(got) != 0 {
			t.Errorf("before the last try: %v", got)
		}
		tries(key, idp.GuessLimit, 1)
		once := idp.Limit{Free: 1, Most: 1, Life: time.Minute}
		tries(idp.LimitKey{Account: "a puzzle", Authenticator: "puzzle"}, once, 2)
		tries(idp.LimitKey{Account: "555000000102", Authenticator: "totp", Network: netip.MustParsePrefix("10.0.0.1/32")}, once, 2)
		if got := locked(at); len(got) != 1 || got[0] != key {
			t.Errorf("after it: %v", got)
		}
		if err := s[0].Clear(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if got := locked(at); len(got) != 0 {
			t.Errorf("once they are let in: %v", got)
		}
		tries(key, idp.GuessLimit, idp.GuessLimit.Most)
		if got := locked(at.Add(idp.GuessLimit.Life + time.Hour)); len(got) != 0 {
			t.Errorf("when it is forgotten: %v", got)
		}
	})
	t.Run("A1: a try that must wait is not counted, so nobody can make another wait longer", func(t *testing.T) {
		s := open(t)
		spend(t, s[0], key, noon, idp.GuessLimit.Free+1)
		for range 50 {
			if err := s[1].Attempt(t.Context(), key, idp.GuessLimit, noon); !errors.Is(err, idp.ErrLimited) {
				t.Fatalf("Attempt: %v, want ErrLimited", err)
			}
		}
		if err := s[1].Attempt(t.Context(), key, idp.GuessLimit, noon.Add(time.Second)); err != nil {
			t.Errorf("Attempt after the wait: %v", err)
		}
	})
	t.Run("A1: a success clears the count, and what was locked", func(t *testing.T) {
		s, at := open(t), noon
		for range 100 {
			if err := s[0].Attempt(t.Context(), key, idp.GuessLimit, at); err != nil {
				t.Fatal(err)
			}
			at = at.Add(idp.GuessLimit.Longest)
		}
		if err := s[0].Attempt(t.Context(), key, idp.GuessLimit, at.Add(24*time.Hour)); !errors.Is(err, idp.ErrLocked) {
			t.Fatalf("Attempt after 100 failures: %v, want ErrLocked", err)
		}
		if err := s[1].Clear(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		spend(t, s[0], key, at, idp.GuessLimit.Free+1)
	})
	t.Run("A1: one account, authenticator or network costs another nothing", func(t *testing.T) {
		s := open(t)
		spend(t, s[0], key, noon, idp.GuessLimit.Free+1)
		for _, other := range []idp.LimitKey{
			{Account: "555000000102", Authenticator: "totp"},
			{Account: "555000000101", Authenticator: "password"},
			{Account: "555000000101", Authenticator: "totp", Network: netip.MustParsePrefix("192.0.2.7/32")},
			{Account: `555000000101" "totp`},
		} {
			spend(t, s[1], other, noon, idp.GuessLimit.Free+1)
		}
	})
	t.Run("own rule: a clock that goes back makes nobody wait longer than the longest", func(t *testing.T) {
		s := open(t)
		spend(t, s[0], key, noon, idp.GuessLimit.Free+1)
		early := noon.Add(-time.Hour)
		if err := s[0].Attempt(t.Context(), key, idp.GuessLimit, early); !errors.Is(err, idp.ErrLimited) {
			t.Fatalf("Attempt an hour before: %v, want ErrLimited", err)
		}
		if err := s[1].Attempt(t.Context(), key, idp.GuessLimit, early.Add(idp.GuessLimit.Longest)); err != nil {
			t.Errorf("Attempt after the longest wait: %v", err)
		}
	})
}

// spend makes so many tries, all of which must be judged.
func spend(t *testing.T, s idp.Limits, key idp.LimitKey, now time.Time, tries int) {
	t.Helper()
	for n := range tries {
		if err := s.Attempt(t.Context(), key, idp.GuessLimit, now); err != nil {
			t.Fatalf("try %d: %v", n+1, err)
		}
	}
}

// together makes so many tries at one instant, and returns how many were to be
// judged.
func together(t *testing.T, tries int, try func(n int) error) int {
	t.Helper()
	var wg sync.WaitGroup
	start, judged := make(chan struct{}), make(chan struct{}, tries)
	for n := range tries {
		wg.Go(func() {
			<-start
			switch err := try(n); {
			case err == nil:
				judged <- struct{}{}
			case !errors.Is(err, idp.ErrLimited) && !errors.Is(err, idp.ErrLocked):
				t.Errorf("Attempt: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	return len(judged)
}
