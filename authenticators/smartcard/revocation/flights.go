package revocation

import (
	"context"
	"fmt"
	"sync"
)

// flights lets everybody who asks the same at the same time wait for one
// answer.
type flights[K comparable, V any] struct {
	mu   sync.Mutex
	open map[K]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// do returns what fetch returns, which may be another's fetch for the same k,
// or ctx's error as soon as ctx is done. The fetch has the time limit of this
// package and goes on when those who wait for it leave: the next to ask has
// the use of it.
func (f *flights[K, V]) do(ctx context.Context, k K, fetch func(context.Context) (V, error)) (V, error) {
	f.mu.Lock()
	fl, ok := f.open[k]
	if !ok {
		if f.open == nil {
			f.open = map[K]*flight[V]{}
		}
		fl = &flight[V]{done: make(chan struct{})}
		f.open[k] = fl
		go f.fly(context.WithoutCancel(ctx), k, fl, fetch)
	}
	f.mu.Unlock()

	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// fly fetches and lands. It holds a panic back: this goroutine is nobody's
// request, so a parser that fell over a stranger's bytes would end the server.
func (f *flights[K, V]) fly(ctx context.Context, k K, fl *flight[V], fetch func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			fl.err = fmt.Errorf("work on the answer: panic: %v", p)
		}
		f.mu.Lock()
		delete(f.open, k)
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.value, fl.err = fetch(ctx)
}
