package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/lanyard-id/lanyard/migrations"
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string // of its file
	Done    bool   // the database has it
}

// Migrate brings the schema of the database at url up to what this program
// knows. Of many who migrate at once one works and the others wait, and then
// find nothing to do. Each step is a transaction, or many that can be run again,
// so that one that was broken off does no harm. A step that has to wait for a table lets go and comes
// again: whoever asks for that table stands in line behind it. There is no way
// back: the release before runs on the schema after.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("the URL of PostgreSQL: %w", err)
	}
	conf.ConnectTimeout = patience
	// Not as a parameter of the connection: poolers refuse those they do not know.
	soon := "SET lock_timeout = " + strconv.FormatInt((patience/4).Milliseconds(), 10)
	db := stdlib.OpenDB(*conf, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, soon)
		return err
	}))
	defer func() { _ = db.Close() }()

	// Who waits asks each second, for ten minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for tries := 1; ; tries++ {
		done, err := provider.Up(ctx)
		if partly, ok := errors.AsType[*goose.PartialError](err); ok {
			done = partly.Applied
		}
		for _, m := range done {
			log.InfoContext(ctx, "the schema was migrated", "migration", m.Source.Path, "took", m.Duration.String())
		}
		if err == nil {
			return nil
		}
		if !stoodInLine(err) || tries == mostComings {
			return outage(fmt.Errorf("migrate: %w", err))
		}
		log.InfoContext(ctx, "the schema is in use; the migration comes again", "tries", tries)
		select {
		case <-ctx.Done():
			return outage(fmt.Errorf("migrate: %w", ctx.Err()))
		case <-time.After(patience):
		}
	}
}

// mostComings at steps that had to wait are some minutes.
const mostComings = 300

// stoodInLine says whether a step had to wait too long for a table, or for
// somebody who waited for the step.
func stoodInLine(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == "55P03" || answer.Code == "40P01") // lock_not_available, deadlock_detected
}

// Status returns the migrations that this program knows, in their order, and
// which of them the database at url has. It changes nothing.
func Status(ctx context.Context, url string) ([]Migration, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, outage(err)
	}
	defer hangUp(ctx, conn)
	have, err := version(ctx, conn)
	if err != nil {
		return nil, err
	}
	all, err := known()
	for i := range all {
		all[i].Done = all[i].Version <= have
	}
	return all, err
}

// Schema returns the version of the schema that the database has, 0 before the
// first migration, and the one that this program knows.
func (s *Store) Schema(ctx context.Context) (have, want int64, err error) {
	all, err := known()
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := within(ctx)
	defer cancel()
	have, err = version(ctx, s.pool)
	return have, all[len(all)-1].Version, err
}

// version returns the highest version of the schema. They come in order, so
// all below it are there too.
func version(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (int64, error) {
	var have int64
	err := db.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have)
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "42P01" { // there is no such table: nobody has migrated yet
		return 0, nil
	}
	return have, outage(err)
}

// known returns the migrations of this program in their order.
func known() ([]Migration, error) {
	files, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, name := range files {
		number, _, _ := strings.Cut(name, "_")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		all = append(all, Migration{Version: v, Name: name})
	}
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return all, nil
}
