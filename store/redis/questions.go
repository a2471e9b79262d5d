package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Questions keeps what one room has asked for one purpose. A question of
// another purpose is not found, whatever its name.
type Questions struct {
	store   *Store
	purpose string
}

var _ authenticators.Questions = Questions{}

// Questions returns those of one purpose, such as a room's sign-ins.
func (s *Store) Questions(purpose string) Questions { return Questions{s, purpose} }

func (q Questions) key(name string) string { return "question:" + q.purpose + ":" + idp.Hash(name) }

// endSize is how many bytes stand before a question: when it ends, in
// milliseconds.
const endSize = 8

// Ask implements authenticators.Questions.
func (q Questions) Ask(ctx context.Context, name string, question []byte, expires time.Time) error {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, endSize+len(question)), uint64(ms(expires))) //nolint:gosec // the bits come back as they went
	if err := q.store.rdb.Set(ctx, q.key(name), append(v, question...), q.store.life(expires)).Err(); err != nil {
		return fmt.Errorf("keep question: %w", outage(err))
	}
	return nil
}

// Take implements authenticators.Questions.
func (q Questions) Take(ctx context.Context, name string, now time.Time) ([]byte, error) {
	return opened(q.store.rdb.GetDel(ctx, q.key(name)), now)
}

// Look returns a question and leaves it as it is.
func (q Questions) Look(ctx context.Context, name string, now time.Time) ([]byte, error) {
	return opened(q.store.rdb.Get(ctx, q.key(name)), now)
}

// opened is the question that a command found, if it has not ended.
func opened(found *goredis.StringCmd, now time.Time) ([]byte, error) {
	v, err := found.Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, authenticators.ErrAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("question: %w", outage(err))
	}
	if len(v) < endSize || int64(binary.BigEndian.Uint64(v)) <= ms(now) { //nolint:gosec // likewise
		return nil, authenticators.ErrAnswer
	}
	return bytes.Clone(v[endSize:]), nil
}
