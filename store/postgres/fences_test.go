package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func session(hash string) idp.Fence { return idp.Fence{Kind: idp.SessionFence, Hash: hash} }

// end raises f on s, now.
func end(t *testing.T, s *Store, f idp.Fence) {
	t.Helper()
	e := anEvent("end")
	e.At = s.now()
	if err := s.Record(t.Context(), e, f); err != nil {
		t.Fatal(err)
	}
}

// stands fails the test unless s says want of f.
func stands(t *testing.T, s *Store, f idp.Fence, want bool) {
	t.Helper()
	if got, err := s.Stands(t.Context(), f); err != nil || got != want {
		t.Errorf("Stands(%v) = %v, %v; want %v", f, got, err, want)
	}
}

// cutOff returns a registry at url that hears nothing.
func cutOff(t *testing.T, url string) *Store {
	t.Helper()
	s := openAt(t, url)
	s.stop()
	return s
}

func TestStands(t *testing.T) {
	t.Run("own rule: what one server ends the others know, and ask nobody", func(t *testing.T) {
		url := aDatabase(t)
		early := session("before the other began")
		end(t, openAt(t, url), early)
		a, b := openAt(t, url), listening(t, openAt(t, url))
		family := idp.Fence{Kind: idp.FamilyFence, Hash: "f"}
		end(t, a, family)
		eventually(t, 3*time.Second, "it is heard", func() bool { known, _ := b.ended.has(family); return known })

		b.journal.close()
		b.pool.Close() // the feed has a connection of its own
		stands(t, b, early, true)
		stands(t, b, family, true)
		stands(t, b, session("f"), false)
	})
	t.Run("own rule: a server that hears nothing asks PostgreSQL", func(t *testing.T) {
		url := aDatabase(t)
		b := cutOff(t, url)
		end(t, openAt(t, url), session("ended"))
		stands(t, b, session("ended"), true)
		stands(t, b, session("live"), false)
	})
	t.Run("own rule: a server whose clock was ahead when it began knows what has ended, once the clock is right", func(t *testing.T) {
		url := aDatabase(t)
		end(t, openAt(t, url), session("ended"))
		now := &clock{at: time.Now().Add(idp.FenceLife + time.Hour)}
		s := listening(t, openAt(t, url, func(c *Config) { c.Now = now.now }))
		now.move(-idp.FenceLife - time.Hour)
		listening(t, s)
		stands(t, s, session("ended"), true)
	})
	t.Run("own rule: what was ended here is known here at once", func(t *testing.T) {
		s := listening(t, open(t))
		for n := range 100 {
			f := session(fmt.Sprint(n))
			end(t, s, f)
			if known, _ := s.ended.has(f); !known {
				t.Fatalf("%v is not known", f)
			}
		}
	})
	t.Run("own rule: where nobody can say, nobody is let in", func(t *testing.T) {
		p, url := aServer(t)
		s := listening(t, openAt(t, url))
		end(t, s, session("ended"))
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "the loss is noticed", func() bool { return !s.feed.fresh() })
		if _, err := s.Stands(t.Context(), session("unknown")); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Stands: %v, want %v", err, idp.ErrUnavailable)
		}
		stands(t, s, session("ended"), true) // what has ended stays so
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 15*time.Second, "it answers again", func() bool {
			got, err := s.Stands(t.Context(), session("unknown"))
			return err == nil && !got
		})
	})
	t.Run("own rule: where there are too many to remember PostgreSQL is asked", func(t *testing.T) {
		url := aDatabase(t)
		s := openAt(t, url)
		s.ended.mu.Lock()
		s.ended.most = 1
		s.ended.mu.Unlock()
		listening(t, s)
		other := openAt(t, url)
		end(t, other, session("first"))
		end(t, other, session("second"))
		eventually(t, 3*time.Second, "both are heard", func() bool { _, whole := s.ended.has(session("")); return !whole })
		stands(t, s, session("first"), true)
		stands(t, s, session("second"), true)
		stands(t, s, session("third"), false)
	})
}

func TestEnded(t *testing.T) {
	now := noon
	e := newEnded(func() time.Time { return now })
	e.most = 2
	known := func(hash string) bool { known, _ := e.has(session(hash)); return known }
	e.add(session("a"))

	t.Run("own rule: a fence is remembered for its life, and not for ever", func(t *testing.T) {
		now = noon.Add(idp.FenceLife - time.Second)
		e.add(session("b"))
		now = noon.Add(idp.FenceLife + time.Second)
		e.add(session("c"))
		if !known("a") || !known("b") || !known("c") {
			t.Error("a fence was forgotten before its time")
		}
		now = now.Add(idp.FenceLife)
		e.add(session("d"))
		if !known("b") || !known("c") {
			t.Error("a fence was forgotten before its time")
		}
		now = now.Add(2 * time.Second)
		e.add(session("e"))
		if known("a") || known("b") {
			t.Error("a fence is remembered after its life")
		}
	})
	t.Run("own rule: too many are not all remembered, which is known until they are gone", func(t *testing.T) {
		for n := range 5 {
			e.add(session(fmt.Sprint(n)))
		}
		for range 2 {
			if _, whole := e.has(session("x")); whole {
				t.Error("it claims to know all")
			}
			now = now.Add(idp.FenceLife + time.Second)
			e.add(session("later"))
		}
		if _, whole := e.has(session("x")); !whole {
			t.Error("it does not know that it knows all again")
		}
	})
}

func TestClean(t *testing.T) {
	t.Run("own rule: what guards nothing any more is taken down, by many at once", func(t *testing.T) {
		url := aDatabase(t)
		now := noon.Add(idp.FenceLife + fenceSlack)
		with := func(c *Config) { c.Now = func() time.Time { return now } }
		servers := []*Store{openAt(t, url, with), openAt(t, url, with)}
		exec(t, servers[0], `INSERT INTO fences (kind, hash, until) SELECT 'code', g::text, $1 FROM generate_series(1, 5000) g`,
			noon.Add(idp.FenceLife-time.Second))
		if err := servers[0].Record(t.Context(), anEvent("young"), code("young")); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				if err := s.Clean(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var left int
		if err := servers[0].pool.QueryRow(t.Context(), `SELECT count(*) FROM fences`).Scan(&left); err != nil || left != 1 {
			t.Errorf("%d fences are left, %v; want 1", left, err)
		}
	})
}
