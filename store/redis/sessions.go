package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

func sessionKey(key string) string { return "session:" + key }

// sessionsOfKey holds the keys of a person's sessions, by when they must end.
func sessionsOfKey(uid string) string { return "sessions-of:" + idp.Hash(uid) }

// clientsOfKey holds the clients that a session was used with, by its sid.
func clientsOfKey(sid string) string { return "clients-of:" + sid }

// longestSession is how long what is kept of sessions beside them may stay.
var longestSession = idp.LongestAt(authenticators.AAL1).Max

// SaveSession implements idp.SessionStore. What lists a person's sessions is on
// another slot and comes second: it shows them and decides nothing.
func (s *Store) SaveSession(ctx context.Context, session idp.Session) error {
	b, err := json.Marshal(session)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	ends := session.AuthTime.Add(longestSession)
	list := sessionsOfKey(session.Subject)
	p := s.rdb.Pipeline()
	p.Set(ctx, sessionKey(session.Key), b, s.life(session.Expires()))
	p.ZRemRangeByScore(ctx, list, "-inf", strconv.FormatInt(ms(session.LastAct), 10))
	p.ZAdd(ctx, list, goredis.Z{Score: float64(ms(ends)), Member: session.Key})
	p.PExpire(ctx, list, s.life(ends))
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("save session: %w", outage(err))
	}
	return nil
}

// usedWith lets p write down that the session of g was used with its client.
func (s *Store) usedWith(ctx context.Context, p goredis.Pipeliner, g idp.Grant) {
	key := clientsOfKey(g.SessionID)
	p.SAdd(ctx, key, g.ClientID)
	p.PExpire(ctx, key, s.life(g.AuthTime.Add(longestSession)))
}

// SessionsOf implements idp.OwnSessions.
func (s *Store) SessionsOf(ctx context.Context, uid string, now time.Time) ([]idp.OwnSession, error) {
	keys, err := s.rdb.ZRevRange(ctx, sessionsOfKey(uid), 0, -1).Result()
	if err != nil || len(keys) == 0 {
		return nil, outage(err)
	}
	p := s.rdb.Pipeline()
	sessions := make([]*goredis.StringCmd, len(keys))
	for i, key := range keys {
		sessions[i] = p.Get(ctx, sessionKey(key))
	}
	_, _ = p.Exec(ctx) // each command has its own error
	var own []idp.OwnSession
	var clients []*goredis.StringSliceCmd
	p = s.rdb.Pipeline()
	for _, got := range sessions {
		b, err := got.Bytes()
		session, err := liveSession(b, err, now)
		if errors.Is(err, idp.ErrNotFound) || err == nil && (session.Subject != uid || session.Of != "") {
			continue
		}
		if err != nil {
			return nil, err
		}
		own, clients = append(own, idp.OwnSession{Session: session}), append(clients, p.SMembers(ctx, clientsOfKey(session.ID)))
	}
	if len(own) == 0 {
		return nil, nil
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("clients of sessions: %w", outage(err))
	}
	for i := range own {
		own[i].Clients = clients[i].Val()
		slices.Sort(own[i].Clients)
	}
	return own, nil
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

// TouchSession notes an act of the person of a live session. idp.ErrNotFound if
// there is none.
func (s *Store) TouchSession(ctx context.Context, key string, now time.Time) (idp.Session, error) {
	return s.ChangeSession(ctx, key, now, func(session *idp.Session) { session.LastAct = now })
}

// ChangeSession implements idp.DeskSessions. It returns what came of the change,
// which may be made more than once.
func (s *Store) ChangeSession(ctx context.Context, key string, now time.Time, change func(*idp.Session)) (idp.Session, error) {
	var session idp.Session
	once := func(tx *goredis.Tx) error {
		b, err := tx.Get(ctx, sessionKey(key)).Bytes()
		if session, err = liveSession(b, err, now); err != nil {
			return err
		}
		change(&session)
		if b, err = json.Marshal(session); err != nil {
			return fmt.Errorf("encode session: %w", err)
		}
		_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			return p.Set(ctx, sessionKey(key), b, s.life(session.Expires())).Err()
		})
		return err
	}
	const tries = 5
	var err error
	for range tries {
		err = s.rdb.Watch(ctx, once, sessionKey(key))
		if !errors.Is(err, goredis.TxFailedErr) {
			break
		}
	}
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		err = fmt.Errorf("change session: %w", outage(err))
	}
	return session, err
}

// EndSession implements idp.SessionStore.
func (s *Store) EndSession(ctx context.Context, key string) error {
	if err := s.rdb.Del(ctx, sessionKey(key)).Err(); err != nil {
		return fmt.Errorf("end session: %w", outage(err))
	}
	return nil
}
