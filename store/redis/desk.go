package redis

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

func handleKey(handle string) string { return "desk-handle:" + idp.Hash(handle) }
func deskKey(id string) string       { return "desk:" + idp.Hash(id) }

// step moves a transaction from one state to the next and writes a field: the
// first caller gets the transaction, everybody after nothing.
var step = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'expires', 'tx', 'agent_key')
if d[1] ~= ARGV[1] or tonumber(d[2]) <= tonumber(ARGV[3]) then return false end
redis.call('HSET', KEYS[1], 'state', ARGV[2])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'agent_key', ARGV[4]) end
return {d[3], d[4] or ''}
`)

// settle writes the outcome if the question was taken and nothing written yet.
var settle = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'state') ~= 'answered' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'settled', 'completion', ARGV[1], 'evidence', ARGV[2], 'expires', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

// take reads a transaction and ends it, right or wrong.
var take = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'expires', 'tx', 'completion', 'evidence')
redis.call('DEL', KEYS[1])
if d[1] ~= 'settled' then return false end
return {d[2], d[3], d[4], d[5]}
`)

// Open implements smartcard.Transactions.
func (s *Store) Open(ctx context.Context, t smartcard.Transaction, handle string, handleExpires time.Time) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode transaction: %w", err)
	}
	_, err = s.rdb.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.HSet(ctx, deskKey(t.ID), "state", "open", "tx", b, "expires", ms(t.Expires))
		p.PExpire(ctx, deskKey(t.ID), s.life(t.Expires))
		return nil
	})
	if err == nil {
		err = s.rdb.Set(ctx, handleKey(handle), strconv.FormatInt(ms(handleExpires), 10)+" "+t.ID, s.life(handleExpires)).Err()
	}
	if err != nil {
		return fmt.Errorf("open transaction: %w", outage(err))
	}
	return nil
}

// Redeem implements smartcard.Transactions.
func (s *Store) Redeem(ctx context.Context, handle, agentKey string, now time.Time) (smartcard.Transaction, error) {
	v, err := s.rdb.GetDel(ctx, handleKey(handle)).Result()
	if errors.Is(err, goredis.Nil) {
		return smartcard.Transaction{}, authenticators.ErrAnswer
	}
	if err != nil {
		return smartcard.Transaction{}, fmt.Errorf("redeem handle: %w", outage(err))
	}
	var expires int64
	var id string
	if _, err := fmt.Sscanf(v, "%d %s", &expires, &id); err != nil {
		return smartcard.Transaction{}, fmt.Errorf("decode handle: %w", err)
	}
	if expires <= ms(now) {
		return smartcard.Transaction{}, authenticators.ErrAnswer
	}
	t, err := s.step(ctx, id, "open", "redeemed", now, agentKey)
	t.AgentKey = agentKey
	return t, err
}

// Answer implements smartcard.Transactions.
func (s *Store) Answer(ctx context.Context, id string, now time.Time) (smartcard.Transaction, error) {
	return s.step(ctx, id, "redeemed", "answered", now, "")
}

func (s *Store) step(ctx context.Context, id, from, to string, now time.Time, agentKey string) (smartcard.Transaction, error) {
	answer, err := step.Run(ctx, s.rdb, []string{deskKey(id)}, from, to, ms(now), agentKey).StringSlice()
	if errors.Is(err, goredis.Nil) {
		return smartcard.Transaction{}, authenticators.ErrAnswer
	}
	if err != nil {
		return smartcard.Transaction{}, fmt.Errorf("move transaction to %s: %w", to, outage(err))
	}
	var t smartcard.Transaction
	if err := json.Unmarshal([]byte(answer[0]), &t); err != nil {
		return smartcard.Transaction{}, fmt.Errorf("decode transaction: %w", err)
	}
	t.AgentKey = answer[1]
	return t, nil
}

// Settle implements smartcard.Transactions.
func (s *Store) Settle(ctx context.Context, t smartcard.Transaction, completion string, e authenticators.Evidence, expires time.Time) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	was, err := settle.Run(ctx, s.rdb, []string{deskKey(t.ID)}, idp.Hash(completion), b, ms(expires), s.life(expires).Milliseconds()).Int()
	if err != nil {
		return fmt.Errorf("settle transaction: %w", outage(err))
	}
	if was == 0 {
		return authenticators.ErrAnswer
	}
	return nil
}

// Complete implements smartcard.Transactions.
func (s *Store) Complete(ctx context.Context, id, completion string, login authenticators.Login, now time.Time) (authenticators.Evidence, error) {
	answer, err := take.Run(ctx, s.rdb, []string{deskKey(id)}).StringSlice()
	if errors.Is(err, goredis.Nil) {
		return authenticators.Evidence{}, authenticators.ErrAnswer
	}
	if err != nil {
		return authenticators.Evidence{}, fmt.Errorf("complete transaction: %w", outage(err))
	}
	expires, err := strconv.ParseInt(answer[0], 10, 64)
	if err != nil {
		return authenticators.Evidence{}, fmt.Errorf("decode transaction: %w", err)
	}
	var t smartcard.Transaction
	var e authenticators.Evidence
	if err := errors.Join(json.Unmarshal([]byte(answer[1]), &t), json.Unmarshal([]byte(answer[3]), &e)); err != nil {
		return authenticators.Evidence{}, fmt.Errorf("decode transaction: %w", err)
	}
	right := subtle.ConstantTimeCompare([]byte(answer[2]), []byte(idp.Hash(completion))) &
		subtle.ConstantTimeCompare([]byte(t.Login), []byte(login.ID)) &
		subtle.ConstantTimeCompare([]byte(t.Browser), []byte(login.Browser))
	if right != 1 || expires <= ms(now) {
		return authenticators.Evidence{}, authenticators.ErrAnswer
	}
	return e, nil
}
