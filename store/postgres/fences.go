package postgres

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// mostEnded is how many fences of an end are remembered for each of two spans
// of time, at some 20 bytes each. Beyond that PostgreSQL is asked.
const mostEnded = 1_000_000

// fenceSlack is how much longer than its life a fence stays, for servers whose
// clocks differ.
const fenceSlack = 10 * time.Minute

// Stands implements idp.Fences. What has ended stays ended, so a yes from
// memory is always true; a no counts while the feed brings what others raise.
func (s *Store) Stands(ctx context.Context, f idp.Fence) (bool, error) {
	// In this order: were the feed lost and found between the two, the set
	// would be asked when it was whole again.
	fresh := s.feed.fresh()
	stands, whole := s.ended.has(f)
	if stands || fresh && whole {
		return stands, nil
	}

	ctx, cancel := within(ctx)
	defer cancel()
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM fences WHERE kind = $1 AND hash = $2)`, f.Kind, f.Hash).Scan(&stands)
	if err != nil {
		return false, outage(err)
	}
	return stands, nil
}

// Clean takes down the fences that guard nothing any more. Any number of
// servers may do so at once. It judges by this server's clock, so whoever asks
// for it has seen that the clock is right: a fence of use must not go.
func (s *Store) Clean(ctx context.Context) error {
	const chunk = 1000
	for {
		// Each chunk is a short transaction of its own, and passes over what
		// another server is at.
		tag, err := s.pool.Exec(ctx, `DELETE FROM fences WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM fences WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))`,
			s.now().Add(-fenceSlack), chunk)
		if err != nil {
			return outage(err)
		}
		if tag.RowsAffected() < chunk {
			return nil
		}
	}
}

// ended is the live part of the fences that tell of an end. Of each it keeps 64
// bits of a hash with a seed of this process: a fence that does not stand is
// taken for one that does once in 10^13 questions, and somebody signs in again.
//
// Entries are never removed one by one. They go into the younger of two sets;
// after the life of a fence that becomes the older, and the older is dropped.
type ended struct {
	now  func() time.Time
	most int
	seed maphash.Seed

	mu             sync.RWMutex
	young, old     map[uint64]struct{}
	since          time.Time // when young was begun
	partial, older bool      // young, old, have not room for all
}

func newEnded(now func() time.Time) *ended {
	return &ended{now: now, most: mostEnded, seed: maphash.MakeSeed(), young: map[uint64]struct{}{}, since: now()}
}

// has says whether f is known to stand, and whether all are known.
func (e *ended) has(f idp.Fence) (stands, whole bool) {
	h := maphash.Comparable(e.seed, f)
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, stands = e.young[h]
	if !stands {
		_, stands = e.old[h]
	}
	return stands, !e.partial && !e.older
}

// add remembers that f stands.
func (e *ended) add(f idp.Fence) {
	h, now := maphash.Comparable(e.seed, f), e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.since) > idp.FenceLife {
		e.old, e.older = e.young, e.partial
		e.young, e.partial, e.since = map[uint64]struct{}{}, false, now
	}
	if len(e.young) >= e.most {
		e.partial = true
		return
	}
	e.young[h] = struct{}{}
}

// refill reads what stands, when the feed begins again. It only adds: what is
// raised meanwhile is heard, before or after. It reads those too whose time is
// up: the clock may be set right later, and Clean keeps them few.
func (e *ended) refill(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT kind, hash FROM fences WHERE kind = ANY ($1)`, ending)
	if err != nil {
		return err
	}
	var f idp.Fence
	_, err = pgx.ForEachRow(rows, []any{&f.Kind, &f.Hash}, func() error {
		e.add(f)
		return nil
	})
	return err
}

// heard takes what another server told.
func (e *ended) heard(kind, name string) {
	if kind != "fence" {
		return
	}
	if fence, hash, ok := strings.Cut(name, " "); ok {
		e.add(idp.Fence{Kind: fence, Hash: hash})
	}
}
