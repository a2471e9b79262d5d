package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

func limitKey(k idp.LimitKey) string {
	return "limit:" + idp.Hash(fmt.Sprintf("%q %q %s", k.Account, k.Authenticator, k.Network))
}

// attempt answers 0 if the try was counted and may be judged, the milliseconds
// to wait if not, -1 if none is judged any more, and -2 if this one is the last.
// A try that costs nothing keeps nobody waiting whose clock is behind, or who
// looked at it first. A wait that lies further ahead than there is one was
// written by a clock that has gone back since.
var attempt = goredis.NewScript(`
local now, free, first, longest, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local c = redis.call('HMGET', KEYS[1], 'failures', 'until')
local failures, opens = tonumber(c[1] or '0'), tonumber(c[2] or '0')
if most > 0 and failures >= most then
  redis.call('HSET', KEYS[1], 'locked', '1')
  return -1
end
if opens > now + longest then
  opens = now + longest
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', opens))
end
if opens > now then return opens - now end
failures = failures + 1
opens = 0
if failures > free then opens = now + math.min(first * 2 ^ (failures - free - 1), longest) end
redis.call('HSET', KEYS[1], 'failures', string.format('%.0f', failures), 'until', string.format('%.0f', opens))
if most > 0 and failures >= most then
  redis.call('HSET', KEYS[1], 'locked', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return -2
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 0
`)

// Attempt implements idp.Limits.
func (s *Store) Attempt(ctx context.Context, key idp.LimitKey, limit idp.Limit, now time.Time) error {
	wait, err := attempt.Run(ctx, s.rdb, []string{limitKey(key)}, ms(now), limit.Free, limit.First.Milliseconds(),
		limit.Longest.Milliseconds(), limit.Most, limit.Life.Milliseconds()).Int64()
	switch {
	case err != nil:
		return fmt.Errorf("count try: %w", outage(err))
	case wait < 0:
		// A command of its own: two keys may be on two nodes of a cluster.
		err := s.listLocked(ctx, key, limit, now)
		if wait == lastTry {
			return err
		}
		return idp.ErrLocked
	case wait > 0:
		return idp.Limited{Wait: time.Duration(wait) * time.Millisecond}
	}
	return nil
}

// lastTry is what attempt answers of the last try that is judged.
const lastTry = -2

// lockedList names the people whom something is locked of, each until their
// failures are forgotten. Whoever was let in since is found out when it is read,
// so that no sign-in has to look at it.
const lockedList = "locked"

// mostLocked is how many are listed at most. More are an attack, and not work.
const mostLocked = 10_000

// listLocked lists what a person is locked out of.
func (s *Store) listLocked(ctx context.Context, key idp.LimitKey, limit idp.Limit, now time.Time) error {
	if !idp.IsUID(key.Account) || key.Network.IsValid() {
		return nil
	}
	until := goredis.Z{Score: float64(now.Add(limit.Life).UnixMilli()), Member: key.Account + " " + key.Authenticator}
	if err := s.rdb.ZAdd(ctx, lockedList, until).Err(); err != nil {
		return fmt.Errorf("list what is locked: %w", outage(err))
	}
	return nil
}

// Locked implements registry.Locks.
func (s *Store) Locked(ctx context.Context, now time.Time) ([]idp.LimitKey, error) {
	if err := s.rdb.ZRemRangeByScore(ctx, lockedList, "-inf", "("+strconv.FormatInt(now.UnixMilli(), 10)).Err(); err != nil {
		return nil, fmt.Errorf("what is locked: %w", outage(err))
	}
	listed, err := s.rdb.ZRange(ctx, lockedList, 0, mostLocked-1).Result()
	if err != nil {
		return nil, fmt.Errorf("what is locked: %w", outage(err))
	}
	if len(listed) == 0 {
		return nil, nil
	}
	keys := make([]idp.LimitKey, len(listed))
	is := make([]*goredis.StringCmd, len(listed))
	_, err = s.rdb.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, name := range listed {
			keys[i].Account, keys[i].Authenticator, _ = strings.Cut(name, " ")
			is[i] = p.HGet(ctx, limitKey(keys[i]), "locked")
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("what is locked: %w", outage(err))
	}
	var locked []idp.LimitKey
	gone := []any{}
	for i, cmd := range is {
		switch err := cmd.Err(); {
		case errors.Is(err, goredis.Nil):
			gone = append(gone, listed[i])
		case err != nil:
			return nil, fmt.Errorf("what is locked: %w", outage(err))
		default:
			locked = append(locked, keys[i])
		}
	}
	// Whoever is locked out in this instant is listed again by their next try.
	if len(gone) > 0 {
		if err := s.rdb.ZRem(ctx, lockedList, gone...).Err(); err != nil {
			return nil, fmt.Errorf("what is locked: %w", outage(err))
		}
	}
	return locked, nil
}

// Clear implements idp.Limits.
func (s *Store) Clear(ctx context.Context, key idp.LimitKey) error {
	if err := s.rdb.Del(ctx, limitKey(key)).Err(); err != nil {
		return fmt.Errorf("clear tries: %w", outage(err))
	}
	return nil
}
