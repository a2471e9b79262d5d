package card

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf16"
)

// winscard is a service for card readers that a library in C speaks to, as PC/SC
// has it: the DLL of that name on Windows, and pcscd's own on Linux.
type winscard struct{ dll dll }

// handle is what the DLL calls a context or a card.
type handle uintptr

// dll is such a library, as far as it is used here, in the types of the one on
// Windows. Every call may block.
type dll interface {
	contexts
	places
	lender
}

// contexts are what the DLL's other calls happen in.
type contexts interface {
	Establish() (handle, outcome)
	Release(context handle)

	// Cancel ends what waits in the context at this moment, and nothing that
	// begins to wait later.
	Cancel(context handle)
}

// places tells of readers.
type places interface {
	// List fills room with the names of the readers, each ended by a nought and
	// all by one more, and says how long that is.
	List(context handle, room []uint16) (int, outcome)

	// Change fills in states as soon as one is not what it is thought to be, or
	// when the limit has passed.
	Change(context handle, limit time.Duration, states []placeState) outcome
}

// lender lends the card in a reader.
type lender interface {
	Connect(context handle, reader []uint16) (card handle, protocol uint32, o outcome)
	Reconnect(card handle) (protocol uint32, o outcome)
	Disconnect(card handle, leaving uint32)
	Begin(card handle) outcome
	End(card handle, leaving uint32) outcome

	// Transmit says how long the answer is, which it puts into room.
	Transmit(card handle, protocol uint32, command, room []byte) (int, outcome)
}

// placeState is the DLL's SCARD_READERSTATEW, whose layout follows the size of a
// pointer as Go's does.
type placeState struct {
	Name      *uint16
	_         uintptr
	Current   uint32 // what it is thought to be
	Event     uint32 // what it is; its upper half counts cards that come and go
	ATRLength uint32
	ATR       [36]byte
}

// States of a reader.
const (
	placeChanged = 0x02
	placeUnknown = 0x04
	placePresent = 0x20
)

// outShort says that there is more than there was room for.
const outShort outcome = 0x80100008

// arrivals is the name of a reader that there is none of: its state changes when
// a reader is plugged in.
const arrivals = `\\?PnP?\Notification`

// Bounds.
const (
	maxNames   = 64 << 10        // units of UTF-16
	maxWatched = 10              // readers that the DLL looks at in one call
	watchTime  = 5 * time.Second // after which it is looked again, whatever the DLL has noticed
	cancelTime = time.Second
)

// Readers implements service. The DLL waits in a thread of its own, which ctx
// ends.
func (w winscard) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	in, o := w.dll.Establish()
	if o != 0 {
		return nil, noService(o)
	}
	var now []reader
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		now, err = w.watch(ctx, in, seen)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		if !w.cancel(in, done) {
			go func() { <-done; w.dll.Release(in) }()
			return nil, ctx.Err()
		}
	}
	w.dll.Release(in)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return now, err
}

// cancel ends a wait, and says whether it has ended. What is said to the DLL
// before it waits is lost, so it is said until it is heard.
func (w winscard) cancel(in handle, done <-chan struct{}) bool {
	for waited := time.Duration(0); waited < cancelTime; waited += lockTime {
		w.dll.Cancel(in)
		select {
		case <-done:
			return true
		case <-time.After(lockTime):
		}
	}
	return false
}

// watch looks at the readers until they are others than seen.
func (w winscard) watch(ctx context.Context, in handle, seen []reader) ([]reader, error) {
	plugs := placeState{Name: &ended(arrivals)[0]}
	for ctx.Err() == nil {
		names, err := w.names(in)
		if err != nil {
			return nil, err
		}
		states := make([]placeState, len(names))
		for i := range states {
			states[i].Name = &names[i][0]
		}
		for some := range slices.Chunk(states, maxWatched) {
			if o := w.dll.Change(in, 0, some); o != 0 && o != outTimeout && o != outNoReader {
				return nil, noService(o)
			}
		}
		if now := placesIn(names, states); seen == nil || !slices.Equal(now, seen) {
			return now, nil
		}
		watched := append(states, plugs)
		if err := w.change(ctx, in, watched); err != nil {
			return nil, err
		}
		plugs = watched[len(states)]
	}
	return nil, ctx.Err()
}

// change waits until it is worth to look again. It never comes back at once: the
// DLL wakes us for more than we want to know.
func (w winscard) change(ctx context.Context, in handle, states []placeState) error {
	rest := lockTime
	if len(states) > maxWatched {
		rest = pollTime
	} else {
		for i := range states {
			states[i].Current = states[i].Event &^ placeChanged
		}
		switch o := w.dll.Change(in, watchTime, states); o {
		case 0, outTimeout, outCancelled:
		case outNoReader: // gone since, or nobody tells of arrivals here
			rest = pollTime
		default:
			return noService(o)
		}
	}
	select {
	case <-time.After(rest):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// names returns the names of the readers, each with its nought.
func (w winscard) names(in handle) ([][]uint16, error) {
	for room := make([]uint16, 1024); len(room) <= maxNames; room = make([]uint16, 4*len(room)) {
		switch n, o := w.dll.List(in, room); {
		case o == outNone:
			return nil, nil
		case o == 0:
			return namesIn(room[:min(max(n, 0), len(room))]), nil
		case o != outShort:
			return nil, noService(o)
		}
	}
	return nil, fmt.Errorf("%w: it has too many readers", errService)
}

// namesIn takes the DLL's list of names apart.
func namesIn(list []uint16) [][]uint16 {
	var all [][]uint16
	for {
		end := slices.Index(list, 0)
		if end <= 0 {
			return all
		}
		all, list = append(all, list[:end+1:end+1]), list[end+1:]
	}
}

// placesIn says how the readers of those names stand.
func placesIn(names [][]uint16, states []placeState) []reader {
	all := []reader{}
	for i, s := range states {
		if s.Event&placeUnknown != 0 {
			continue // it went while it was looked at
		}
		r := reader{name: string(utf16.Decode(names[i][:len(names[i])-1])), present: s.Event&placePresent != 0, events: s.Event >> 16}
		if n := int(s.ATRLength); r.present && n <= len(s.ATR) {
			r.atr = atrText(s.ATR[:n])
		}
		all = append(all, r)
	}
	return ordered(all)
}

// ended writes text as the DLL reads it.
func ended(text string) []uint16 { return append(utf16.Encode([]rune(text)), 0) }

// noService says that the service does not answer. Windows runs it only while there
// is a reader, and says so in many ways.
func noService(o outcome) error {
	if o == outCancelled {
		return context.Canceled
	}
	return fmt.Errorf("%w: %w", errService, o)
}

// Connect implements service. Each card has a context of its own.
func (w winscard) Connect(_ context.Context, name string) (connection, error) {
	in, o := w.dll.Establish()
	if o != 0 {
		return nil, asRemoved(noService(o))
	}
	c := &winscardCard{dll: w.dll, in: in}
	err := patiently(func() (outcome, error) {
		var card handle
		var protocol uint32
		o := c.within(cardTime, func() (o outcome) {
			card, protocol, o = w.dll.Connect(in, ended(name))
			return o
		})
		if o == 0 {
			c.card, c.protocol = card, protocol
		}
		return o, nil
	})
	if err != nil {
		_ = c.Close() // what went wrong is told
		return nil, ofCard(err)
	}
	return c, nil
}
