package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// load lets people come at a set rate, whether those before them are through
// or not, and counts what became of each.
type load struct {
	rate int // a second
	sign func(ctx context.Context, n int) error

	mu     sync.Mutex
	came   int
	ended  map[string]int // how, by what was said; "" is well
	first  map[string]error
	longer time.Duration // the longest that anybody took
}

// newLoad lets rate people a second do sign, which gets a number that nobody
// else has.
func newLoad(rate int, sign func(context.Context, int) error) *load {
	return &load{rate: rate, sign: sign, ended: map[string]int{}, first: map[string]error{}}
}

// run lets people come until ctx is done, and then waits for those who are
// there.
func (l *load) run(ctx context.Context) {
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	var there sync.WaitGroup
	defer there.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		there.Go(func() {
			// They finish what they began, within a time that nobody waits
			// longer than.
			own, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			began := time.Now()
			l.note(l.sign(own, n), time.Since(began))
		})
	}
}

// while runs the load as long as do takes.
func (l *load) while(ctx context.Context, do func(context.Context) error) error {
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	var runs sync.WaitGroup
	runs.Go(func() { l.run(under) })
	err := do(ctx)
	cancel()
	runs.Wait()
	return err
}

func (l *load) note(err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came++
	l.longer = max(l.longer, took)
	how := ""
	if err != nil {
		how = manner(err)
	}
	l.ended[how]++
	if l.first[how] == nil {
		l.first[how] = err
	}
}

// manner is what went wrong, without what differs from one time to the next.
func manner(err error) string {
	text := err.Error()
	if i := strings.Index(text, "127.0.0.1:"); i >= 0 {
		text = text[:i]
	}
	return text[:min(len(text), 100)]
}

// failed says in what ways people failed, or nil.
func (l *load) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.came == 0 {
		return fmt.Errorf("nobody came")
	}
	n := l.came - l.ended[""]
	if n == 0 {
		return nil
	}
	var b strings.Builder
	for _, how := range slices.Sorted(maps.Keys(l.ended)) {
		if how != "" {
			fmt.Fprintf(&b, "\n  %d: %v", l.ended[how], l.first[how])
		}
	}
	return fmt.Errorf("%d of %d failed:%s", n, l.came, b.String())
}

// well is how many ended well.
func (l *load) well() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended[""]
}

// together lets n do the same at once, and returns what each got.
func together[T any](n int, do func(i int) T) []T {
	all := make([]T, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			all[i] = do(i)
		})
	}
	close(start)
	wg.Wait()
	return all
}
