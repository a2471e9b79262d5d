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

func deskKey(id string) string { return "desk:" + idp.Hash(id) }

// latestKey holds the key of the transaction that a login opened last.
func latestKey(login string) string { return "desk-of:" + idp.Hash(login) }

// openDesk writes a transaction, which is never there without its end.
var openDesk = goredis.NewScript(`
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'tx', ARGV[2], 'expires', ARGV[3], 'redeemable', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
`)

// A transaction says under 'heard' how much of its life was left when its agent
// was heard of last. Redis counts lives down, and it is one for all servers, so
// what is left now says how long the agent has been silent.

// handOut gives the transaction to the first, and writes down who that was.
var handOut = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'redeemable', 'expires', 'tx')
local now = tonumber(ARGV[1])
if d[1] ~= 'open' or tonumber(d[2]) <= now or tonumber(d[3]) <= now then return false end
redis.call('HSET', KEYS[1], 'state', 'redeemed', 'agent_key', ARGV[2], 'agent', ARGV[3], 'heard', redis.call('PTTL', KEYS[1]))
return d[4]
`)

// answer takes the question for the agent that redeemed it, once.
var answer = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'expires', 'agent_key', 'tx', 'agent')
if d[1] ~= 'redeemed' or tonumber(d[2]) <= tonumber(ARGV[1]) or d[3] ~= ARGV[2] then return false end
redis.call('HSET', KEYS[1], 'state', 'answered')
return {d[4], d[5]}
`)

// report writes what the agent that redeemed a transaction says. The calls that
// came before are fields of the transaction, so that none comes twice, and
// there are only so many.
var report = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'expires', 'agent_key', 'tx', 'agent')
if not d[1] or d[1] ~= ARGV[2] and d[1] ~= ARGV[7] then return false end
if tonumber(d[2]) <= tonumber(ARGV[1]) or d[3] ~= ARGV[3] then return false end
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) then return false end
if redis.call('HSETNX', KEYS[1], 'once:' .. ARGV[4], '') == 0 then return false end
if ARGV[8] == '1' and redis.call('HINCRBY', KEYS[1], 'shown', 1) > tonumber(ARGV[9]) then return false end
redis.call('HSET', KEYS[1], 'report', ARGV[5], 'heard', redis.call('PTTL', KEYS[1]))
return {d[4], d[5]}
`)

// maxFields bounds what one transaction may hold: more reports than an agent
// gives that says every two seconds that it is there.
const maxFields = 400

// settle writes the outcome if the question was taken and nothing written yet.
// Its life becomes another, and its agent has been silent for as long as before.
var settle = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'state', 'heard')
if d[1] ~= 'answered' then return 0 end
local heard = tonumber(d[2] or 0) - redis.call('PTTL', KEYS[1]) + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'state', 'settled', 'completion', ARGV[1], 'evidence', ARGV[2], 'expires', ARGV[3], 'heard', heard)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

// take reads a transaction and ends it, right or wrong.
var take = goredis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'expires', 'tx', 'completion', 'evidence')
if not d[1] then return false end
redis.call('DEL', KEYS[1])
return {d[1], d[2], d[3] or '', d[4] or '{}'}
`)

// Open implements smartcard.Transactions. Each that is opened learns in one
// step which came before it, and ends that: of many at once all but one end.
func (s *Store) Open(ctx context.Context, t smartcard.Transaction, redeemable time.Time) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode transaction: %w", err)
	}
	p, key, life := s.rdb.Pipeline(), deskKey(t.ID), s.life(t.Expires)
	opened := openDesk.Eval(ctx, p, []string{key}, string(smartcard.Open), b, ms(t.Expires), ms(redeemable), life.Milliseconds())
	latest := p.SetArgs(ctx, latestKey(t.Login), key, goredis.SetArgs{TTL: life, Get: true})
	_, _ = p.Exec(ctx) // each command has its own error
	before, err := latest.Result()
	if errors.Is(err, goredis.Nil) {
		before, err = "", nil
	}
	if err := errors.Join(opened.Err(), err); err != nil {
		return fmt.Errorf("open transaction: %w", outage(err))
	}
	if before == "" || before == key {
		return nil
	}
	if err := s.rdb.Del(ctx, before).Err(); err != nil {
		return fmt.Errorf("end the transaction before: %w", outage(err))
	}
	return nil
}

// Redeem implements smartcard.Transactions.
func (s *Store) Redeem(ctx context.Context, id string, a smartcard.Agent, now time.Time) (smartcard.Transaction, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return smartcard.Transaction{}, fmt.Errorf("encode agent: %w", err)
	}
	tx, err := handOut.Run(ctx, s.rdb, []string{deskKey(id)}, ms(now), a.KeyThumbprint, b).Text()
	return transaction("redeem transaction", err, tx, string(b))
}

// Answer implements smartcard.Transactions.
func (s *Store) Answer(ctx context.Context, c smartcard.Caller, now time.Time) (smartcard.Transaction, error) {
	got, err := answer.Run(ctx, s.rdb, []string{deskKey(c.Transaction)}, ms(now), c.KeyThumbprint).StringSlice()
	return transaction("take question", err, got...)
}

