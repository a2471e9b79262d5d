package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// migrator is in the environment of a process that only migrates: the URL.
const migrator = "LANYARD_TEST_MIGRATE"

func migrateAndSay(url string) int {
	if err := Migrate(context.Background(), url, silent); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// aMigrator returns a process that migrates the database at url.
func aMigrator(t *testing.T, url string) *osexec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), migrator+"="+url)
	cmd.Stderr = &bytes.Buffer{}
	return cmd
}

// heard gets the lines of a log, as many as it can hold.
type heard chan string

func (h heard) Write(line []byte) (int, error) {
	select {
	case h <- string(line):
	default:
	}
	return len(line), nil
}

// inTheWay begins to make a table that the first migration makes too, which has
// to wait for it.
func inTheWay(t *testing.T, url string) pgx.Tx {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "CREATE TABLE clients ()"); err != nil {
		t.Fatal(err)
	}
	return tx
}

// wantWhole checks that the schema at url is the program's, once.
func wantWhole(t *testing.T, url string) {
	t.Helper()
	s := openAt(t, url)
	have, want, err := s.Schema(t.Context())
	if err != nil || have != want || want == 0 {
		t.Errorf("Schema() = %d, %d, %v", have, want, err)
	}
	all, err := known()
	if err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&rows); err != nil || rows != len(all) {
		t.Errorf("%d migrations are written down, %v; want %d", rows, err, len(all))
	}
	if err := s.Load(t.Context(), document(t, everything), ""); err != nil {
		t.Errorf("the schema cannot be used: %v", err)
	}
}

func TestMigrate(t *testing.T) {
	t.Run("own rule: migrating again changes nothing", func(t *testing.T) {
		url := newDatabase(t, "")
		for range 2 {
			if err := Migrate(t.Context(), url, silent); err != nil {
				t.Fatal(err)
			}
		}
		wantWhole(t, url)
	})
	t.Run("own rule: of many who migrate at once one does, and all end well", func(t *testing.T) {
		url := newDatabase(t, "")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := Migrate(t.Context(), url, silent); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if out, err := aMigrator(t, url).Output(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		wantWhole(t, url)
	})
	t.Run("own rule: a migration that was killed half-way is run again", func(t *testing.T) {
		url := newDatabase(t, "")
		tx := inTheWay(t, url)
		cmd := aMigrator(t, url)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, back, "the migration waits", func() bool {
			var waits bool
			err := tx.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").Scan(&waits)
			return err == nil && waits
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := Migrate(t.Context(), url, silent); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, url)
	})
	t.Run("own rule: a step that has to wait for a table lets go of all others, and comes again", func(t *testing.T) {
		url := newDatabase(t, "")
		tx := inTheWay(t, url)
		log, done := make(heard, 1), make(chan error, 1)
		go func() { done <- Migrate(t.Context(), url, slog.New(slog.NewTextHandler(log, nil))) }()
		if line := <-log; !strings.Contains(line, "comes again") {
			t.Errorf("the log says %s", line)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantWhole(t, url)
	})
	t.Run("own rule: the status is told before and after, and asking changes nothing", func(t *testing.T) {
		url := newDatabase(t, "")
		for _, done := range []bool{false, true} {
			for range 2 {
				all, err := Status(t.Context(), url)
				if err != nil || len(all) == 0 || all[0].Version != 1 || all[0].Done != done {
					t.Errorf("Status() = %+v, %v", all, err)
				}
			}
			if err := Migrate(t.Context(), url, silent); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("own rule: a schema that nobody made is version 0", func(t *testing.T) {
		have, want, err := openAt(t, newDatabase(t, "")).Schema(t.Context())
		if err != nil || have != 0 || want == 0 {
			t.Errorf("Schema() = %d, %d, %v", have, want, err)
		}
	})
	t.Run("own rule: without PostgreSQL it is unavailable", func(t *testing.T) {
		const nobody = "postgres://lanyard@127.0.0.1:1/x"
		if err := Migrate(t.Context(), nobody, silent); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Migrate: %v", err)
		}
		if _, err := Status(t.Context(), nobody); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Status: %v", err)
		}
	})
}
