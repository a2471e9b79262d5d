package card

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/ebitengine/purego"
)

// pcsclite loads pcscd's own library, once, which speaks pcscd's version
// whichever that is. Nothing is built against it: a computer without it has
// readers all the same, unless its pcscd is of a version that is not known here.
var pcsclite = sync.OnceValues(func() (service, error) {
	const name = "libpcsclite.so.1"
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	l := &library{}
	for function, at := range map[string]any{
		"SCardEstablishContext": &l.establish, "SCardReleaseContext": &l.release, "SCardCancel": &l.cancel,
		"SCardListReaders": &l.list, "SCardGetStatusChange": &l.change,
		"SCardConnect": &l.connect, "SCardReconnect": &l.reconnect, "SCardDisconnect": &l.disconnect,
		"SCardBeginTransaction": &l.begin, "SCardEndTransaction": &l.end, "SCardTransmit": &l.transmit,
	} {
		code, err := purego.Dlsym(handle, function)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", name, err)
		}
		purego.RegisterFunc(at, code)
	}
	return l, nil
})

// long is C's unsigned long, which PC/SC takes for nearly everything.
type long = uintptr

// library is what is called of it, in the order of its parameters.
type library struct {
	establish  func(scope, _, _ long, made *long) outcome
	release    func(made long) outcome
	cancel     func(made long) outcome
	list       func(made, groups long, names *byte, size *long) outcome
	change     func(made, limit long, states *libraryState, n long) outcome
	connect    func(made long, name *byte, share, offered long, card, protocol *long) outcome
	reconnect  func(card, share, offered, before long, protocol *long) outcome
	disconnect func(card, leaving long) outcome
	begin      func(card long) outcome
	end        func(card, leaving long) outcome
	transmit   func(card long, sent *libraryProtocol, command *byte, size long, received *libraryProtocol, answer *byte, room *long) outcome
}

// libraryState is SCARD_READERSTATE.
type libraryState struct {
	name      *byte
	_         uintptr
	known     long
	now       long
	atrLength long
	atr       [33]byte
}

// libraryProtocol is SCARD_IO_REQUEST.
type libraryProtocol struct{ protocol, size long }

// Parts of a reader's state.
const (
	libraryChanged = 0x02
	libraryPresent = 0x20
	libraryEvents  = 16 // and upwards: how many cards came and went
)

// anyReader is what changes when a reader comes or goes.
const anyReader = `\\?PnP?\Notification`

// changeTime is how many milliseconds the library is left to wait for a change.
// It may miss the reader that comes just before it waits.
const changeTime long = 3000

// open begins a conversation with pcscd.
func (l *library) open() (long, error) {
	var made long
	o := l.establish(scopeSystem, 0, 0, &made)
	return made, o.err()
}

// Readers implements service.
func (l *library) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	made, err := l.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.release(made) }() // nothing hangs on it any more
	defer l.cancelWith(ctx, made)()
	for ctx.Err() == nil {
		names, states, err := l.states(made)
		if err != nil {
			return nil, err
		}
		if now := readersOf(names, states); seen == nil || !slices.Equal(now, seen) {
			return now, nil
		}
		for i := range states {
			states[i].known = states[i].now &^ libraryChanged
		}
		states = append(states, libraryState{name: &append([]byte(anyReader), 0)[0]})
		switch o := l.change(made, changeTime, &states[0], long(len(states))); o {
		case 0, outTimeout, outCancelled, outNoReader: // and then it is looked at anew
		default:
			return nil, o.err()
		}
	}
	return nil, ctx.Err()
}

// cancelWith ends what waits with ctx. Said before anything waits it would be
// lost, so it is said until it is heard, and no more after the returned
// function.
func (l *library) cancelWith(ctx context.Context, made long) (stop func()) {
	over := make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() {
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		for {
			_ = l.cancel(made)
			select {
			case <-over:
				return
			case <-time.After(lockTime):
			}
		}
	})
	return func() {
		close(over)
		saying.Wait()
	}
}

