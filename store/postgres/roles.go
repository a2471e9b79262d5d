package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// LastRole implements idp.LastRoles.
func (s *Store) LastRole(ctx context.Context, uid, client string) (string, error) {
	roles, err := s.roles.get(ctx, uid)
	if err != nil {
		return "", err
	}
	return roles[client], nil
}

// loadRoles asks PostgreSQL for the positions that a person last used, by the
// client.
func (s *Store) loadRoles(ctx context.Context, uid string) (map[string]string, error) {
	var roles map[string]string
	err := s.pool.QueryRow(ctx, "SELECT json_object_agg(client, position) FROM last_roles WHERE uid = $1", uid).Scan(&roles)
	if err != nil {
		return nil, fmt.Errorf("last roles of %s: %w", uid, err)
	}
	return roles, nil
}

// SaveLastRole implements idp.LastRoles. Most people work where they worked
// yesterday, and then there is nothing to write.
func (s *Store) SaveLastRole(ctx context.Context, uid, client, position string) error {
	ctx, cancel := within(ctx) // both questions together
	defer cancel()
	if last, err := s.LastRole(ctx, uid, client); err != nil || last == position {
		return err
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO last_roles (uid, client, position) VALUES ($1, $2, $3)
		ON CONFLICT (uid, client) DO UPDATE SET position = excluded.position WHERE last_roles.position <> excluded.position`,
		uid, client, position)
	s.roles.drop(uid) // others hear it; who saved reads it at once
	return outage(err)
}

// WarnDays implements idp.Notices and smartcard.Rules.
func (s *Store) WarnDays(ctx context.Context) ([]int, error) {
	p, err := s.policy.get(ctx, onlyPolicy)
	return slices.Clone(p.warnDays), err
}

// LastNotice implements idp.Notices.
func (s *Store) LastNotice(ctx context.Context, uid string) (time.Time, error) {
	return s.notices.get(ctx, uid)
}

// loadNotice asks PostgreSQL when a person was last told; zero is never.
func (s *Store) loadNotice(ctx context.Context, uid string) (time.Time, error) {
	var at time.Time
	err := s.pool.QueryRow(ctx, "SELECT told_at FROM notices WHERE uid = $1", uid).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("last notice of %s: %w", uid, err)
	}
	return at.UTC(), nil
}

// SaveNotice implements idp.Notices.
func (s *Store) SaveNotice(ctx context.Context, uid string, at time.Time) error {
	ctx, cancel := within(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `INSERT INTO notices (uid, told_at) VALUES ($1, $2)
		ON CONFLICT (uid) DO UPDATE SET told_at = excluded.told_at`, uid, at)
	s.notices.drop(uid)
	return outage(err)
}
