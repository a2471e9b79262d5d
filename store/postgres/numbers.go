package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// niKeyOf is what the key of the blind index is sealed for.
var niKeyOf = []byte("ni_key")

// niKey is the key of the blind index of National Insurance numbers, once it
// was asked for.
type niKey struct {
	mu  sync.Mutex
	key []byte
}

// tags returns what tags a number. The key is made by the first who asks; of
// two at once one does.
func (s *Store) tags(ctx context.Context) (func(number string) []byte, error) {
	s.ni.mu.Lock()
	defer s.ni.mu.Unlock()
	if s.ni.key == nil {
		fresh := make([]byte, 32)
		rand.Read(fresh) // never fails: crypto/rand ends the program instead
		sealed, err := s.seal.Seal(fresh, niKeyOf)
		if err != nil {
			return nil, fmt.Errorf("seal the key of the index of NI numbers: %w", err)
		}
		err = s.pool.QueryRow(ctx, `WITH made AS (INSERT INTO ni_key (sealed) VALUES ($1) ON CONFLICT DO NOTHING RETURNING sealed)
			SELECT sealed FROM made UNION ALL SELECT sealed FROM ni_key LIMIT 1`, sealed).Scan(&sealed)
		if errors.Is(err, pgx.ErrNoRows) { // somebody else has made it in this instant
			err = s.pool.QueryRow(ctx, "SELECT sealed FROM ni_key").Scan(&sealed)
		}
		if err != nil {
			return nil, behind(fmt.Errorf("key of the index of NI numbers: %w", err))
		}
		key, err := s.seal.Unseal(sealed, niKeyOf)
		if err != nil {
			return nil, fmt.Errorf("unseal the key of the index of NI numbers: %w", err)
		}
		s.ni.key = key
	}
	key := s.ni.key
	return func(number string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(number)) // a hash takes everything
		return h.Sum(nil)
	}, nil
}

// mostTagged is how many numbers are tagged at once.
const mostTagged = 500

// TagNumbers tags the National Insurance numbers that have no tag yet. It is
// called now and then, and before one is looked for: most often there is nothing
// to do. On a schema without tags it does nothing.
func (s *Store) TagNumbers(ctx context.Context) error {
	if s.seal == nil {
		return nil
	}
	var unread []string
	for after := ""; ctx.Err() == nil; {
		all, no, err := s.tagSome(ctx, after)
		if noTable(err) || noColumn(err) {
			return nil
		}
		if err != nil {
			return err
		}
		unread = append(unread, no...)
		if len(all) < mostTagged {
			return unreadable(unread)
		}
		after = all[len(all)-1]
	}
	return ctx.Err()
}

// unreadable is an error that names the first of those whose number cannot be
// read, so that somebody looks. Nobody else is held up by them.
func unreadable(uids []string) error {
	if len(uids) == 0 {
		return nil
	}
	return fmt.Errorf("the NI numbers of %d people cannot be read, such as that of %s: they are found by no number, and claim nothing", len(uids), uids[0])
}

// tagSome tags the numbers of some people, of those whose uids come after one. It
// returns whose there were, and whose cannot be read.
func (s *Store) tagSome(ctx context.Context, after string) (all, unread []string, err error) {
	type untagged struct {
		UID    string
		Sealed []byte
	}
	rows, err := s.pool.Query(ctx, "SELECT uid, ni_number FROM people WHERE ni_number IS NOT NULL AND ni_tag IS NULL AND uid > $1 ORDER BY uid LIMIT $2", after, mostTagged)
	if err != nil {
		return nil, nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[untagged])
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	tag, err := s.tags(ctx)
	if err != nil {
		return nil, nil, err
	}
	batch := &pgx.Batch{}
	for _, p := range found {
		all = append(all, p.UID)
		number, err := s.unsealNI(p.UID, p.Sealed)
		if err != nil {
			unread = append(unread, p.UID)
			continue
		}
		// Unless it was changed meanwhile: then it has another tag, or none yet.
		batch.Queue("UPDATE people SET ni_tag = $2 WHERE uid = $1 AND ni_number = $3", p.UID, tag(number), p.Sealed)
	}
	return all, unread, s.pool.SendBatch(ctx, batch).Close()
}

// ByNINumber implements registry.Finder.
func (s *Store) ByNINumber(ctx context.Context, number string) ([]registry.Found, error) {
	if s.seal == nil || number == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	if _, _, err := s.tagSome(ctx, ""); err != nil {
		return nil, behind(fmt.Errorf("tag NI numbers: %w", err))
	}
	tag, err := s.tags(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT "+foundColumns("$2::text")+", '' FROM people p WHERE p.ni_tag = $1 AND p.merged_into = '' ORDER BY p.uid LIMIT 10",
		tag(number), string(idp.DateOf(s.now())))
	if err != nil {
		return nil, behind(fmt.Errorf("find by NI number: %w", err))
	}
	hits, err := pgx.CollectRows(rows, readFound)
	if err != nil {
		return nil, behind(fmt.Errorf("find by NI number: %w", err))
	}
	var found []registry.Found
	for _, h := range hits {
		found = append(found, h.Found)
	}
	return found, nil
}

// holdNumber keeps everybody else from giving somebody that number until tx
// ends, and returns who has it. It comes before any row is locked: to be found, a
// number may have to be tagged first, by another connection.
func (s *Store) holdNumber(ctx context.Context, tx pgx.Tx, number string) ([]registry.Found, error) {
	if s.seal == nil || number == "" {
		return nil, nil
	}
	tag, err := s.tags(ctx)
	if err != nil {
		return nil, err
	}
	name := int64(binary.BigEndian.Uint64(tag(number))) //nolint:gosec // the bits name it
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", name); err != nil {
		return nil, fmt.Errorf("hold a number: %w", err)
	}
	return s.ByNINumber(ctx, number)
}

func noColumn(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == "42703"
}
