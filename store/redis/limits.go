package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

func limitKey(k idp.LimitKey) string {
	return "limit:" + idp.Hash(fmt.Sprintf("%q %q %s", k.Account, k.Authenticator, k.Network))
}

// attempt answers 0 if the try was counted and may be judged, the milliseconds
// to wait if not, and -1 if none is judged any more. A wait that lies further
// ahead than there is one was written by a clock that has gone back since.
var attempt = goredis.NewScript(`
local now, free, first, longest, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local c = redis.call('HMGET', KEYS[1], 'failures', 'until')
local failures, opens = tonumber(c[1] or '0'), tonumber(c[2] or '0')
if most > 0 and failures >= most then return -1 end
if opens > now + longest then
  opens = now + longest
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', opens))
end
if opens > now then return opens - now end
failures = failures + 1
local wait = 0
if failures > free then wait = math.min(first * 2 ^ (failures - free - 1), longest) end
redis.call('HSET', KEYS[1], 'failures', string.format('%.0f', failures), 'until', string.format('%.0f', now + wait))
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
		return idp.ErrLocked
	case wait > 0:
		return idp.Limited{Wait: time.Duration(wait) * time.Millisecond}
	}
	return nil
}

// Clear implements idp.Limits.
func (s *Store) Clear(ctx context.Context, key idp.LimitKey) error {
	if err := s.rdb.Del(ctx, limitKey(key)).Err(); err != nil {
		return fmt.Errorf("clear tries: %w", outage(err))
	}
	return nil
}
