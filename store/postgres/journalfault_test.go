package postgres

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func TestRecordThroughFaults(t *testing.T) {
	t.Run("F7: what was acknowledged outlives the death of PostgreSQL, once", func(t *testing.T) {
		const kills, writers = 3, 20
		p, url := aServer(t)
		s := openAt(t, url)
		var (
			mu    sync.Mutex
			acked []string
			count atomic.Int64
			stop  atomic.Bool
			wg    sync.WaitGroup
		)
		defer stop.Store(true)
		for w := range writers {
			wg.Go(func() {
				for n := 0; !stop.Load(); n++ {
					name := fmt.Sprintf("%d-%d", w, n)
					switch err := s.Record(t.Context(), anEvent(name), code(name)); {
					case err == nil:
						mu.Lock()
						acked = append(acked, name)
						mu.Unlock()
						count.Add(1)
					case !errors.Is(err, idp.ErrUnavailable):
						t.Errorf("Record: %v, want %v", err, idp.ErrUnavailable)
					default:
						time.Sleep(time.Millisecond) // as somebody who tries again
					}
				}
			})
		}
		for range kills {
			more := count.Load() + 200
			eventually(t, 10*time.Second, "events are recorded", func() bool { return count.Load() >= more })
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		more := count.Load() + 200
		eventually(t, 15*time.Second, "the journal goes on by itself", func() bool { return count.Load() >= more })
		stop.Store(true)
		wg.Wait()

		kept := requests(t, s)
		if n := len(kept); len(slices.Compact(slices.Clone(kept))) != n {
			t.Error("something is recorded twice")
		}
		for _, name := range acked {
			if _, ok := slices.BinarySearch(kept, name); !ok {
				t.Errorf("%s was acknowledged and is lost", name)
			}
		}
		whole(t, s)
	})
	t.Run("own rule: a PostgreSQL that stands still is given up, and the journal goes on after", func(t *testing.T) {
		p, url := aServer(t)
		s := openAt(t, url)
		record := func(name string) error { return s.Record(t.Context(), anEvent(name)) }
		if err := record("before"); err != nil {
			t.Fatal(err)
		}
		if err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := record("during"); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Record: %v, want %v", err, idp.ErrUnavailable)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 15*time.Second, "the journal goes on by itself", func() bool { return record("after") == nil })
		whole(t, s)
	})
	t.Run("own rule: a chain that lost what was acknowledged is left, and a new one begun", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"a", "b"} {
			if err := s.Record(t.Context(), anEvent(name)); err != nil {
				t.Fatal(err)
			}
		}
		tamper(t, s, `DELETE FROM audit_events WHERE seq = 2`)
		tamper(t, s, `INSERT INTO audit_events (server, seq, at, event, hash) SELECT server, 3, at, event, hash FROM audit_events`)
		if err := s.Record(t.Context(), anEvent("c")); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Record where the place is taken: %v, want %v", err, idp.ErrUnavailable)
		}
		if err := s.Record(t.Context(), anEvent("c")); err != nil {
			t.Fatal(err)
		}
		r, err := s.Verify(t.Context(), noKeys)
		if err != nil || r.Chains != 2 {
			t.Errorf("Verify: %+v, %v; want 2 chains", r, err)
		}
	})
	t.Run("own rule: what PostgreSQL lost is found, for the new chain names where the old one ended", func(t *testing.T) {
		s, old := aJournal(t)
		tamper(t, s, `DELETE FROM audit_events WHERE seq > 2`)
		whole(t, s) // nothing else would tell
		s.journal.close()
		s.journal.lost = true // a connection broke meanwhile
		for _, refused := range []*entry{anEntry(t, "a", code("a")), anEntry(t, "b", code("a")), anEntry(t, "c")} {
			s.journal.batch(t.Context(), []*entry{refused})
		}
		r, err := s.Verify(t.Context(), noKeys)
		want := Finding{Chain: old, Seq: 5, Problem: "the event was acknowledged and is missing"}
		if err != nil || !slices.Equal(r.Findings, []Finding{want}) || r.Chains != 2 || r.Events != 2+3 {
			t.Errorf("Verify: %+v, %v; want %+v alone", r, err, want)
		}
	})
	t.Run("own rule: a commit that arrives late leaves the chain whole", func(t *testing.T) {
		s := open(t)
		s.journal.close()
		if err := s.journal.commit(t.Context(), []*entry{anEntry(t, "a")}); err != nil {
			t.Fatal(err)
		}
		behind := &journal{pool: s.pool, ended: s.ended, log: silent, server: s.journal.server, end: s.journal.end}
		if err := s.journal.commit(t.Context(), []*entry{anEntry(t, "late")}); err != nil {
			t.Fatal(err)
		}
		if err := behind.commit(t.Context(), []*entry{anEntry(t, "b")}); err == nil {
			t.Error("two events took one place")
		}
		if err := behind.commit(t.Context(), []*entry{anEntry(t, "c")}); err != nil {
			t.Error(err)
		}
		if got := requests(t, s); !slices.Equal(got, []string{"a", "c", "late"}) {
			t.Errorf("the journal holds %q", got)
		}
		whole(t, s)
	})
}
