package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

// The bounds of these tests are loose: what is promised is a second to hear of
// a change, two to say that PostgreSQL is gone, and five to be back.
const (
	soon = 3 * time.Second
	back = 15 * time.Second
)

// twoServers returns two registries in one database, which hold everything and
// hear what changes.
func twoServers(t *testing.T) (a, b *Store) {
	t.Helper()
	a = listening(t, holding(t, document(t, everything), "A1B2"))
	return a, listening(t, openAt(t, a.pool.Config().ConnString()))
}

func TestChanges(t *testing.T) {
	a, b := twoServers(t)
	ctx := t.Context()
	const uid = "555000000101"
	email := func(s *Store) string {
		p, err := s.Person(ctx, uid)
		if err != nil {
			t.Error(err)
		}
		return p.Email
	}
	for _, tt := range []struct {
		rule string
		sql  string
		is   func(s *Store) bool
	}{
		{"own rule: every server hears of a person who changed", "UPDATE people SET email = 'new' WHERE uid = '" + uid + "'",
			func(s *Store) bool { return email(s) == "new" }},
		{"own rule: every server hears of a position that moved to somebody else",
			"UPDATE positions SET uid = '555000000102' WHERE id = '555000000202'",
			func(s *Store) bool {
				from, _ := s.Person(ctx, uid)
				to, _ := s.Person(ctx, "555000000102")
				return len(from.Positions) == 1 && len(to.Positions) == 1
			}},
		{"own rule: every server hears of an organisation that changed", "UPDATE organisations SET name = 'New' WHERE code = 'A9A5A'",
			func(s *Store) bool {
				p, _ := s.Person(ctx, uid)
				return p.Positions[0].Organisation.Name == "New"
			}},
		{"own rule: every server hears of a membership that ended", "DELETE FROM memberships WHERE uid = '" + uid + "' AND place = 1",
			func(s *Store) bool { p, _ := s.Person(ctx, uid); return len(p.Memberships) == 1 }},
		{"own rule: every server hears of a card that was revoked", "UPDATE cards SET state = 'revoked' WHERE serial = '0101'",
			func(s *Store) bool {
				c, _ := s.CardByCertificate(ctx, "A1B2", "0101")
				return c.State == smartcard.Revoked
			}},
		{"own rule: every server hears of a card that was given another number", "UPDATE cards SET serial = '0103' WHERE serial = '0101'",
			func(s *Store) bool {
				_, err := s.CardByCertificate(ctx, "A1B2", "0101")
				return errors.Is(err, smartcard.ErrNotRegistered)
			}},
		{"own rule: every server hears of a client that changed", "UPDATE clients SET redirect_uris = '{https://new.example/}' WHERE id = 'ward'",
			func(s *Store) bool {
				c, _ := s.Client(ctx, "ward")
				return slices.Equal(c.RedirectURIs, []string{"https://new.example/"})
			}},
		{"own rule: every server hears of a client that it did not know",
			"INSERT INTO clients SELECT (jsonb_populate_record(c, '{\"id\": \"new\"}')).* FROM clients c WHERE id = 'ward'",
			func(s *Store) bool { _, err := s.Client(ctx, "new"); return err == nil }},
		{"own rule: every server hears of a client that is gone", "DELETE FROM clients WHERE id = 'ward'",
			func(s *Store) bool { _, err := s.Client(ctx, "ward"); return errors.Is(err, idp.ErrClientUnknown) }},
		{"own rule: every server hears of a series that was blocked", "INSERT INTO card_series (series, blocked_from) VALUES (9, '2030-01-01')",
			func(s *Store) bool { _, ok, _ := s.BlockedFrom(ctx, 9); return ok }},
		{"own rule: every server hears of other days to warn", "UPDATE policy SET warn_days = '{5}'",
			func(s *Store) bool { days, _ := s.WarnDays(ctx); return slices.Equal(days, []int{5}) }},
		{"own rule: every server hears of a last role", "INSERT INTO last_roles (uid, client, position) VALUES ('" + uid + "', 'ward', 'x')",
			func(s *Store) bool { role, _ := s.LastRole(ctx, uid, "ward"); return role == "x" }},
		{"own rule: every server hears of a notice", "INSERT INTO notices (uid, told_at) VALUES ('" + uid + "', '2030-01-01')",
			func(s *Store) bool { at, _ := s.LastNotice(ctx, uid); return !at.IsZero() }},
		{"own rule: every server hears of a table that was emptied", "TRUNCATE last_roles, notices, memberships",
			func(s *Store) bool {
				role, _ := s.LastRole(ctx, uid, "ward")
				at, _ := s.LastNotice(ctx, uid)
				p, _ := s.Person(ctx, uid)
				return role == "" && at.IsZero() && len(p.Memberships) == 0
			}},
		{"own rule: every server hears of a person who is gone", "DELETE FROM people WHERE uid = '" + uid + "'",
			func(s *Store) bool { _, err := s.Person(ctx, uid); return errors.Is(err, idp.ErrNotFound) }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, s := range []*Store{a, b} {
				if tt.is(s) {
					t.Fatal("it is so before")
				}
			}
			exec(t, a, tt.sql)
			for _, s := range []*Store{a, b} {
				eventually(t, soon, tt.sql, func() bool { return tt.is(s) })
			}
		})
	}
}

