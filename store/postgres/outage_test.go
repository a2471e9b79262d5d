package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

func TestOutageIsTold(t *testing.T) {
	for _, tt := range []struct {
		rule string
		err  error
		want bool
	}{
		{"own rule: nothing is no outage", nil, false},
		{"own rule: a deadline that has passed is an outage", fmt.Errorf("x: %w", context.DeadlineExceeded), true},
		{"own rule: a caller who went away is none", fmt.Errorf("x: %w", context.Canceled), false},
		{"own rule: a connection that broke is an outage", fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		{"own rule: an operator who ends PostgreSQL makes an outage", &pgconn.PgError{Code: "57P01"}, true},
		{"own rule: a PostgreSQL that begins is an outage", &pgconn.PgError{Code: "57P03"}, true},
		{"own rule: too many connections are an outage", &pgconn.PgError{Code: "53300"}, true},
		{"own rule: a broken connection is an outage", &pgconn.PgError{Code: "08006"}, true},
		{"own rule: a standby cannot take what is to be kept", &pgconn.PgError{Code: "25006"}, true},
		{"own rule: a table that is not there is a fault of ours", &pgconn.PgError{Code: "42P01"}, false},
		{"own rule: what is there already is no outage", &pgconn.PgError{Code: "23505"}, false},
		{"own rule: no row is no outage", pgx.ErrNoRows, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := outage(tt.err)
			if errors.Is(got, idp.ErrUnavailable) != tt.want || !errors.Is(got, tt.err) {
				t.Errorf("outage(%v) = %v", tt.err, got)
			}
			if again := outage(got); !errors.Is(again, got) || fmt.Sprint(again) != fmt.Sprint(got) {
				t.Errorf("told twice: %v", again)
			}
		})
	}
	t.Run("own rule: what PostgreSQL cannot read is not found", func(t *testing.T) {
		s := open(t)
		for _, odd := range []string{"a\x00b", "\xff", string(make([]byte, 5000)), "'; DROP TABLE clients; --"} {
			if _, err := s.Client(t.Context(), odd); !errors.Is(err, idp.ErrClientUnknown) {
				t.Errorf("Client(%q): %v", odd, err)
			}
		}
	})
	t.Run("own rule: a URL that cannot be read is refused, and its password not told", func(t *testing.T) {
		_, err := Open(t.Context(), Config{URL: "postgres://lanyard:hunter2@host:port/x"})
		if err == nil || errors.Is(err, idp.ErrUnavailable) || contains(err, "hunter2") {
			t.Errorf("Open: %v", err)
		}
	})
	t.Run("own rule: a password is in no error", func(t *testing.T) {
		s := openAt(t, "postgres://lanyard:hunter2@127.0.0.1:1/x")
		err := s.Ping(t.Context())
		if !errors.Is(err, idp.ErrUnavailable) || contains(err, "hunter2") {
			t.Errorf("Ping: %v", err)
		}
	})
}

func TestPoolIsBounded(t *testing.T) {
	t.Run("own rule: who finds every connection in use is told so, and nobody piles up", func(t *testing.T) {
		s := listening(t, openAt(t, aDatabase(t), func(c *Config) { c.MaxConns = 2 }))
		for range 2 {
			conn, err := s.pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if _, err := s.Person(t.Context(), fmt.Sprintf("%012d", i%50)); !errors.Is(err, idp.ErrUnavailable) {
					t.Errorf("Person: %v, want ErrUnavailable", err)
				}
			})
		}
		wg.Wait()
		eventually(t, back, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+2 })
	})
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }
