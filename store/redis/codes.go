package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

// A code, its tokens and their family share a hash tag, the family's name,
// which is also the beginning of every code and token: so one script may touch
// all three on a cluster, and nothing else need be looked up.

func codeKey(code string) string     { return "code:{" + idp.FamilyOf(code) + "}:" + idp.Hash(code) }
func tokenKey(token string) string   { return "token:{" + idp.FamilyOf(token) + "}:" + idp.Hash(token) }
func familyKey(family string) string { return "family:{" + family + "}" }

// redeem compares before it consumes, so that a wrong guess costs the rightful
// client nothing. A used code stays, to tell a second use from an unknown
// code: the second use ends the family.
var redeem = goredis.NewScript(`
local code, family, token, refresh = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, client, redirect, challenge, expires, life = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local next, refreshes, refreshlife, ended, kept = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local c = redis.call('HMGET', code, 'grant', 'client', 'redirect', 'challenge', 'expires', 'used')
if not c[1] or c[2] ~= client or c[3] ~= redirect or c[4] ~= challenge then
  return {'unknown'}
end
if c[6] then
  redis.call('SET', family, 'ended', 'PX', ended)
  return {'used', c[1]}
end
if tonumber(c[5]) <= now or redis.call('EXISTS', family) == 1 then
  return {'unknown'}
end
redis.call('HSET', code, 'used', '1')
redis.call('PEXPIRE', code, life)
redis.call('HSET', token, 'grant', c[1], 'expires', expires)
redis.call('PEXPIRE', token, life)
if next ~= '' then
  redis.call('HSET', refresh, 'grant', c[1], 'client', client, 'current', next, 'expires', refreshes)
  redis.call('PEXPIRE', refresh, refreshlife)
elseif kept == '1' then
  redis.call('HSET', refresh, 'grant', c[1], 'client', client, 'expires', expires)
  redis.call('PEXPIRE', refresh, life)
end
return {'ok', c[1]}
`)

// lookup gives what a token stands for, unless its family was ended: an access
// token, or the refresh token that its family has now.
var lookup = goredis.NewScript(`
local now, kind = tonumber(ARGV[1]), 'access'
local t = redis.call('HMGET', KEYS[1], 'grant', 'expires')
if not t[1] then
  kind = 'refresh'
  t = redis.call('HMGET', KEYS[3], 'grant', 'expires', 'current')
  if t[3] ~= ARGV[2] then return false end
end
if not t[1] or tonumber(t[2]) <= now or redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
return {kind, t[1], t[2]}
`)

// saveCode writes a code, which is never there without its end.
var saveCode = goredis.NewScript(`
redis.call('HSET', KEYS[1], 'grant', ARGV[1], 'client', ARGV[2], 'redirect', ARGV[3], 'challenge', ARGV[4], 'expires', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
`)

// SaveCode implements idp.Codes. Which client the session was used with is on
// another slot of a cluster.
func (s *Store) SaveCode(ctx context.Context, code string, g idp.Grant, expires time.Time) error {
	key, fields, err := s.codeFields(code, g, expires)
	if err != nil {
		return err
	}
	p := s.rdb.Pipeline()
	saveCode.Eval(ctx, p, key, fields...)
	s.usedWith(ctx, p, g)
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("save code: %w", outage(err))
	}
	return nil
}

// EndLogin implements idp.Codes. Login and code are on slots that a cluster may
// keep apart, so they are two commands, of which the first decides.
func (s *Store) EndLogin(ctx context.Context, id string, now time.Time, code string, g idp.Grant, expires time.Time) (idp.Login, error) {
	key, fields, err := s.codeFields(code, g, expires)
	if err != nil {
		return idp.Login{}, err
	}
	p := s.rdb.Pipeline()
	taken, saved := p.GetDel(ctx, loginKey(id)), saveCode.Eval(ctx, p, key, fields...)
	s.usedWith(ctx, p, g)
	_, _ = p.Exec(ctx) // each command has its own error
	b, err := taken.Bytes()
	l, err := liveLogin(b, err, now)
	if err != nil {
		return idp.Login{}, err
	}
	if err := saved.Err(); err != nil {
		return idp.Login{}, fmt.Errorf("save code: %w", outage(err))
	}
	return l, nil
}

// codeFields are the key and the arguments of saveCode.
func (s *Store) codeFields(code string, g idp.Grant, expires time.Time) ([]string, []any, error) {
	b, err := json.Marshal(g) //nolint:gosec // the session by its key, which is a hash
	if err != nil {
		return nil, nil, fmt.Errorf("encode grant: %w", err)
	}
	return []string{codeKey(code)}, []any{b, g.ClientID, g.RedirectURI, g.Challenge, ms(expires), s.life(expires).Milliseconds()}, nil
}

