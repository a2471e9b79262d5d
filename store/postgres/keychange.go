package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	// tendEvery is how often a server looks whether keys are due.
	tendEvery = time.Minute

	// keyPatience is how long a change of keys may take. Making an RSA key can
	// take a second, in a token several, and servers wait for one another.
	keyPatience = 30 * time.Second

	// keyLock is the advisory lock of who changes keys: any number that means
	// nothing else.
	keyLock = 5_277_001
)

// decision says what is to become of the keys that are there.
type decision func(there *idp.Keys, kinds []idp.KeyKind, now time.Time) (idp.KeyChanges, error)

// MakeFirstKeys makes a key of every kind of which there never was one.
func (s *Store) MakeFirstKeys(ctx context.Context) (idp.KeyChanges, error) {
	return s.changeKeys(ctx, strictly, func(there *idp.Keys, kinds []idp.KeyKind, now time.Time) (idp.KeyChanges, error) {
		return s.keys.policy.First(there, kinds, now), nil
	})
}

// RotateKeys makes the next keys if they are due. Every server asks; one acts.
// What is due is decided on what PostgreSQL says now.
func (s *Store) RotateKeys(ctx context.Context) (idp.KeyChanges, error) {
	k := s.keys
	if k.vault == nil {
		return idp.KeyChanges{}, errNoVault
	}
	reading, cancel := within(ctx)
	problems, err := k.read(reading, s.pool)
	cancel()
	k.tell(ctx, problems)
	if err != nil {
		return idp.KeyChanges{}, outage(err)
	}
	if due := k.policy.Rotation(s.SigningKeys(), k.vault.Kinds(), k.now()); due.None() {
		return due, nil // as nearly always, and without keeping other servers waiting
	}
	return s.changeKeys(ctx, strictly, func(there *idp.Keys, kinds []idp.KeyKind, now time.Time) (idp.KeyChanges, error) {
		return k.policy.Rotation(there, kinds, now), nil
	})
}

// NextKeys makes the next keys ahead of time.
func (s *Store) NextKeys(ctx context.Context) (idp.KeyChanges, error) {
	return s.changeKeys(ctx, strictly, s.keys.policy.Next)
}

// RevokeKeys revokes keys at once and replaces those that signed.
func (s *Store) RevokeKeys(ctx context.Context, ids ...string) (idp.KeyChanges, error) {
	return s.changeKeys(ctx, leniently, func(there *idp.Keys, _ []idp.KeyKind, now time.Time) (idp.KeyChanges, error) {
		return s.keys.policy.Revocation(there, ids, now)
	})
}

// TendKeys rotates the keys when they are due, until ctx ends.
func (s *Store) TendKeys(ctx context.Context) {
	for {
		if _, err := s.RotateKeys(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "signing keys were not rotated", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tendEvery):
		}
	}
}

// What a change of keys makes of keys that do not open.
const (
	// strictly changes nothing then: with a vault that is not the one that
	// made the keys, none may be made.
	strictly = false

	// leniently goes on as long as one opens, so that damage to a row does not
	// keep anybody from revoking it or another.
	leniently = true
)

// changeKeys does what decide says, while no other server changes the keys.
func (s *Store) changeKeys(ctx context.Context, lenient bool, decide decision) (idp.KeyChanges, error) {
	k := s.keys
	if k.vault == nil {
		return idp.KeyChanges{}, errNoVault
	}
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	var changes idp.KeyChanges
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", keyLock); err != nil {
			return fmt.Errorf("wait for who changes signing keys: %w", err)
		}
		there, err := k.there(ctx, tx, lenient)
		if err != nil {
			return err
		}
		// Whole microseconds, which is what the database keeps.
		if changes, err = decide(there, k.vault.Kinds(), k.now().Truncate(time.Microsecond)); err != nil {
			return err
		}
		for i := range changes.New {
			if err := k.insert(ctx, tx, &changes.New[i]); err != nil {
				return err
			}
		}
		for _, key := range changes.Changed {
			if _, err := tx.Exec(ctx, `UPDATE signing_keys SET signs_until = $2, published_until = $3, revoked_at = coalesce(revoked_at, $4)
				WHERE kid = $1`, key.ID, undecided(key.SignsUntil), undecided(key.PublishedUntil), undecided(key.RevokedAt)); err != nil {
				return fmt.Errorf("change signing key %s: %w", key.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return idp.KeyChanges{}, outage(err)
	}
	for _, key := range changes.New {
		s.log.InfoContext(ctx, "signing key made", "kid", key.ID, "kind", string(key.Kind), "signs_from", key.SignsFrom)
	}
	for _, key := range changes.Changed {
		s.log.InfoContext(ctx, "signing key changed", "kid", key.ID, "kind", string(key.Kind), "state", string(key.State(k.now())), "signs_until", key.SignsUntil)
	}
	// The feed will tell too; who asked for the change need not wait for it.
	problems, err := k.read(ctx, s.pool)
	k.tell(ctx, problems)
	if err != nil {
		k.heard("keys", "")
	}
	return changes, nil
}

// there returns the keys that are in the database now. One that does not open
// is of no kind.
func (k *keyring) there(ctx context.Context, from rowsFrom, lenient bool) (*idp.Keys, error) {
	rows, err := readKeyRows(ctx, from)
	if err != nil {
		return nil, err
	}
	var all []idp.SigningKey
	var problems []error
	open := 0
	for _, r := range rows {
		key, err := r.open(k.vault)
		if err == nil {
			open++
		} else {
			key = idp.SigningKey{ID: r.id, KeyTimes: r.times}
			if r.times.RevokedAt.IsZero() {
				problems = append(problems, err)
			}
		}
		all = append(all, key)
	}
	if lenient && open > 0 {
		problems = nil
	}
	return idp.NewKeys(all...), errors.Join(problems...)
}

// insert makes a key that was decided on.
func (k *keyring) insert(ctx context.Context, tx pgx.Tx, key *idp.SigningKey) error {
	key.ID = idp.NewKeyID()
	sealed, signer, err := k.vault.New(key.ID, key.Kind)
	if err != nil {
		return fmt.Errorf("make a %s key: %w", key.Kind, err)
	}
	key.Public = signer.Public()
	public, err := x509.MarshalPKIXPublicKey(key.Public)
	if err != nil {
		return fmt.Errorf("write a %s key: %w", key.Kind, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO signing_keys (kid, algs, public, sealed, published_from, signs_from, signs_until, published_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, key.ID, key.Kind.Algs(), public, sealed, key.PublishedFrom, key.SignsFrom,
		undecided(key.SignsUntil), undecided(key.PublishedUntil))
	if err != nil {
		return fmt.Errorf("write signing key %s: %w", key.ID, err)
	}
	return nil
}
