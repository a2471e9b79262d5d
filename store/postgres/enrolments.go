package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

var (
	_ registry.Enrolments = (*Store)(nil)
	_ registry.Managing   = (*Store)(nil)
)

const enrolmentColumns = "hash, uid, made_by, how, until"

// FindEnrolment implements registry.Enrolments.
func (s *Store) FindEnrolment(ctx context.Context, hash string, now time.Time) (registry.Enrolment, error) {
	var e registry.Enrolment
	if !isText(hash) {
		return e, idp.ErrNotFound
	}
	ctx, cancel := within(ctx)
	defer cancel()
	err := s.pool.QueryRow(ctx, "SELECT "+enrolmentColumns+" FROM enrolment_codes WHERE hash = $1 AND until > $2 AND used_at IS NULL", hash, now).
		Scan(&e.Hash, &e.UID, &e.By, &e.How, &e.Until)
	if errors.Is(err, pgx.ErrNoRows) {
		return registry.Enrolment{}, idp.ErrNotFound
	}
	if err != nil {
		return registry.Enrolment{}, behind(fmt.Errorf("enrolment code: %w", err))
	}
	e.Until = e.Until.UTC()
	return e, nil
}

// Managed implements registry.Managing.
func (s *Store) Managed(ctx context.Context) ([]registry.Name, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT kind, name FROM managed ORDER BY kind, name")
	if err != nil {
		return nil, behind(fmt.Errorf("what is managed: %w", err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowToStructByPos[registry.Name])
	if err != nil {
		return nil, behind(fmt.Errorf("what is managed: %w", err))
	}
	return names, nil
}

// codes keeps new ones, and uses one up: whoever comes second waits for the
// first, and finds it used.
func (w *writing) codes(ctx context.Context, tx pgx.Tx, at time.Time) error {
	if w.now.Spent != "" {
		if err := one(tx.Exec(ctx, "UPDATE enrolment_codes SET used_at = $2 WHERE hash = $1 AND until > $2 AND used_at IS NULL", w.now.Spent, at)); err != nil {
			return err
		}
	}
	r := rowsIn("enrolment_codes", 1, "hash", "uid", "made_by", "how", "until")
	for _, c := range w.now.Codes {
		if err := r.has(c.Hash, c.UID, c.By, c.How, c.Until); err != nil {
			return err
		}
	}
	return r.write(ctx, tx)
}
