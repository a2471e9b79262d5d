package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

// refreshKey holds the grant that a family began with, the one refresh token
// that it has at a time, and those that it had. Where its client may not refresh
// it has none, and the grant is there for who exchanges.
func refreshKey(family string) string { return "refresh:{" + family + "}" }

// maxRotations bounds how often a family is refreshed: every minute for as long
// as it lives.
const maxRotations = 12 * 60

// rotate compares before it consumes. Used tokens stay, to tell a second use
// from an unknown token: the second use ends the family. What was given for the
// last one stays too, closed to the store, for as long as the grace. Later the
// last one is rotated anew, unless it is known that somebody got what was made
// for it: an outage may have kept it from everybody, and then its client comes
// again. Who asks for fewer scopes gets no claims beside them either.
var rotate = goredis.NewScript(`
local refresh, family, token = KEYS[1], KEYS[2], KEYS[3]
local now, client, shown, next, box = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local expires, life, grace, ended, most, asked = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), ARGV[11]
local r = redis.call('HMGET', refresh, 'grant', 'client', 'current', 'expires', 'previous', 'since', 'box', 'given', 'got')
if not r[1] or r[2] ~= client or tonumber(r[4]) <= now or redis.call('EXISTS', family) == 1 then
  return {'unknown'}
end
if r[3] ~= shown then
  if r[5] == shown and now - tonumber(r[6]) <= grace then return {'ok', r[8], r[7]} end
  if redis.call('HEXISTS', refresh, 'used:' .. shown) == 0 then return {'unknown'} end
  if r[5] ~= shown or r[9] then
    redis.call('SET', family, 'ended', 'PX', ended)
    return {'used', r[1]}
  end
end
local grant = r[1]
if asked ~= '' then
  local g, wanted, has = cjson.decode(grant), cjson.decode(asked), {}
  for _, s in ipairs(g.scopes) do has[s] = true end
  for _, s in ipairs(wanted) do
    if not has[s] then return {'scope'} end
  end
  g.scopes, g.asked = wanted, nil
  grant = cjson.encode(g)
end
if redis.call('HLEN', refresh) > most then return {'unknown'} end
redis.call('HSET', refresh, 'current', next, 'previous', shown, 'since', now, 'box', box, 'given', grant, 'used:' .. shown, '')
redis.call('HDEL', refresh, 'got')
redis.call('HSET', token, 'grant', grant, 'expires', expires)
redis.call('PEXPIRE', token, life)
return {'ok', grant, box}
`)

// Rotate implements idp.Refreshes.
func (s *Store) Rotate(ctx context.Context, r idp.Rotation, now, tokenExpires time.Time) (idp.Grant, string, error) {
	family := idp.FamilyOf(r.Refresh)
	if family == "" {
		return idp.Grant{}, "", idp.ErrRefresh
	}
	asked := ""
	if len(r.Scopes) > 0 { // Redis would write none of them as an object
		b, err := json.Marshal(r.Scopes)
		if err != nil {
			return idp.Grant{}, "", fmt.Errorf("encode scopes: %w", err)
		}
		asked = string(b)
	}
	answer, err := rotate.Run(ctx, s.rdb, []string{refreshKey(family), familyKey(family), tokenKey(r.Next.Access)},
		ms(now), r.ClientID, idp.Hash(r.Refresh), idp.Hash(r.Next.Refresh), r.Box,
		ms(tokenExpires), s.life(tokenExpires).Milliseconds(), idp.RefreshGrace.Milliseconds(), idp.FenceLife.Milliseconds(), maxRotations, asked).StringSlice()
	if err != nil {
		return idp.Grant{}, "", fmt.Errorf("rotate refresh token: %w", outage(err))
	}
	switch answer[0] {
	case "unknown":
		return idp.Grant{}, "", idp.ErrRefresh
	case "scope":
		return idp.Grant{}, "", idp.ErrScope
	}
	var g idp.Grant
	if err := json.Unmarshal([]byte(answer[1]), &g); err != nil {
		return idp.Grant{}, "", fmt.Errorf("decode grant: %w", err)
	}
	if answer[0] == "used" {
		return g, "", idp.ErrUsed
	}
	return g, answer[2], nil
}

// rotated compares as rotate does, and changes nothing.
var rotated = goredis.NewScript(`
local r = redis.call('HMGET', KEYS[1], 'grant', 'expires', 'used:' .. ARGV[2])
if not r[1] or not r[3] or tonumber(r[2]) <= tonumber(ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
return r[1]
`)

// Rotated implements idp.Refreshes.
func (s *Store) Rotated(ctx context.Context, refresh string, now time.Time) (idp.Grant, error) {
	return s.grant(ctx, rotated, idp.FamilyOf(refresh), ms(now), idp.Hash(refresh))
}

// got notes it of the last token that was used, and of no older one.
var got = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'previous') == ARGV[1] then redis.call('HSET', KEYS[1], 'got', '1') end
return 1
`)

// Got implements idp.Refreshes.
func (s *Store) Got(ctx context.Context, refresh string) error {
	if err := got.Run(ctx, s.rdb, []string{refreshKey(idp.FamilyOf(refresh))}, idp.Hash(refresh)).Err(); err != nil {
		return fmt.Errorf("note refresh: %w", outage(err))
	}
	return nil
}
