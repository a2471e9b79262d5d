package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

// mostUnknown is how many names that nothing has are held by a cache, at a KiB
// each at most: whoever asks for one again and again costs no more questions.
const mostUnknown = 1_000

// cache keeps what PostgreSQL said, by name, for as long as it is known to be
// so. What it returns is shared: callers give out copies.
type cache[V any] struct {
	fresh func() bool // whether what is held can be trusted
	most  int         // how many are held
	load  func(ctx context.Context, name string) (V, error)

	mu      sync.RWMutex
	held    map[string]V
	unknown map[string]error      // why there is nothing of a name
	flights map[string]*flight[V] // questions on their way whose answers may be held
}

// flight is one question to PostgreSQL, for all who want its answer.
type flight[V any] struct {
	done chan struct{}
	v    V
	err  error
}

func newCache[V any](fresh func() bool, most int, load func(context.Context, string) (V, error)) *cache[V] {
	return &cache[V]{fresh: fresh, most: most, load: load, held: map[string]V{}, unknown: map[string]error{}, flights: map[string]*flight[V]{}}
}

// get returns what is called name. Of errors only those are held that say that
// there is nothing.
func (c *cache[V]) get(ctx context.Context, name string) (V, error) {
	c.mu.RLock()
	v, err, ok := c.known(name)
	c.mu.RUnlock()
	// Asked after the look, so that a process that stood still in between does
	// not answer with what it knew before.
	fresh := c.fresh()
	if ok && fresh {
		return v, err
	}

	ctx, cancel := within(ctx)
	defer cancel()
	if !fresh {
		v, err := c.load(ctx, name)
		return v, outage(err)
	}
	f := c.join(ctx, name)
	select {
	case <-f.done:
		return f.v, f.err
	case <-ctx.Done():
		var none V
		return none, outage(ctx.Err())
	}
}

// known returns what is held of name. The caller has c.mu.
func (c *cache[V]) known(name string) (v V, err error, ok bool) {
	if v, ok = c.held[name]; ok {
		return v, nil, true
	}
	err, ok = c.unknown[name]
	return v, err, ok
}

// join returns the question for name that is on its way, or a new one. It
// outlives whoever asked first: others may wait for it.
func (c *cache[V]) join(ctx context.Context, name string) *flight[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[name]; ok {
		return f
	}
	f := &flight[V]{done: make(chan struct{})}
	if v, err, ok := c.known(name); ok { // the answer came between the look and now
		f.v, f.err = v, err
		close(f.done)
		return f
	}
	c.flights[name] = f
	go c.fly(context.WithoutCancel(ctx), name, f)
	return f
}

// fly asks, and holds the answer unless name has changed since.
func (c *cache[V]) fly(ctx context.Context, name string, f *flight[V]) {
	ctx, cancel := within(ctx)
	defer cancel()
	v, err := c.load(ctx, name)
	f.v, f.err = v, outage(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if c.flights[name] != f {
		return
	}
	delete(c.flights, name)
	switch {
	case err == nil:
		hold(c.held, c.most, name, v)
	case isUnknown(err):
		hold(c.unknown, mostUnknown, name, err)
	}
}

// isUnknown says whether err tells that there is nothing of a name.
func isUnknown(err error) bool {
	return errors.Is(err, idp.ErrNotFound) || errors.Is(err, idp.ErrClientUnknown) || errors.Is(err, smartcard.ErrNotRegistered)
}

// hold puts v into held, and takes others out that there be no more than most.
func hold[V any](held map[string]V, most int, name string, v V) {
	for other := range held {
		if len(held) < most {
			break
		}
		delete(held, other)
	}
	held[name] = v
}

// drop forgets what is called name, and everything if name is "". The answers
// to questions on their way may be from before, and are not held.
func (c *cache[V]) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" {
		clear(c.held)
		clear(c.unknown)
		clear(c.flights)
		return
	}
	delete(c.held, name)
	delete(c.unknown, name)
	delete(c.flights, name)
}

// caches are all that is kept of the registry, by the kinds of the schema's
// notifications. They follow the feed.
type caches map[string]interface{ drop(name string) }

// refill implements follower: nothing that was held before can be trusted.
func (cs caches) refill(context.Context, *pgx.Conn) error {
	for _, c := range cs {
		c.drop("")
	}
	return nil
}

// heard implements follower.
func (cs caches) heard(kind, name string) {
	if c, ok := cs[kind]; ok {
		c.drop(name)
	}
}