// states asks how all readers stand.
func (l *library) states(made long) ([]string, []libraryState, error) {
	all := make([]byte, maxReaders*len(readerState{}.Name)+1)
	size := long(len(all))
	if o := l.list(made, 0, &all[0], &size); o == outNone {
		return nil, nil, nil
	} else if o != 0 || size > long(len(all)) {
		return nil, nil, o.err()
	}
	var names []string
	var states []libraryState
	for _, name := range bytes.Split(all[:size], []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
			states = append(states, libraryState{name: &append(bytes.Clone(name), 0)[0]})
		}
	}
	if len(states) == 0 {
		return nil, nil, nil
	}
	switch o := l.change(made, 0, &states[0], long(len(states))); o {
	case 0, outTimeout:
		return names, states, nil
	case outNoReader: // it has gone since
		return nil, nil, nil
	default:
		return nil, nil, o.err()
	}
}

func readersOf(names []string, states []libraryState) []reader {
	all := []reader{}
	for i, s := range states {
		r := reader{name: names[i], present: s.now&libraryPresent != 0, events: uint32(s.now >> libraryEvents)} //nolint:gosec // PC/SC has 32 bits for it
		if r.present && s.atrLength <= long(len(s.atr)) {
			r.atr = atrText(s.atr[:s.atrLength])
		}
		all = append(all, r)
	}
	return ordered(all)
}

// Connect implements service.
func (l *library) Connect(_ context.Context, name string) (connection, error) {
	made, err := l.open()
	if err != nil {
		return nil, asRemoved(err)
	}
	c := &libraryCard{l: l, made: made}
	err = patiently(func() (outcome, error) {
		return l.connect(made, &append([]byte(name), 0)[0], shared, bothT, &c.card, &c.protocol), nil
	})
	if err != nil {
		_ = l.release(made) // nothing was made of it
		return nil, asRemoved(err)
	}
	return c, nil
}

// libraryCard is a card that the library lends.
type libraryCard struct {
	l        *library
	made     long
	card     long
	protocol long
	begins   chan begun // a transaction that had to wait
	unsure   bool       // the last reset did not succeed
}

// T0 implements connection.
func (c *libraryCard) T0() bool { return c.protocol == protocolT0 }

// begun is what comes of a transaction that was asked for.
type begun struct {
	outcome
	protocol long
}

// Begin implements connection. The library waits for other programs for ever.
// What it has been asked it does all the same, and the next one to begin, or
// Close, finds it done.
func (c *libraryCard) Begin() error {
	if c.begins == nil {
		c.begins = make(chan begun, 1)
		go func(l *library, card, protocol long, done chan<- begun) {
			o := l.begin(card)
			if o == outReset || o == outUnpowered {
				// By another program, or by us.
				if o = l.reconnect(card, shared, bothT, leaveCard, &protocol); o == 0 {
					o = l.begin(card)
				}
			}
			done <- begun{o, protocol}
		}(c.l, c.card, c.protocol, c.begins)
	}
	select {
	case b := <-c.begins:
		c.begins, c.protocol = nil, b.protocol
		return asRemoved(b.err())
	case <-time.After(lendTime):
		return outSharing.err()
	}
}

// Transmit implements connection.
func (c *libraryCard) Transmit(command []byte) ([]byte, error) {
	as := libraryProtocol{protocol: c.protocol, size: 2 * bits.UintSize / 8}
	answer, room := make([]byte, maxShort), long(maxShort)
	o := c.l.transmit(c.card, &as, &command[0], long(len(command)), &as, &answer[0], &room)
	switch {
	case o != 0:
		return nil, asRemoved(o.err())
	case room > maxShort:
		return nil, fmt.Errorf("%w: its answer is too long", ErrUnreadable)
	case room == 0:
		return nil, fmt.Errorf("%w: it answers nothing", ErrRemoved) // some readers tell no more
	}
	return answer[:room], nil
}

// End implements connection.
func (c *libraryCard) End(reset bool) error {
	leaving := long(leaveCard)
	if reset {
		leaving = resetCard
	}
	o := c.l.end(c.card, leaving)
	c.unsure = reset && o != 0
	return asRemoved(o.err())
}

// Close implements connection.
func (c *libraryCard) Close() error {
	leaving := long(leaveCard)
	if c.unsure {
		leaving = resetCard
	}
	let := func() {
		_ = c.l.disconnect(c.card, leaving) // the library does it anyway when it lets go
		_ = c.l.release(c.made)
	}
	if c.begins == nil {
		let()
		return nil
	}
	go func() { // when the library has done what it was asked
		if b := <-c.begins; b.outcome == 0 {
			_ = c.l.end(c.card, leaveCard)
		}
		let()
	}()
	return nil
}
