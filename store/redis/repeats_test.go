package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/store/redis"
)

// repeats holds a store to what is promised of requests that may come again.
func repeats(t *testing.T, s *redis.Store) {
	now := time.Now()
	soon, later := now.Add(time.Minute), now.Add(time.Hour)
	takes := func(name, digest string, at time.Time, want, answer string) {
		t.Helper()
		has, kept, err := s.TakeRepeat(t.Context(), name, digest, at, at.Add(time.Minute))
		if err != nil || has != want || string(kept) != answer {
			t.Errorf("%s for %s: %q, %q, %v; want %q, %q", name, digest, has, kept, err, want, answer)
		}
	}
	var won atomic.Int32
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			has, kept, err := s.TakeRepeat(t.Context(), "n", "a", now, soon)
			if err != nil || kept != nil {
				t.Errorf("%q, %v", kept, err)
			}
			if has == "" {
				won.Add(1)
			}
		})
	}
	crowd.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have taken the same name", won.Load())
	}
	if err := s.KeepRepeat(t.Context(), "n", "b", []byte("of another"), later); err != nil {
		t.Error(err)
	}
	takes("n", "b", now, "a", "")
	if err := s.KeepRepeat(t.Context(), "n", "a", []byte("yes"), later); err != nil {
		t.Error(err)
	}
	takes("n", "b", now, "a", "yes")
	takes("n", "a", later.Add(-time.Second), "a", "yes")
	takes("n", "b", later, "", "")
	for _, digest := range []string{"a", "b"} {
		if err := s.DropRepeat(t.Context(), "n", digest); err != nil {
			t.Error(err)
		}
		takes("n", "c", later, map[string]string{"a": "b", "b": ""}[digest], "")
	}
}
