package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func sessionKey(key string) string { return "session:" + key }

// SaveSession implements idp.SessionStore.
func (s *Store) SaveSession(ctx context.Context, session idp.Session) error {
	if _, err := s.put(ctx, sessionKey(session.Key), session, session.Expires(), false); err != nil {
		return fmt.Errorf("save session: %w", err)
	}
	return nil
}

// Session implements idp.SessionStore.
func (s *Store) Session(ctx context.Context, key string, now time.Time) (idp.Session, error) {
	b, err := s.rdb.Get(ctx, sessionKey(key)).Bytes()
	return liveSession(b, err, now)
}

func liveSession(b []byte, err error, now time.Time) (idp.Session, error) {
	var session idp.Session
	if err := decode(b, err, &session, idp.ErrNotFound); err != nil {
		return idp.Session{}, fmt.Errorf("read session: %w", err)
	}
	if !session.Live(now) {
		return idp.Session{}, idp.ErrNotFound
	}
	return session, nil
}

// UpdateSession implements idp.SessionStore.
func (s *Store) UpdateSession(ctx context.Context, session idp.Session) error {
	was, err := s.put(ctx, sessionKey(session.Key), session, session.Expires(), true)
	if err != nil {
		return fmt.Errorf("update session: %w", err)
	}
	if !was {
		return idp.ErrNotFound
	}
	return nil
}

// EndSession implements idp.SessionStore.
func (s *Store) EndSession(ctx context.Context, key string) error {
	if err := s.rdb.Del(ctx, sessionKey(key)).Err(); err != nil {
		return fmt.Errorf("end session: %w", outage(err))
	}
	return nil
}
