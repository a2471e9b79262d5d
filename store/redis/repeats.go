package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// repeatKey names what is known of a request that may come again. Its name is a
// hash already.
func repeatKey(name string) string { return "repeat:" + name }

// takeRepeat takes a name for a request, or says what is known of the one that
// has it.
var takeRepeat = goredis.NewScript(`
local now, digest, expires, life = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local r = redis.call('HMGET', KEYS[1], 'digest', 'expires', 'answer')
if r[1] and tonumber(r[2]) > now then
  return {r[1], r[3] or ''}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'digest', digest, 'expires', expires)
redis.call('PEXPIRE', KEYS[1], life)
return false
`)

// TakeRepeat takes a name for a request until it expires, and returns "" if
// nobody had it. Otherwise it returns the digest of the request that has it, and
// what was answered to that: nothing while it is in hand.
func (s *Store) TakeRepeat(ctx context.Context, name, digest string, now, expires time.Time) (string, []byte, error) {
	has, err := takeRepeat.Run(ctx, s.rdb, []string{repeatKey(name)}, ms(now), digest, ms(expires), s.life(expires).Milliseconds()).StringSlice()
	switch {
	case errors.Is(err, goredis.Nil):
		return "", nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("take repeat: %w", outage(err))
	case len(has) != 2:
		return "", nil, fmt.Errorf("take repeat: %d values", len(has))
	case has[1] == "":
		return has[0], nil, nil
	}
	return has[0], []byte(has[1]), nil
}

// keepRepeat keeps an answer for the request that has the name.
var keepRepeat = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'digest') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'answer', ARGV[2], 'expires', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
`)

// KeepRepeat keeps what was answered to the request with that name and digest.
func (s *Store) KeepRepeat(ctx context.Context, name, digest string, answer []byte, expires time.Time) error {
	if err := keepRepeat.Run(ctx, s.rdb, []string{repeatKey(name)}, digest, answer, ms(expires), s.life(expires).Milliseconds()).Err(); err != nil {
		return fmt.Errorf("keep repeat: %w", outage(err))
	}
	return nil
}

// dropRepeat frees a name of the request that has it.
var dropRepeat = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'digest') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

// DropRepeat frees a name that was taken for a request of which nothing came.
func (s *Store) DropRepeat(ctx context.Context, name, digest string) error {
	if err := dropRepeat.Run(ctx, s.rdb, []string{repeatKey(name)}, digest).Err(); err != nil {
		return fmt.Errorf("drop repeat: %w", outage(err))
	}
	return nil
}
