package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

var _ cis1.Uses = (*Store)(nil)

// AddUses implements cis1.Uses. On the schema of the release before nothing is
// kept, and that is no error.
func (s *Store) AddUses(ctx context.Context, add []cis1.Counted, from idp.Date) error {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	if there, err := s.counts(ctx); err != nil || !there {
		return err
	}
	var (
		days, parts, calls, applications, versions, organisations, people []string
		counts                                                            []int64
	)
	for _, c := range add {
		days, parts, calls = append(days, string(c.Day)), append(parts, c.Part), append(calls, c.Call)
		applications, versions = append(applications, c.Application), append(versions, c.Version)
		organisations, people, counts = append(organisations, c.Organisation), append(people, c.Person), append(counts, c.Calls)
	}
	// In one order on every server, so that none waits for another that waits
	// for it.
	_, err := s.pool.Exec(ctx, `INSERT INTO bridge_uses AS b (day, part, call, application, version, organisation, uid, calls)
		SELECT * FROM unnest($1::text[]::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) AS u (day, part, call, application, version, organisation, uid, calls)
		ORDER BY 1, 2, 3, 4, 5, 6, 7
		ON CONFLICT (day, part, call, application, version, organisation, uid) DO UPDATE SET calls = b.calls + excluded.calls`,
		days, parts, calls, applications, versions, organisations, people, counts)
	if err != nil {
		return fmt.Errorf("count uses: %w", outage(err))
	}
	if _, err := s.pool.Exec(ctx, "DELETE FROM bridge_uses WHERE day < $1::text::date", string(from)); err != nil {
		return fmt.Errorf("forget uses: %w", outage(err))
	}
	return nil
}

// UsesSince implements cis1.Uses.
func (s *Store) UsesSince(ctx context.Context, day idp.Date) ([]cis1.Counted, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	if there, err := s.counts(ctx); err != nil || !there {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT `+dayText("day")+`, part, call, application, version, organisation, uid, calls
		FROM bridge_uses WHERE day >= $1::text::date`, string(day))
	if err != nil {
		return nil, fmt.Errorf("uses: %w", outage(err))
	}
	counted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (cis1.Counted, error) {
		var c cis1.Counted
		err := row.Scan(&c.Day, &c.Part, &c.Call, &c.Application, &c.Version, &c.Organisation, &c.Person, &c.Calls)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("uses: %w", outage(err))
	}
	return counted, nil
}

// counts says whether the schema has where uses are counted.
func (s *Store) counts(ctx context.Context) (bool, error) {
	there, err := s.countable.ask(ctx, s.pool)
	return there, outage(err)
}
