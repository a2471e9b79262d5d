package card

import (
	"context"
	"slices"
	"time"
)

// letGoTime is how long it is waited for a card to be reset, or let go of. What
// takes longer goes on by itself.
const letGoTime = time.Second

// heeding is a connection whose calls end when nobody waits for them any more. A
// reader that hangs keeps a call for half a minute, and a program that is told
// to stop has less. The call itself goes on, and what has to be done after it is
// done then: a card that may have seen a passcode is reset.
type heeding struct {
	c    connection
	done <-chan struct{}
	why  func() error
	turn chan struct{} // one call at a time
	late bool          // letting go took too long: nobody waits for the rest
}

// connect connects to a card for as long as ctx lasts.
func connect(ctx context.Context, s service, name string) (connection, error) {
	type made struct {
		c   connection
		err error
	}
	came := make(chan made, 1)
	go func() {
		c, err := s.Connect(ctx, name)
		came <- made{c, err}
	}()
	select {
	case m := <-came:
		if m.err != nil {
			return nil, m.err
		}
		return &heeding{c: m.c, done: ctx.Done(), why: ctx.Err, turn: make(chan struct{}, 1)}, nil
	case <-ctx.Done():
		go func() {
			if m := <-came; m.err == nil {
				_ = m.c.Close() // nobody wants it any more
			}
		}()
		return nil, ctx.Err()
	}
}

// answer is what a call returns.
type answer struct {
	data []byte
	err  error
}

// ask makes a call, for as long as somebody waits for it.
func (h *heeding) ask(call func() answer) answer {
	if err := h.why(); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-h.begin(call):
		return a
	case <-h.done:
		return answer{err: h.why()}
	}
}

// letGo makes a call that has to be made, although nobody may wait any more.
func (h *heeding) letGo(call func() error) error {
	came := h.begin(func() answer { return answer{err: call()} })
	limit := letGoTime
	if h.late {
		limit = 0
	}
	select {
	case a := <-came:
		return a.err
	case <-time.After(limit):
		h.late = true
		return context.DeadlineExceeded
	}
}

// begin begins a call, which waits for the one before.
func (h *heeding) begin(call func() answer) <-chan answer {
	came := make(chan answer, 1)
	go func() {
		h.turn <- struct{}{}
		defer func() { <-h.turn }()
		came <- call()
	}()
	return came
}

// Begin implements connection.
func (h *heeding) Begin() error { return h.ask(func() answer { return answer{err: h.c.Begin()} }).err }

// Transmit implements connection.
func (h *heeding) Transmit(command []byte) ([]byte, error) {
	sent := slices.Clone(command) // the caller's is wiped, perhaps before the call has ended
	a := h.ask(func() answer {
		defer clear(sent) // there may be a passcode in it
		data, err := h.c.Transmit(sent)
		return answer{data, err}
	})
	return a.data, a.err
}

// End implements connection.
func (h *heeding) End(reset bool) error { return h.letGo(func() error { return h.c.End(reset) }) }

// T0 implements connection.
func (h *heeding) T0() bool { return h.c.T0() }

// Close implements connection.
func (h *heeding) Close() error { return h.letGo(h.c.Close) }
