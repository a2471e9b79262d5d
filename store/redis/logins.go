package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

func loginKey(id string) string { return "login:" + idp.Hash(id) }

// AddLogin implements idp.LoginStore.
func (s *Store) AddLogin(ctx context.Context, l idp.Login) error {
	if _, err := s.put(ctx, loginKey(l.ID), l, l.Expires(), false); err != nil {
		return fmt.Errorf("add login: %w", err)
	}
	return nil
}

// Login implements idp.LoginStore.
func (s *Store) Login(ctx context.Context, id string, now time.Time) (idp.Login, error) {
	b, err := s.rdb.Get(ctx, loginKey(id)).Bytes()
	return liveLogin(b, err, now)
}

// UpdateLogin implements idp.LoginStore.
func (s *Store) UpdateLogin(ctx context.Context, l idp.Login) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode login: %w", err)
	}
	written, err := updateLogin.Run(ctx, s.rdb, []string{loginKey(l.ID)}, b, l.Refused != "", s.life(l.Expires()).Milliseconds()).Bool()
	if err != nil {
		return fmt.Errorf("update login: %w", outage(err))
	}
	if !written {
		return idp.ErrLoginGone
	}
	return nil
}

// updateLogin keeps a refusal: only another refusal may take its place.
var updateLogin = goredis.NewScript(`
local old = redis.call('GET', KEYS[1])
if not old or (cjson.decode(old).refused and ARGV[2] ~= '1') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
`)

// TakeLogin implements idp.LoginStore.
func (s *Store) TakeLogin(ctx context.Context, id string, now time.Time) (idp.Login, error) {
	b, err := s.rdb.GetDel(ctx, loginKey(id)).Bytes()
	return liveLogin(b, err, now)
}

func liveLogin(b []byte, err error, now time.Time) (idp.Login, error) {
	var l idp.Login
	if err := decode(b, err, &l, idp.ErrLoginGone); err != nil {
		return idp.Login{}, fmt.Errorf("read login: %w", err)
	}
	if !now.Before(l.Expires()) {
		return idp.Login{}, idp.ErrLoginGone
	}
	return l, nil
}
