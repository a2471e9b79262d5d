// Package redis keeps what lives for minutes or hours: logins in progress,
// sessions, codes, access tokens and open questions to authenticators.
//
// Redis answers first and may forget: what must never happen twice, a code or a
// challenge that was used, a session or a family of tokens that has ended, has
// its fence in the registry as well.
// Every atomic step is one command or one script on keys of one slot; where a
// call makes two, the first decides. Scripts take the time as
// an argument and compare it with what is written in the record; the keys' own
// lives are only an upper bound. Secrets are kept as SHA-256 alone. Keys begin
// with their purpose, so that a value made for one cannot serve another.
package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

var (
	_ idp.LoginStore         = (*Store)(nil)
	_ idp.SessionStore       = (*Store)(nil)
	_ idp.OwnSessions        = (*Store)(nil)
	_ idp.Standing           = (*Store)(nil)
	_ idp.Codes              = (*Store)(nil)
	_ idp.Tokens             = (*Store)(nil)
	_ idp.Limits             = (*Store)(nil)
	_ smartcard.Transactions = (*Store)(nil)
	_ smartcard.Desks        = (*Store)(nil)
)

// Store is a Redis, or something that speaks like one.
type Store struct {
	rdb goredis.UniversalClient
	now func() time.Time
}

// New returns a store in rdb. now is used for the lives of keys only.
func New(rdb goredis.UniversalClient, now func() time.Time) *Store {
	return &Store{rdb: rdb, now: now}
}

// Ping says whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return outage(s.rdb.Ping(ctx).Err())
}

// ClockOffset is how far the clock of Redis is ahead of ours, give or take
// half the time that asking took. Nothing is decided by it: it is for an alarm.
func (s *Store) ClockOffset(ctx context.Context) (time.Duration, error) {
	before := s.now()
	theirs, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("time of redis: %w", outage(err))
	}
	return theirs.Sub(before.Add(s.now().Sub(before) / 2)), nil
}

// outage wraps what Redis, or the way to it, says in place of an answer. A key
// that is not there is an answer.
func outage(err error) error {
	if err == nil || errors.Is(err, goredis.Nil) {
		return err
	}
	return fmt.Errorf("%w: %w", idp.ErrUnavailable, err)
}

// slack keeps a key a little past its record's own time, so that servers whose
// clocks differ by seconds never lose one too soon.
const slack = 10 * time.Second

// life is how long a key may stay for a record that ends at expires.
func (s *Store) life(expires time.Time) time.Duration {
	if d := expires.Sub(s.now()); d > 0 {
		return d + slack
	}
	return slack
}

// put writes v under key until expires. With replace it writes only over a
// record that is there, and says whether it was.
func (s *Store) put(ctx context.Context, key string, v any, expires time.Time, replace bool) (bool, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return false, fmt.Errorf("encode %T: %w", v, err)
	}
	args := goredis.SetArgs{TTL: s.life(expires)}
	if replace {
		args.Mode = "XX"
	}
	err = s.rdb.SetArgs(ctx, key, b, args).Err()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	return err == nil, outage(err)
}

// decode reads what a command answered into v; missing is the error for a
// record that is not there.
func decode(b []byte, err error, v any, missing error) error {
	if errors.Is(err, goredis.Nil) {
		return missing
	}
	if err != nil {
		return outage(err)
	}
	return json.Unmarshal(b, v)
}

func ms(t time.Time) int64 { return t.UnixMilli() }