// RedeemCode implements idp.Codes.
func (s *Store) RedeemCode(ctx context.Context, r idp.Redemption, now, tokenExpires time.Time) (idp.Grant, error) {
	if idp.FamilyOf(r.Code) == "" {
		return idp.Grant{}, idp.ErrCode
	}
	challenge := ""
	if r.Verifier != "" {
		challenge = idp.Challenge(r.Verifier)
	}
	family, next := idp.FamilyOf(r.Code), ""
	if r.Next.Refresh != "" {
		next = idp.Hash(r.Next.Refresh)
	}
	kept := ""
	if r.Exchanges {
		kept = "1"
	}
	refreshes := now.Add(idp.RefreshLife)
	answer, err := redeem.Run(ctx, s.rdb, []string{codeKey(r.Code), familyKey(family), tokenKey(r.Next.Access), refreshKey(family)},
		ms(now), r.ClientID, r.RedirectURI, challenge, ms(tokenExpires), s.life(tokenExpires).Milliseconds(),
		next, ms(refreshes), s.life(refreshes).Milliseconds(), idp.FenceLife.Milliseconds(), kept).StringSlice()
	if err != nil {
		return idp.Grant{}, fmt.Errorf("redeem code: %w", outage(err))
	}
	if answer[0] == "unknown" {
		return idp.Grant{}, idp.ErrCode
	}
	var g idp.Grant
	if err := json.Unmarshal([]byte(answer[1]), &g); err != nil {
		return idp.Grant{}, fmt.Errorf("decode grant: %w", err)
	}
	if answer[0] == "used" {
		return g, idp.ErrUsed
	}
	return g, nil
}

// Token implements idp.Tokens.
func (s *Store) Token(ctx context.Context, token string, now time.Time) (idp.Token, error) {
	family := idp.FamilyOf(token)
	if family == "" {
		return idp.Token{}, idp.ErrToken
	}
	answer, err := lookup.Run(ctx, s.rdb, []string{tokenKey(token), familyKey(family), refreshKey(family)}, ms(now), idp.Hash(token)).StringSlice()
	if errors.Is(err, goredis.Nil) {
		return idp.Token{}, idp.ErrToken
	}
	if err != nil {
		return idp.Token{}, fmt.Errorf("read token: %w", outage(err))
	}
	t := idp.Token{Refresh: answer[0] == "refresh"}
	expires, err := strconv.ParseInt(answer[2], 10, 64)
	if err := errors.Join(err, json.Unmarshal([]byte(answer[1]), &t.Grant)); err != nil {
		return idp.Token{}, fmt.Errorf("decode token: %w", err)
	}
	t.Expires = time.UnixMilli(expires)
	return t, nil
}

// origin gives the grant that a family began with, unless it was ended.
var origin = goredis.NewScript(`
local r = redis.call('HMGET', KEYS[1], 'grant', 'expires')
if not r[1] or tonumber(r[2]) <= tonumber(ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
return r[1]
`)

// Origin implements idp.Tokens.
func (s *Store) Origin(ctx context.Context, family string, now time.Time) (idp.Grant, error) {
	return s.grant(ctx, origin, family, ms(now))
}

// grant reads the grant that a family began with by a script, or says
// idp.ErrToken where the script finds none.
func (s *Store) grant(ctx context.Context, script *goredis.Script, family string, args ...any) (idp.Grant, error) {
	if family == "" {
		return idp.Grant{}, idp.ErrToken
	}
	b, err := script.Run(ctx, s.rdb, []string{refreshKey(family), familyKey(family)}, args...).Text()
	if errors.Is(err, goredis.Nil) {
		return idp.Grant{}, idp.ErrToken
	}
	if err != nil {
		return idp.Grant{}, fmt.Errorf("read grant of family: %w", outage(err))
	}
	var g idp.Grant
	if err := json.Unmarshal([]byte(b), &g); err != nil {
		return idp.Grant{}, fmt.Errorf("decode grant: %w", err)
	}
	return g, nil
}

// saveToken writes a token, which is never there without its end.
var saveToken = goredis.NewScript(`
redis.call('HSET', KEYS[1], 'grant', ARGV[1], 'expires', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`)

// SaveToken implements idp.Tokens.
func (s *Store) SaveToken(ctx context.Context, token string, g idp.Grant, expires time.Time) error {
	b, err := json.Marshal(g) //nolint:gosec // the session by its key, which is a hash
	if err != nil {
		return fmt.Errorf("encode grant: %w", err)
	}
	if err := saveToken.Run(ctx, s.rdb, []string{tokenKey(token)}, b, ms(expires), s.life(expires).Milliseconds()).Err(); err != nil {
		return fmt.Errorf("save token: %w", outage(err))
	}
	return nil
}

// RevokeFamily implements idp.Tokens.
func (s *Store) RevokeFamily(ctx context.Context, family string, expires time.Time) error {
	if err := s.rdb.Set(ctx, familyKey(family), "ended", s.life(expires)).Err(); err != nil {
		return fmt.Errorf("end family: %w", outage(err))
	}
	return nil
}