// transaction reads what a script answered: a transaction, and the agent that
// redeemed it.
func transaction(doing string, err error, answered ...string) (smartcard.Transaction, error) {
	if errors.Is(err, goredis.Nil) {
		return smartcard.Transaction{}, authenticators.ErrAnswer
	}
	if err != nil {
		return smartcard.Transaction{}, fmt.Errorf("%s: %w", doing, outage(err))
	}
	var t smartcard.Transaction
	if err := errors.Join(json.Unmarshal([]byte(answered[0]), &t), json.Unmarshal([]byte(answered[1]), &t.Agent)); err != nil {
		return smartcard.Transaction{}, fmt.Errorf("decode transaction: %w", err)
	}
	return t, nil
}

// Desk implements smartcard.Desks.
func (s *Store) Desk(ctx context.Context, id string, now time.Time) (smartcard.Desk, error) {
	p := s.rdb.Pipeline()
	read := lookAtDesk(ctx, p, id)
	_, _ = p.Exec(ctx) // each command has its own error
	return read(now)
}

// lookAtDesk asks for a transaction, and returns what reads the answers.
func lookAtDesk(ctx context.Context, p goredis.Pipeliner, id string) func(now time.Time) (smartcard.Desk, error) {
	fields := p.HMGet(ctx, deskKey(id), "state", "expires", "tx", "agent", "report", "heard")
	left := p.PTTL(ctx, deskKey(id))
	return func(now time.Time) (smartcard.Desk, error) {
		if err := errors.Join(fields.Err(), left.Err()); err != nil {
			return smartcard.Desk{}, fmt.Errorf("look at transaction: %w", outage(err))
		}
		return desk(fields.Val(), left.Val(), now)
	}
}

// desk reads how a transaction stands that has so much of its life left.
func desk(fields []any, left time.Duration, now time.Time) (smartcard.Desk, error) {
	if fields[0] == nil || left < 0 { // it may end between the two questions
		return smartcard.Desk{}, authenticators.ErrAnswer
	}
	text := func(i int) string { v, _ := fields[i].(string); return v }
	expires, err := strconv.ParseInt(text(1), 10, 64)
	d := smartcard.Desk{Stage: smartcard.Stage(text(0))}
	for i, part := range map[int]any{2: &d.Transaction, 3: &d.Agent, 4: &d.Report} {
		if fields[i] != nil {
			err = errors.Join(err, json.Unmarshal([]byte(text(i)), part))
		}
	}
	if fields[5] != nil {
		heard, notRead := strconv.ParseFloat(text(5), 64) // Lua writes a number as it likes
		err = errors.Join(err, notRead)
		d.Silent = max(0, time.Duration(heard)*time.Millisecond-left)
	}
	if err != nil {
		return smartcard.Desk{}, fmt.Errorf("decode transaction: %w", err)
	}
	if expires <= ms(now) {
		return smartcard.Desk{}, authenticators.ErrAnswer
	}
	return d, nil
}

// Report implements smartcard.Desks.
func (s *Store) Report(ctx context.Context, c smartcard.Caller, r smartcard.Report, now time.Time) (smartcard.Transaction, error) {
	stage, also := smartcard.Redeemed, smartcard.Redeemed
	switch r.Doing {
	case smartcard.Signing, smartcard.Entering, smartcard.AgentStopped:
		also = smartcard.Settled
	case smartcard.Refused:
		stage, also = smartcard.Answered, smartcard.Answered
	default: // it goes on
	}
	b, err := json.Marshal(r)
	if err != nil {
		return smartcard.Transaction{}, fmt.Errorf("encode report: %w", err)
	}
	got, err := report.Run(ctx, s.rdb, []string{deskKey(c.Transaction)},
		ms(now), string(stage), c.KeyThumbprint, idp.Hash(c.Once), b, maxFields, string(also), r.Shows, smartcard.MostShown).StringSlice()
	return transaction("keep report", err, got...)
}

// End implements smartcard.Desks.
func (s *Store) End(ctx context.Context, id string) error {
	if err := s.rdb.Del(ctx, deskKey(id)).Err(); err != nil {
		return fmt.Errorf("end transaction: %w", outage(err))
	}
	return nil
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
func (s *Store) Complete(ctx context.Context, id, completion string, now time.Time) (smartcard.Transaction, authenticators.Evidence, error) {
	t, e, right, err := s.take(ctx, id, completion, now)
	switch {
	case err != nil:
		return smartcard.Transaction{}, authenticators.Evidence{}, fmt.Errorf("complete transaction: %w", err)
	case !right:
		return t, authenticators.Evidence{}, authenticators.ErrAnswer
	}
	return t, e, nil
}

// take ends a transaction, and says whether it was settled and has that
// completion code.
func (s *Store) take(ctx context.Context, id, completion string, now time.Time) (t smartcard.Transaction, e authenticators.Evidence, right bool, err error) {
	answer, err := take.Run(ctx, s.rdb, []string{deskKey(id)}).StringSlice()
	if errors.Is(err, goredis.Nil) {
		return t, e, false, authenticators.ErrAnswer
	}
	if err != nil {
		return t, e, false, outage(err)
	}
	expires, err := strconv.ParseInt(answer[0], 10, 64)
	if err := errors.Join(err, json.Unmarshal([]byte(answer[1]), &t), json.Unmarshal([]byte(answer[3]), &e)); err != nil {
		return t, e, false, fmt.Errorf("decode it: %w", err)
	}
	if expires <= ms(now) {
		return t, e, false, authenticators.ErrAnswer
	}
	// Nothing is the hash of no completion code: what is not settled is not right.
	return t, e, subtle.ConstantTimeCompare([]byte(answer[2]), []byte(idp.Hash(completion))) == 1, nil
}
