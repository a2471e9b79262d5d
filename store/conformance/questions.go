package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Questions checks one implementation. open returns two empty stores of
// different purposes on the same server.
func Questions(t *testing.T, open func(t *testing.T) [2]authenticators.Questions) {
	ask := func(t *testing.T, now time.Time) [2]authenticators.Questions {
		t.Helper()
		q := open(t)
		if err := q[0].Ask(t.Context(), "name", []byte("a\x00question"), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return q
	}
	t.Run("A5: of many who take a question one gets it", func(t *testing.T) {
		now := time.Now()
		q := ask(t, now)
		if n := winners(t, refused, func() error {
			got, err := q[0].Take(t.Context(), "name", now)
			if err == nil && string(got) != "a\x00question" {
				t.Errorf("Take = %q", got)
			}
			return err
		}); n != 1 {
			t.Errorf("%d took the question, want 1", n)
		}
	})
	t.Run("A5: a question that is taken too late is gone", func(t *testing.T) {
		now := time.Now()
		q := ask(t, now)
		for _, at := range []time.Time{now.Add(time.Minute), now} {
			if got, err := q[0].Take(t.Context(), "name", at); !errors.Is(err, refused) || got != nil {
				t.Errorf("Take at %v = %q, %v; want ErrAnswer", at.Sub(now), got, err)
			}
		}
		q = ask(t, now)
		if _, err := q[0].Take(t.Context(), "name", now.Add(time.Minute-time.Second)); err != nil {
			t.Errorf("Take in time: %v", err)
		}
	})
	t.Run("A5: a question of another purpose or name is none, and stays", func(t *testing.T) {
		now := time.Now()
		q := ask(t, now)
		for _, try := range []func() ([]byte, error){
			func() ([]byte, error) { return q[1].Take(t.Context(), "name", now) },
			func() ([]byte, error) { return q[0].Take(t.Context(), "another", now) },
			func() ([]byte, error) { return q[0].Take(t.Context(), "", now) },
		} {
			if got, err := try(); !errors.Is(err, refused) || got != nil {
				t.Errorf("Take = %q, %v; want ErrAnswer", got, err)
			}
		}
		if _, err := q[0].Take(t.Context(), "name", now); err != nil {
			t.Errorf("Take: %v", err)
		}
	})
	t.Run("own rule: two questions have two answers", func(t *testing.T) {
		now := time.Now()
		q := ask(t, now)
		if err := q[0].Ask(t.Context(), "another", nil, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		a, err1 := q[0].Take(t.Context(), "another", now)
		b, err2 := q[0].Take(t.Context(), "name", now)
		if err := errors.Join(err1, err2); err != nil || len(a) != 0 || string(b) != "a\x00question" {
			t.Errorf("Take = %q, %q, %v", a, b, err)
		}
	})
}
