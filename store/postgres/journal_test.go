package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance"
)

// noon is when the tests' events happen.
var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestJournal(t *testing.T) {
	conformance.Journal(t, func(t *testing.T) (conformance.JournalStore, func() []idp.Event) {
		s := open(t)
		return s, func() []idp.Event { return eventsOf(t, s) }
	})
}

func TestJournalOfTwoServers(t *testing.T) {
	conformance.Journal(t, func(t *testing.T) (conformance.JournalStore, func() []idp.Event) {
		url := aDatabase(t)
		p := &pair{Store: openAt(t, url), other: openAt(t, url)}
		return p, func() []idp.Event {
			// Two chains have no order between them, and one test asks for one.
			events := eventsOf(t, p.Store)
			slices.SortStableFunc(events, func(a, b idp.Event) int {
				return slices.Index(p.order(), a.Request) - slices.Index(p.order(), b.Request)
			})
			return events
		}
	})
}

// pair records on two servers by turns.
type pair struct {
	*Store
	other *Store
	turn  atomic.Int64
	mu    sync.Mutex
	asked []string
}

func (p *pair) order() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *pair) Record(ctx context.Context, e idp.Event, fences ...idp.Fence) error {
	p.mu.Lock()
	p.asked = append(p.asked, e.Request)
	p.mu.Unlock()
	if p.turn.Add(1)%2 == 0 {
		return p.other.Record(ctx, e, fences...)
	}
	return p.Store.Record(ctx, e, fences...)
}

// exported returns the lines of an export of the whole journal.
func exported(t *testing.T, s *Store, from, to time.Time) []chained {
	t.Helper()
	var b bytes.Buffer
	if err := s.Export(t.Context(), &b, from, to); err != nil {
		t.Fatal(err)
	}
	var all []chained
	for line := range strings.Lines(b.String()) {
		var c chained
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, c)
	}
	return all
}

// eventsOf returns the events of the journal, oldest first.
func eventsOf(t *testing.T, s *Store) []idp.Event {
	t.Helper()
	var all []idp.Event
	for _, c := range exported(t, s, time.Time{}, time.Time{}) {
		all = append(all, c.Event)
	}
	return all
}

// requests returns the names of the events of the journal, sorted.
func requests(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	for _, e := range eventsOf(t, s) {
		all = append(all, e.Request)
	}
	slices.Sort(all)
	return all
}

func anEvent(request string) idp.Event {
	return idp.Event{At: noon, Kind: idp.TokenIssued, Request: request}
}

func code(hash string) idp.Fence { return idp.Fence{Kind: idp.CodeFence, Hash: hash} }

// whole fails the test unless the journal is as it was written.
func whole(t *testing.T, s *Store) {
	t.Helper()
	r, err := s.Verify(t.Context(), noKeys)
	if err != nil || !r.Whole() {
		t.Errorf("Verify: %+v, %v", r, err)
	}
}

// anEntry returns an entry as Record makes them.
func anEntry(t *testing.T, request string, once ...idp.Fence) *entry {
	return &entry{at: noon, event: []byte(`{"at":"2030-01-01T12:00:00Z","request":"` + request + `"}`),
		fences: once, once: once, ctx: t.Context(), done: make(chan error, 1)}
}