func TestRolesAcrossServers(t *testing.T) {
	a, b := twoServers(t)
	const uid = "555000000101"
	t.Run("own rule: who saves reads it at once, and the other server soon", func(t *testing.T) {
		for _, position := range []string{"one", "two", "two"} {
			role := func(s *Store) string { r, _ := s.LastRole(t.Context(), uid, "ward"); return r }
			role(b)
			if err := a.SaveLastRole(t.Context(), uid, "ward", position); err != nil || role(a) != position {
				t.Fatalf("it is %q, %v; want %q", role(a), err, position)
			}
			eventually(t, soon, position, func() bool { return role(b) == position })
			at := time.Date(2030, 1, len(position), 0, 0, 0, 0, time.UTC)
			if err := b.SaveNotice(t.Context(), uid, at); err != nil {
				t.Fatal(err)
			}
			eventually(t, soon, "the notice", func() bool { told, _ := a.LastNotice(t.Context(), uid); return told.Equal(at) })
		}
	})
}

// questions counts what PostgreSQL is asked.
type questions struct {
	mu  sync.Mutex
	sql []string
}

func (q *questions) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sql = append(q.sql, data.SQL)
	return ctx
}

func (q *questions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// readAll reads one of everything.
func readAll(ctx context.Context, s *Store) []error {
	_, err1 := s.Person(ctx, "555000000101")
	_, err2 := s.Client(ctx, "ward")
	_, err3 := s.CardByCertificate(ctx, "A1B2", "0101")
	_, _, err4 := s.BlockedFrom(ctx, 9)
	_, err5 := s.WarnDays(ctx)
	_, err6 := s.LastRole(ctx, "555000000101", "ward")
	_, err7 := s.LastNotice(ctx, "555000000101")
	return []error{err1, err2, err3, err4, err5, err6, err7}
}

func TestWarm(t *testing.T) {
	t.Run("own rule: a warm server asks PostgreSQL nothing, and each thing with one question", func(t *testing.T) {
		a, _ := twoServers(t)
		asked := &questions{}
		s := listening(t, openAt(t, a.pool.Config().ConnString(), func(c *Config) { c.Tracer = asked }))
		for range 3 {
			for _, err := range readAll(t.Context(), s) {
				if err != nil {
					t.Error(err)
				}
			}
		}
		if n := len(asked.sql); n != 6 { // the policy tells both the series and the days
			t.Errorf("%d questions: %q", n, asked.sql)
		}
	})
	t.Run("own rule: a server whose clock stands elsewhere asks each time", func(t *testing.T) {
		asked, now := &questions{}, &clock{at: time.Now()}
		s := listening(t, openAt(t, aDatabase(t), func(c *Config) { c.Tracer, c.Now = asked, now.now }))
		now.move(-time.Minute)
		for range 3 {
			if _, err := s.WarnDays(t.Context()); err != nil {
				t.Error(err)
			}
			now.move(-time.Minute) // back again before the next proof can catch up
		}
		if n := len(asked.sql); n != 3 {
			t.Errorf("%d questions", n)
		}
	})
}

// clock is a clock that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// wantGone reads everything and wants to hear that nobody answers, soon.
func wantGone(t *testing.T, s *Store) {
	t.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i, err := range readAll(t.Context(), s) {
			if !errors.Is(err, idp.ErrUnavailable) {
				t.Errorf("read %d: %v, want ErrUnavailable", i, err)
			}
		}
	})
	wg.Go(func() {
		if err := s.SaveLastRole(t.Context(), "555000000101", "ward", "x"); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("save: %v, want ErrUnavailable", err)
		}
	})
	wg.Wait()
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

