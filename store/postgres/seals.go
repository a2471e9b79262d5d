package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

// sealTime bounds one look at the ends of all chains.
const sealTime = 10 * time.Second

// sealSlack is how long before the last seal of all a chain must have come to
// rest for a server that has just started to take it as sealed.
const sealSlack = time.Hour

// sealer says for one server where the chains end.
type sealer struct {
	server string
	log    *slog.Logger

	mu     sync.Mutex
	sealed map[string]link // the ends that it has sealed, by chain; nil: it has just started
	n      int64           // of its last seal
	told   bool            // that there is no table yet
}

// tip is the end of a chain, with the time of its last event.
type tip struct {
	server string
	link
	at time.Time
}

// Seal signs where every chain ends that has moved since the last time, with
// key, which is of ES256. The server calls it once a minute. On a schema that
// has no place for seals yet it does nothing.
func (s *Store) Seal(ctx context.Context, key idp.SigningKey) error {
	ctx, cancel := context.WithTimeout(ctx, sealTime)
	defer cancel()
	s.sealer.mu.Lock()
	defer s.sealer.mu.Unlock()
	err := s.sealMoved(ctx, key)
	if noTable(err) {
		if !s.sealer.told {
			s.log.WarnContext(ctx, "the journal is not sealed until the schema is migrated")
		}
		s.sealer.told = true
		return nil
	}
	return outage(err)
}

func (s *Store) sealMoved(ctx context.Context, key idp.SigningKey) error {
	l := s.sealer
	last := seal{Server: l.server, Previous: follows(l.server)}
	var text string
	err := s.pool.QueryRow(ctx, `SELECT n, seal FROM audit_seals WHERE server = $1 ORDER BY n DESC LIMIT 1`, l.server).Scan(&last.N, &text)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return fmt.Errorf("find the last seal: %w", err)
	default:
		last.Previous = follows(text)
	}
	if last.N < l.n {
		l.log.ErrorContext(ctx, "seals of the journal were lost", "server", l.server, "sealed", l.n, "found", last.N)
	}
	l.n = last.N

	tips, err := s.tips(ctx)
	if err != nil {
		return err
	}
	if l.sealed == nil {
		if err := s.atRest(ctx, tips); err != nil {
			return err
		}
	}
	for moved := l.moved(ctx, tips); len(moved) > 0; {
		n := min(len(moved), mostHeads)
		if err := s.keepSeal(ctx, &last, moved[:n], key); err != nil {
			return err
		}
		moved = moved[n:]
	}
	return nil
}

// keepSeal makes and keeps the seal after last, which it then is.
func (s *Store) keepSeal(ctx context.Context, last *seal, moved []tip, key idp.SigningKey) error {
	next := seal{Server: last.Server, N: last.N + 1, At: s.now(), Previous: last.Previous}
	for _, t := range moved {
		next.Heads = append(next.Heads, head{t.server, t.seq, t.hash[:]})
	}
	text, err := next.sign(key)
	if err != nil {
		return err
	}
	// A server that has not learnt of a revocation yet must not leave a seal
	// that looks like a thief's.
	kept, err := s.pool.Exec(ctx, `INSERT INTO audit_seals (server, n, at, seal)
		SELECT $1::text, $2::bigint, $3::timestamptz, $4::text
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE kid = $5 AND revoked_at IS NOT NULL)`, next.Server, next.N, next.At, text, key.ID)
	if err != nil {
		return fmt.Errorf("keep a seal: %w", err)
	}
	if kept.RowsAffected() == 0 {
		return fmt.Errorf("keep a seal: the key %s was revoked", key.ID)
	}
	for _, t := range moved {
		s.sealer.sealed[t.server] = t.link
	}
	s.sealer.n = next.N
	next.Previous = follows(text)
	*last = next
	return nil
}

// moved returns the chains that do not end where l has sealed them.
func (l *sealer) moved(ctx context.Context, tips []tip) []tip {
	var moved []tip
	for _, t := range tips {
		was := l.sealed[t.server]
		if t.link == was {
			continue
		}
		if t.seq <= was.seq {
			l.log.ErrorContext(ctx, "a chain of the journal is not what was sealed", "chain", t.server, "sealed", was.seq, "found", t.seq)
		}
		moved = append(moved, t)
	}
	return moved
}

// atRest takes as sealed the chains that came to rest before the last seal of
// all. Otherwise every start would seal again whatever chain there ever was.
func (s *Store) atRest(ctx context.Context, tips []tip) error {
	var last *time.Time
	if err := s.pool.QueryRow(ctx, `SELECT max(at) FROM audit_seals`).Scan(&last); err != nil {
		return fmt.Errorf("find the last seal of all: %w", err)
	}
	s.sealer.sealed = map[string]link{}
	for _, t := range tips {
		if last != nil && t.at.Before(last.Add(-sealSlack)) {
			s.sealer.sealed[t.server] = t.link
		}
	}
	return nil
}

// tips returns where every chain ends. It steps from chain to chain, so that
// it takes as long as there are chains and not events.
func (s *Store) tips(ctx context.Context) ([]tip, error) {
	rows, err := s.pool.Query(ctx, `
		WITH RECURSIVE chains AS (
			(SELECT server FROM audit_events ORDER BY server LIMIT 1)
			UNION ALL
			SELECT (SELECT server FROM audit_events WHERE server > c.server ORDER BY server LIMIT 1)
			FROM chains AS c WHERE c.server IS NOT NULL
		)
		SELECT c.server, e.seq, e.hash, e.at FROM chains AS c, LATERAL (
			SELECT seq, hash, at FROM audit_events WHERE server = c.server ORDER BY seq DESC LIMIT 1
		) AS e`)
	if err != nil {
		return nil, fmt.Errorf("find the ends of the chains: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (tip, error) {
		var e row
		err := r.Scan(&e.server, &e.seq, &e.hash, &e.at)
		return tip{e.server, e.link(), e.at}, err
	})
}

// noTable says whether err is that a table is not there.
func noTable(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == "42P01"
}

// kept is a seal as it is kept.
type kept struct {
	server string
	n      int64
	at     time.Time
	text   string
}

// wrong says what is wrong with k where l is what it says and the seal before
// it is last.
func (k kept) wrong(l seal, last kept) string {
	before := last.text
	if k.server != last.server {
		last.n, before = 0, k.server
	}
	switch {
	case k.n != last.n+1:
		return fmt.Sprintf("seals are missing after %d", last.n)
	case l.Server != k.server || l.N != k.n:
		return fmt.Sprintf("the seal was moved: it is seal %d of %q", l.N, l.Server)
	case !l.At.Truncate(time.Microsecond).Equal(k.at):
		return "its time was changed"
	case !bytes.Equal(l.Previous, follows(before)):
		return "it does not follow the seal before it"
	}
	return ""
}
