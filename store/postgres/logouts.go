package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

var (
	_ idp.Watches = (*Store)(nil)
	_ idp.Logouts = (*Store)(nil)
)

// tellable knows whether the schema has a table, by which clients are told for
// one: that of the release before has not, and nobody is told then.
type tellable struct {
	table string
	there atomic.Bool
}

func (t *tellable) ask(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (bool, error) {
	if t.there.Load() {
		return true, nil
	}
	var there bool
	if err := db.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", t.table).Scan(&there); err != nil {
		return false, err
	}
	t.there.Store(there)
	return there, nil
}

// telling asks something about logouts: do is not called where there are none.
func (s *Store) telling(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := within(ctx)
	defer cancel()
	there, err := s.journal.tellable.ask(ctx, s.pool)
	if err == nil && there {
		err = do(ctx)
	}
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return outage(fmt.Errorf("%s: %w", what, err))
	}
	return err
}

// DueWatches implements idp.Watches. The persons of those that are due are
// forgotten: what changed about them may not have been heard yet.
func (s *Store) DueWatches(ctx context.Context, now, until time.Time, most int) (due []idp.Watch, err error) {
	err = s.telling(ctx, "sessions that are due", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `UPDATE session_clients SET due = $2 WHERE (sid, client) IN (
				SELECT sid, client FROM session_clients WHERE due <= $1 ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED)
			RETURNING sid, client, uid, due`, now, until, most)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (idp.Watch, error) {
			var w idp.Watch
			err := row.Scan(&w.SID, &w.Client, &w.Subject, &w.Held)
			return w, err
		})
		return err
	})
	for _, w := range due {
		s.people.drop(w.Subject)
	}
	return due, err
}

// WatchOn implements idp.Watches.
func (s *Store) WatchOn(ctx context.Context, w idp.Watch, next time.Time) error {
	return s.telling(ctx, "watch on", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "UPDATE session_clients SET due = $4 WHERE sid = $1 AND client = $2 AND due = $3", w.SID, w.Client, w.Held, next)
		return err
	})
}

// EndWatch implements idp.Watches.
func (s *Store) EndWatch(ctx context.Context, sid string, act idp.Act) error {
	return s.journal.record(ctx, act.Event, act.Fences, func(ctx context.Context, tx pgx.Tx) error {
		var told int64
		if err := tx.QueryRow(ctx, "SELECT session_over($1)", sid).Scan(&told); err != nil {
			return outage(err)
		}
		if told == 0 {
			return idp.ErrNotFound
		}
		return nil
	})
}

// logoutColumns are what a logout is.
const logoutColumns = "id, sid, client, uid, at, tries, nullif(due, '-infinity'), result, said, said_at"

func readLogout(row pgx.CollectableRow) (idp.Logout, error) {
	var (
		l                idp.Logout
		at, held, saidAt *time.Time
	)
	err := row.Scan(&l.ID, &l.SID, &l.Client, &l.Subject, &at, &l.Tries, &held, &l.Result, &l.Said, &saidAt)
	l.At, l.Held, l.SaidAt = zero(at), zero(held), zero(saidAt)
	return l, err
}

// TakeLogouts implements idp.Logouts.
func (s *Store) TakeLogouts(ctx context.Context, t idp.LogoutTaking) (taken []idp.Logout, err error) {
	but := t.But
	if but == nil {
		but = []string{}
	}
	err = s.telling(ctx, "take logouts", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `WITH taken AS (
				UPDATE logouts SET due = $2, at = coalesce(at, $1), tries = tries + 1
				FROM (SELECT l.id, l.due FROM (
						SELECT DISTINCT client FROM logouts WHERE result = '' AND due <= $1 AND client <> ALL ($5) LIMIT $3) AS c
					CROSS JOIN LATERAL (
						SELECT id, due FROM logouts WHERE client = c.client AND result = '' AND due <= $1
						ORDER BY due, id LIMIT $4 FOR UPDATE SKIP LOCKED) AS l) AS d (id, was)
				WHERE logouts.id = d.id
				RETURNING logouts.*, was)
			SELECT `+logoutColumns+" FROM taken ORDER BY was, id", t.Now, t.Until, t.Clients, t.Each, but)
		if err != nil {
			return err
		}
		taken, err = pgx.CollectRows(rows, readLogout)
		return err
	})
	return taken, err
}

