package redis

import (
	"context"
	"fmt"
	"time"

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
	was, err := s.put(ctx, loginKey(l.ID), l, l.Expires(), true)
	if err != nil {
		return fmt.Errorf("update login: %w", err)
	}
	if !was {
		return idp.ErrLoginGone
	}
	return nil
}

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
