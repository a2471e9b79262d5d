package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/store/conformance/servers"
)

// template is the database that every test gets a copy of: migrated, empty.
const template = "template_lanyard"

var (
	server    *servers.Postgres // for all tests that let it live
	databases atomic.Int64
	silent    = slog.New(slog.DiscardHandler)
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if url := os.Getenv(migrator); url != "" {
			return migrateAndSay(url)
		}
		var err error
		if server, err = startServer(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Stop() }()
		return m.Run()
	}())
}

// startServer starts a PostgreSQL that has the template.
func startServer(ctx context.Context) (*servers.Postgres, error) {
	p, err := servers.StartPostgres(ctx, false)
	if err != nil {
		return p, err
	}
	url, err := p.Create(ctx, template, "")
	if err != nil {
		return p, err
	}
	return p, Migrate(ctx, url, silent)
}

// aServer returns a PostgreSQL of the test's own, to be killed or frozen, and
// the URL of an empty registry in it.
func aServer(t *testing.T) (*servers.Postgres, string) {
	t.Helper()
	p, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	url, err := p.Create(t.Context(), "registry", template)
	if err != nil {
		t.Fatal(err)
	}
	return p, url
}

// aDatabase returns the URL of an empty registry.
func aDatabase(t *testing.T) string {
	t.Helper()
	return newDatabase(t, template)
}

// newDatabase returns the URL of a new database, which is a copy of from.
func newDatabase(t *testing.T, from string) string {
	t.Helper()
	url, err := server.Create(t.Context(), fmt.Sprintf("test_%d", databases.Add(1)), from)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// open returns an empty registry.
func open(t *testing.T) *Store {
	t.Helper()
	return openAt(t, aDatabase(t))
}

// openAt returns the registry at url. It is closed with the test.
func openAt(t *testing.T, url string, with ...func(*Config)) *Store {
	t.Helper()
	c := Config{URL: url, Now: time.Now, Sealer: paper{}, Log: silent}
	for _, change := range with {
		change(&c)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits until something is so, and fails the test if it does not
// become so in time.
func eventually(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// listening waits until s hears what changes.
func listening(t *testing.T, s *Store) *Store {
	t.Helper()
	eventually(t, 15*time.Second, "the feed is fresh", s.feed.fresh)
	return s
}

// exec runs SQL as somebody at a terminal would.
func exec(t *testing.T, s *Store, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