// PutBackLogout implements idp.Logouts.
func (s *Store) PutBackLogout(ctx context.Context, l idp.Logout, next time.Time) error {
	return s.telling(ctx, "put a logout back", func(ctx context.Context) error {
		return one(s.pool.Exec(ctx, "UPDATE logouts SET due = $3, tries = $4, said = $5, said_at = $6 WHERE id = $1 AND due = $2 AND result = ''",
			l.ID, l.Held, next, l.Tries, l.Said, none(l.SaidAt)))
	})
}

// EndLogout implements idp.Logouts.
func (s *Store) EndLogout(ctx context.Context, l idp.Logout) error {
	const end = "UPDATE logouts SET result = $3, tries = $4, said = $5, said_at = $6 WHERE id = $1 AND due = $2 AND result = ''"
	args := []any{l.ID, l.Held, l.Result, l.Tries, l.Said, l.SaidAt}
	if l.Result == idp.LogoutTold {
		return s.telling(ctx, "end a logout", func(ctx context.Context) error { return one(s.pool.Exec(ctx, end, args...)) })
	}
	return s.journal.record(ctx, l.Failed(l.SaidAt), nil, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, end, args...))
	})
}

// LastLogouts implements idp.Logouts.
func (s *Store) LastLogouts(ctx context.Context, most int) (last []idp.Logout, err error) {
	err = s.telling(ctx, "the last logouts", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT "+logoutColumns+" FROM logouts ORDER BY id DESC LIMIT $1", most)
		if err != nil {
			return err
		}
		last, err = pgx.CollectRows(rows, readLogout)
		return err
	})
	return last, err
}

// LogoutCount is what the log has of one client.
type LogoutCount struct {
	Client  string
	Waiting int
	Failed  int    // refused or given up
	Said    string // what came of the last try that failed
}

// CountLogouts returns what waits and what failed, by client.
func (s *Store) CountLogouts(ctx context.Context) (counts []LogoutCount, err error) {
	err = s.telling(ctx, "count logouts", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT client, count(*) FILTER (WHERE result = ''), count(*) FILTER (WHERE result <> ''),
				coalesce((array_agg(said ORDER BY said_at DESC) FILTER (WHERE said <> ''))[1], '')
			FROM logouts WHERE result IN ('', $1, $2) GROUP BY client ORDER BY client`, idp.LogoutRefused, idp.LogoutGivenUp)
		if err != nil {
			return err
		}
		counts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LogoutCount])
		return err
	})
	return counts, err
}

// LogoutsWaiting counts those that were not told yet.
func (s *Store) LogoutsWaiting(ctx context.Context) (n int, err error) {
	err = s.telling(ctx, "logouts that wait", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT count(*) FROM logouts WHERE result = ''").Scan(&n)
	})
	return n, err
}

// ForgetLogouts takes out of the log what has been there for its time. Any
// number of servers may do so at once.
func (s *Store) ForgetLogouts(ctx context.Context) error {
	const chunk = 1000
	for {
		var tag pgconn.CommandTag
		err := s.telling(ctx, "forget logouts", func(ctx context.Context) (err error) {
			tag, err = s.pool.Exec(ctx, `DELETE FROM logouts WHERE id = ANY (ARRAY(
				SELECT id FROM logouts WHERE result <> '' AND said_at < $1 ORDER BY said_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
				s.now().Add(-idp.LogoutLogLife), chunk)
			return err
		})
		if err != nil || tag.RowsAffected() < chunk {
			return err
		}
	}
}

// zero is the zero time for null.
func zero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// none is null for the zero time.
func none(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
