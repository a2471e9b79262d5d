package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

var _ idp.DeskSessions = (*Store)(nil)

// departuresKey counts the people who have signed out where that ends what
// agents at desks hold. It begins anew when nobody has for longer than a question
// may wait.
const departuresKey = "departures"

// departedKey holds, by authenticator, which of them a person was.
func departedKey(uid string) string { return "departed:" + idp.Hash(uid) }

// Depart implements idp.DeskSessions. Of two at once the later counts.
func (s *Store) Depart(ctx context.Context, uid, authenticator string) error {
	p := s.rdb.Pipeline()
	n := p.Incr(ctx, departuresKey)
	p.PExpire(ctx, departuresKey, longestSession)
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("count departure: %w", outage(err))
	}
	p = s.rdb.Pipeline()
	p.ZAddGT(ctx, departedKey(uid), goredis.Z{Score: float64(n.Val()), Member: authenticator})
	p.PExpire(ctx, departedKey(uid), idp.LoginLife+slack)
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("keep departure: %w", outage(err))
	}
	return nil
}

// Departures returns how many people have signed out, as Depart counts them.
func (s *Store) Departures(ctx context.Context) (int64, error) {
	n, err := s.rdb.Get(ctx, departuresKey).Int64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return 0, fmt.Errorf("count departures: %w", outage(err))
	}
	return n, nil
}

// LastDeparture returns which one that person was, of all who have signed out,
// when they last did so of what that authenticator opened; 0: they did not
// lately.
func (s *Store) LastDeparture(ctx context.Context, uid, authenticator string) (int64, error) {
	n, err := s.rdb.ZScore(ctx, departedKey(uid), authenticator).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return 0, fmt.Errorf("last departure: %w", outage(err))
	}
	return int64(n), nil
}