func wantBack(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, back, "everything is read again", func() bool {
		return s.feed.fresh() && errors.Join(readAll(t.Context(), s)...) == nil
	})
}

func TestOutage(t *testing.T) {
	p, url := aServer(t)
	s := openAt(t, url)
	if err := s.Load(t.Context(), document(t, everything), "A1B2"); err != nil {
		t.Fatal(err)
	}
	wantBack(t, s)
	t.Run("own rule: without PostgreSQL nothing is told from memory, and it comes back by itself", func(t *testing.T) {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, "the feed is lost", func() bool { return !s.feed.fresh() })
		wantGone(t, s)
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantBack(t, s)
	})
	t.Run("own rule: a PostgreSQL that stands still is one that is gone", func(t *testing.T) {
		if err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, "the feed is lost", func() bool { return !s.feed.fresh() })
		wantGone(t, s)
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
		wantBack(t, s)
	})
	t.Run("own rule: what changed while nobody heard is known after", func(t *testing.T) {
		// The connection that listens is cut, and the row changes in the same
		// instant.
		exec(t, s, `WITH cut AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lanyard feed')
			UPDATE people SET email = 'new' WHERE uid = '555000000101' AND (SELECT count(*) FROM cut) > 0`)
		eventually(t, soon, "the feed is lost", func() bool { return s.feed.proof.Load() == nil })
		listening(t, s)
		if got, err := s.Person(t.Context(), "555000000101"); err != nil || got.Email != "new" {
			t.Errorf("Person() = %q, %v; want the new address", got.Email, err)
		}
	})
	t.Run("own rule: a store that opens before PostgreSQL waits for it", func(t *testing.T) {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		late := openAt(t, url)
		wantGone(t, late)
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantBack(t, late)
	})
}

// diary follows a feed and writes down what it is told.
type diary struct {
	mu    sync.Mutex
	lines []string
	begin func(ctx context.Context, conn *pgx.Conn) error // what it does to refill
}

func (d *diary) refill(ctx context.Context, conn *pgx.Conn) error {
	if err := d.begin(ctx, conn); err != nil {
		return err
	}
	d.heard("refilled", "")
	return nil
}

func (d *diary) heard(kind, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, kind+"/"+name)
}

func (d *diary) holds(lines ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Equal(d.lines, lines)
}

// followed returns a feed that d follows, which ends with the test.
func followed(t *testing.T, s *Store, d *diary) *feed {
	t.Helper()
	f := &feed{config: s.pool.Config().ConnConfig, now: time.Now, log: silent}
	f.follow(d)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func TestFeed(t *testing.T) {
	t.Run("own rule: what is told during a refill is heard after it", func(t *testing.T) {
		s := open(t)
		d := &diary{begin: func(ctx context.Context, conn *pgx.Conn) error {
			_, err := s.pool.Exec(ctx, "SELECT pg_notify('lanyard', 'fence session h')")
			return errors.Join(err, conn.Ping(ctx)) // which brings it
		}}
		followed(t, s, d)
		eventually(t, back, "both lines", func() bool { return d.holds("refilled/", "fence/session h") })
	})
	t.Run("own rule: the feed is not fresh before everybody has begun anew", func(t *testing.T) {
		s, tries := open(t), 0
		d := &diary{}
		var f *feed
		started := make(chan struct{})
		d.begin = func(context.Context, *pgx.Conn) error {
			<-started
			if f.fresh() {
				t.Error("it is fresh too soon")
			}
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		}
		f = followed(t, s, d)
		close(started)
		eventually(t, back, "it is fresh", f.fresh)
		if !d.holds("refilled/") {
			t.Errorf("heard %q", d.lines)
		}
	})
	t.Run("own rule: a change that was acknowledged is heard before the next proof", func(t *testing.T) {
		s := open(t)
		d := &diary{begin: func(context.Context, *pgx.Conn) error { return nil }}
		f := followed(t, s, d)
		eventually(t, back, "it is fresh", f.fresh)
		proof := f.proof.Load()
		exec(t, s, "SELECT pg_notify('lanyard', 'a b')")
		changed := time.Now()
		eventually(t, back, "a proof that began after the change", func() bool {
			p := f.proof.Load()
			return p != proof && p != nil && p.After(changed)
		})
		if !d.holds("refilled/", "a/b") {
			t.Errorf("heard %q", d.lines)
		}
	})
}
