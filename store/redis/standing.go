package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

// What a page begins with is read in one pipeline: commands that do not
// depend on one another, on slots that a cluster may keep apart.

// Standing implements idp.Standing.
func (s *Store) Standing(ctx context.Context, id, key string, now time.Time) (idp.Login, *idp.Session, error) {
	p := s.rdb.Pipeline()
	read := standing(ctx, p, id, key)
	_, _ = p.Exec(ctx) // each command has its own error
	return read(now)
}

// AtDesk is Standing and Desk at once. A desk without an ID is over.
func (s *Store) AtDesk(ctx context.Context, id, key, tx string, now time.Time) (idp.Login, *idp.Session, smartcard.Desk, error) {
	p := s.rdb.Pipeline()
	read, readDesk := standing(ctx, p, id, key), lookAtDesk(ctx, p, tx)
	_, _ = p.Exec(ctx)
	l, session, err := read(now)
	d, deskErr := readDesk(now)
	if errors.Is(deskErr, authenticators.ErrAnswer) {
		d, deskErr = smartcard.Desk{}, nil
	}
	if err == nil {
		err = deskErr
	}
	return l, session, d, err
}

// standing asks for a login and a session, and returns what reads the answers.
func standing(ctx context.Context, p goredis.Pipeliner, id, key string) func(now time.Time) (idp.Login, *idp.Session, error) {
	login := p.Get(ctx, loginKey(id))
	var session *goredis.StringCmd
	if key != "" {
		session = p.Get(ctx, sessionKey(key))
	}
	return func(now time.Time) (idp.Login, *idp.Session, error) {
		b, err := login.Bytes()
		l, err := liveLogin(b, err, now)
		if err != nil || session == nil {
			return l, nil, err
		}
		b, err = session.Bytes()
		found, err := liveSession(b, err, now)
		if errors.Is(err, idp.ErrNotFound) {
			return l, nil, nil
		}
		if err != nil {
			return l, nil, err
		}
		return l, &found, nil
	}
}