func TestRecord(t *testing.T) {
	t.Run("F25: of many who use a thing on two servers at once one wins", func(t *testing.T) {
		const things, users = 200, 50
		url := aDatabase(t)
		servers := []*Store{openAt(t, url), openAt(t, url)}
		for thing := range things {
			var wg sync.WaitGroup
			var won, unknown atomic.Int64
			start := make(chan struct{})
			for user := range users {
				wg.Go(func() {
					<-start
					err := servers[user%2].Record(t.Context(), anEvent(fmt.Sprint(thing)), code(fmt.Sprint(thing)))
					switch {
					case err == nil:
						won.Add(1)
					case errors.Is(err, idp.ErrUnavailable): // on a busy machine; it may be the one that is recorded
						unknown.Add(1)
					case !errors.Is(err, idp.ErrUsed):
						t.Errorf("Record: %v, want %v", err, idp.ErrUsed)
					}
				})
			}
			close(start)
			wg.Wait()
			if n := won.Load(); n > 1 || n == 0 && unknown.Load() == 0 {
				t.Errorf("%d won, and %d were told nothing", n, unknown.Load())
			}
		}
		all := requests(t, servers[0])
		if n := len(slices.Compact(slices.Clone(all))); len(all) != things || n != things {
			t.Errorf("%d events of %d things, want %d", len(all), n, things)
		}
		whole(t, servers[0])
	})
	t.Run("own rule: one that loses does not take the others of its transaction along", func(t *testing.T) {
		s := open(t)
		if err := s.Record(t.Context(), anEvent("before"), code("used")); err != nil {
			t.Fatal(err)
		}
		s.journal.close() // the test writes in its place
		won, lost := []*entry{anEntry(t, "a", code("a")), anEntry(t, "b"), anEntry(t, "c", code("c"))}, anEntry(t, "lost", code("free"), code("used"))
		late := anEntry(t, "late", code("new"), code("c"))
		s.journal.batch(t.Context(), []*entry{won[0], lost, won[1], won[2], late})
		for _, n := range won {
			if err := <-n.done; err != nil {
				t.Errorf("%s: %v", n.event, err)
			}
		}
		for n, want := range map[*entry]string{lost: "used", late: "c"} {
			if err := <-n.done; err != (idp.Used{Fence: code(want)}) { //nolint:errorlint // the value itself is promised
				t.Errorf("%s: %v, want %q to be used", n.event, err, want)
			}
		}
		again := anEntry(t, "again", code("free"), code("new"))
		s.journal.batch(t.Context(), []*entry{again})
		if err := <-again.done; err != nil {
			t.Errorf("what only losers raised: %v", err)
		}
		if got := requests(t, s); !slices.Equal(got, []string{"a", "again", "b", "before", "c"}) {
			t.Errorf("the journal holds %q", got)
		}
		whole(t, s)
	})
	t.Run("own rule: what nobody waits for any more is not begun", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Record(ctx, anEvent("gone"), code("c")); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Record: %v, want %v", err, idp.ErrUnavailable)
		}
		if err := s.Record(t.Context(), anEvent("next"), code("c")); err != nil {
			t.Error(err)
		}
		if got := requests(t, s); !slices.Equal(got, []string{"next"}) {
			t.Errorf("the journal holds %q", got)
		}
	})
	t.Run("own rule: who gave up is passed over, and who is begun is not begun again", func(t *testing.T) {
		j := &journal{waiting: make(chan *entry, 3)}
		gone, begun, waits := anEntry(t, "gone"), anEntry(t, "begun"), anEntry(t, "waits")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		gone.ctx = ctx
		begun.begun.Store(true)
		j.waiting <- begun
		j.waiting <- waits
		if batch := j.gather(gone); !slices.Equal(batch, []*entry{waits}) {
			t.Errorf("%d are begun, want the one that waits", len(batch))
		}
	})
	t.Run("own rule: servers that want the same fences do not wait for one another in a circle", func(t *testing.T) {
		url := aDatabase(t)
		servers := []*Store{openAt(t, url), openAt(t, url)}
		for round := range 50 {
			var wanted []idp.Fence
			for n := range 200 {
				wanted = append(wanted, code(fmt.Sprintf("%d-%d", round, n)))
			}
			var wg sync.WaitGroup
			for _, s := range servers {
				fences := slices.Clone(wanted)
				slices.Reverse(wanted)
				wg.Go(func() {
					if err := s.Record(t.Context(), anEvent("circle"), fences...); err != nil && !errors.Is(err, idp.ErrUsed) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if n := len(requests(t, servers[0])); n != 50 {
			t.Errorf("%d events are recorded, want 50", n)
		}
	})
	t.Run("own rule: where too many wait the next is told at once", func(t *testing.T) {
		s := open(t)
		s.journal.close()
		full := &journal{waiting: make(chan *entry, 1), closing: make(chan struct{}), closed: make(chan struct{})}
		full.waiting <- anEntry(t, "first")
		if err := full.record(t.Context(), anEvent("second"), nil, nil); !errors.Is(err, errFull) || !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("record: %v, want %v", err, errFull)
		}
	})
	t.Run("own rule: what waits at the end is recorded, and what comes later refused", func(t *testing.T) {
		s := open(t)
		var wg sync.WaitGroup
		var ok atomic.Int64
		for n := range 100 {
			wg.Go(func() {
				switch err := s.Record(t.Context(), anEvent(fmt.Sprint(n))); {
				case err == nil:
					ok.Add(1)
				case !errors.Is(err, idp.ErrUnavailable):
					t.Errorf("Record: %v", err)
				}
			})
		}
		s.journal.close()
		wg.Wait()
		if err := s.Record(t.Context(), anEvent("late")); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Record: %v, want %v", err, idp.ErrUnavailable)
		}
		if got := int64(len(requests(t, s))); got != ok.Load() {
			t.Errorf("%d events, %d acknowledged", got, ok.Load())
		}
	})
	t.Run("ASVS 16.4.2: the journal is append-only", func(t *testing.T) {
		s := open(t)
		if err := s.Record(t.Context(), anEvent("a")); err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{`UPDATE audit_events SET event = ''`, `DELETE FROM audit_events`, `TRUNCATE audit_events`} {
			if _, err := s.pool.Exec(t.Context(), sql); err == nil {
				t.Errorf("%s was taken", sql)
			}
		}
	})
}
