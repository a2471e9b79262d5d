package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

var _ idp.Lowerable = (*Store)(nil)

// HeldAt implements idp.Lowerable.
func (s *Store) HeldAt(ctx context.Context, kind authenticators.Kind, level authenticators.Level, after string, most int) ([]authenticators.Authenticator, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT "+authenticatorColumns+heldFrom+"WHERE a.kind = $1 AND a.level = $2 AND a.id > $3 ORDER BY a.id LIMIT $4",
		kind, level, after, most)
	if err != nil {
		return nil, outage(fmt.Errorf("authenticators of level %d: %w", level, err))
	}
	held, err := pgx.AppendRows([]authenticators.Authenticator(nil), rows, readAuthenticator)
	if err != nil {
		return nil, outage(fmt.Errorf("authenticators of level %d: %w", level, err))
	}
	return held, nil
}

// LowerAuthenticator implements idp.Lowerable. What a person changes of it
// meanwhile stays: a key that was reported as lost must not come back.
func (s *Store) LowerAuthenticator(ctx context.Context, a authenticators.Authenticator, method authenticators.Method, level authenticators.Level, act idp.Act) error {
	return s.act(ctx, a.Subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE authenticators SET method = $3, level = $4 WHERE id = $1 AND uid = $2 AND level = $5 AND level > $4",
			a.ID, a.Subject, method, level, a.Level))
	})
}
