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
// find nothing to do. Each step is a transaction, so that one that was broken
// off left nothing behind. There is no way back: the release before runs on the
// schema after.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("the URL of PostgreSQL: %w", err)
	}
	conf.ConnectTimeout = patience
	db := stdlib.OpenDB(*conf)
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
	done, err := provider.Up(ctx)
	if err != nil {
		return outage(fmt.Errorf("migrate: %w", err))
	}
	for _, m := range done {
		log.InfoContext(ctx, "the schema was migrated", "migration", m.Source.Path, "took", m.Duration.String())
	}
	return nil
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
