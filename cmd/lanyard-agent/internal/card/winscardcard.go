package card

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// winscardCard is a card that winscard lends.
type winscardCard struct {
	dll      dll
	in, card handle // no card: it was never connected to
	protocol uint32
	begins   chan begun // a transaction that had to wait; else nil
	unsure   bool       // the last reset did not succeed
	lost     bool       // it is let go, or will be when a call comes back that took too long
}

// begun is what comes of a transaction that was asked for.
type begun struct {
	outcome
	protocol uint32
}

// within does what may block for longer than anybody waits. What has not come
// back by then ends the connection when it does, with a reset: it may be in the
// middle of something.
func (c *winscardCard) within(limit time.Duration, do func() outcome) outcome {
	if c.lost || c.begins != nil {
		return outTimeout
	}
	done := make(chan outcome, 1)
	go func() { done <- do() }()
	select {
	case o := <-done:
		return o
	case <-time.After(limit):
		c.lost = true
		go func() { <-done; c.letGo(resetCard) }()
		return outTimeout
	}
}

func (c *winscardCard) letGo(leaving uint32) {
	if c.card != 0 {
		c.dll.Disconnect(c.card, leaving)
	}
	c.dll.Release(c.in)
}

// ofCard says what an error of a card means. A number of Windows' own, or the
// service's end, is of a reader that was pulled out.
func ofCard(err error) error {
	for _, known := range []error{ErrRemoved, ErrUnreadable, ErrUnsupported, ErrBusy, outReset, outUnpowered} {
		if errors.Is(err, known) {
			return err
		}
	}
	if o, ok := errors.AsType[outcome](err); ok {
		return fmt.Errorf("%w: %w", ErrRemoved, o)
	}
	return err
}

// T0 implements connection.
func (c *winscardCard) T0() bool { return c.protocol == protocolT0 }

// Begin implements connection. The DLL waits for other programs for ever. What it
// was asked it does all the same, and the next one to begin, or Close, finds it
// done.
func (c *winscardCard) Begin() error {
	if c.lost {
		return fmt.Errorf("%w: it was let go", ErrRemoved)
	}
	if c.begins == nil {
		c.begins = make(chan begun, 1)
		go func(card handle, protocol uint32, done chan<- begun) { done <- begin(c.dll, card, protocol) }(c.card, c.protocol, c.begins)
	}
	select {
	case b := <-c.begins:
		c.begins, c.protocol = nil, b.protocol
		return ofCard(b.err())
	case <-time.After(lendTime):
		return outSharing.err()
	}
}

// begin begins a transaction. A card that another program, or we, have reset has
// to be connected to anew.
func begin(d dll, card handle, protocol uint32) begun {
	o := d.Begin(card)
	if o == outReset || o == outUnpowered {
		var now uint32
		if now, o = d.Reconnect(card); o == 0 {
			protocol, o = now, d.Begin(card)
		}
	}
	return begun{o, protocol}
}

// Transmit implements connection.
func (c *winscardCard) Transmit(command []byte) ([]byte, error) {
	sent := slices.Clone(command) // the caller's may be wiped before the DLL comes back
	room := make([]byte, maxShort)
	n := 0
	o := c.within(cardTime, func() (o outcome) {
		defer clear(sent) // there may be a passcode in it
		n, o = c.dll.Transmit(c.card, c.protocol, sent, room)
		return o
	})
	switch {
	case o != 0:
		return nil, ofCard(o.err())
	case n <= 0: // some readers tell no more
		return nil, fmt.Errorf("%w: it answers nothing", ErrRemoved)
	case n > len(room):
		return nil, errors.New("the card's answer is too long")
	}
	return room[:n], nil
}

// End implements connection.
func (c *winscardCard) End(reset bool) error {
	leaving := uint32(leaveCard)
	if reset {
		leaving = resetCard
	}
	o := c.within(cardTime, func() outcome { return c.dll.End(c.card, leaving) })
	c.unsure = reset && o != 0
	return ofCard(o.err())
}

// Close implements connection.
func (c *winscardCard) Close() error {
	if c.lost {
		return nil
	}
	c.lost = true
	leaving := uint32(leaveCard)
	if c.unsure {
		leaving = resetCard
	}
	if c.begins == nil {
		c.letGo(leaving)
		return nil
	}
	go func() {
		if b := <-c.begins; b.outcome == 0 {
			_ = c.dll.End(c.card, leaveCard) // nothing was asked of it
		}
		c.letGo(leaving)
	}()
	return nil
}
