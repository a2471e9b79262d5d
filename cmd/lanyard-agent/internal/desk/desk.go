package desk

import (
	"context"
	"errors"
	"sync"
	"time"
)

// enteredTime is how long it stays at the desk that somebody was signed in who was
// asked for nothing.
const enteredTime = 15 * time.Second

// explainTime is how long words about a sign-in that ended stay at the desk.
const explainTime = 2 * time.Minute

// Desk opens the links that come to a desk: it signs in one person at a time.
type Desk struct {
	agent Agent

	mu   sync.Mutex
	busy bool
	hush context.CancelFunc // ends what is said about the last sign-in
}

// At returns the desk of an agent.
func At(a Agent) *Desk { return &Desk{agent: a, hush: func() {}} }

// Open signs in by a link. When nobody was signed in it says why, until that was
// read or the next link comes, and returns the reason; who was signed in without
// being asked for anything is told for a moment. While a sign-in is under
// way it tells the page of another that it has to wait.
func (d *Desk) Open(ctx context.Context, l Link) error {
	ended := func(error) {}
	if d.agent.Follow != nil {
		ended = d.agent.Follow(l)
	}
	until, done, ok := d.take(ctx)
	if !ok {
		err := errors.Join(ErrBusy, d.agent.Refuse(ctx, l))
		ended(err)
		return err
	}
	defer done()
	entered, err := d.agent.signIn(ctx, l)
	d.free()
	ended(err)
	if why, ok := errors.AsType[Ended](err); ok && why.Words != "" {
		until, cancel := context.WithTimeout(until, explainTime)
		defer cancel()
		_ = d.agent.Prompt.Tell(until, why.Language, why.Words) // err is returned
	}
	if entered.words != "" {
		until, cancel := context.WithTimeout(until, enteredTime)
		defer cancel()
		_ = d.agent.Prompt.Tell(until, entered.language, entered.words) // they are signed in
	}
	return err
}

// take takes the desk, unless somebody is signing in there. What was said about
// the sign-in before is said no more, and about this one until the next.
func (d *Desk) take(ctx context.Context) (until context.Context, done context.CancelFunc, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy {
		return nil, nil, false
	}
	d.busy = true
	d.hush()
	until, d.hush = context.WithCancel(ctx)
	return until, d.hush, true
}

func (d *Desk) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = false
}
