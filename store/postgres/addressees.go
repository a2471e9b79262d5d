package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

var _ registry.Addresses = (*Store)(nil)

// Addressees implements registry.Addresses. It looks at every position, so it
// may take as long as a worklist.
func (s *Store) Addressees(ctx context.Context, a registry.Audience, day idp.Date, most int) ([]registry.Addressee, error) {
	ctx, cancel := context.WithTimeout(ctx, longList)
	defer cancel()
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT p.uid, p.email, o.code COLLATE "C", o.name
		FROM positions w JOIN people p ON p.uid = w.uid JOIN organisations o ON o.code = w.organisation
		WHERE ($1::text[] IS NULL OR substring(w.role_code FROM '[^:]*$') = ANY ($1))
			AND ($4::text[] IS NULL OR w.organisation = ANY ($4))
			AND ($5::int = 0 OR EXISTS (SELECT FROM cards c WHERE c.uid = p.uid AND c.series = $5 AND c.registered AND c.state <> 'revoked'))
			AND (w.first_day IS NULL OR w.first_day <= $2::date) AND (w.last_day IS NULL OR w.last_day >= $2::date)
			AND (o.closed_on IS NULL OR o.closed_on >= $2::date)
			AND p.profile = 'verified' AND p.robot_owner = '' AND p.email <> ''
		ORDER BY p.uid, o.code COLLATE "C" LIMIT $3`, a.Roles, string(day), most, a.At, a.Series)
	if err != nil {
		return nil, behind(fmt.Errorf("who can be told by mail: %w", err))
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[registry.Addressee])
	if err != nil {
		return nil, behind(fmt.Errorf("who can be told by mail: %w", err))
	}
	return all, nil
}
