package card

import (
	"context"
	"errors"
	"sync"
	"time"
	"unicode/utf16"
	"unsafe"
)

// box is a winscard.dll in the test's process, with the readers of a room. Its
// contexts and cards are numbers that it counts up.
type box struct {
	*room

	mu       sync.Mutex
	last     handle
	contexts map[handle]chan struct{} // of one that waits; else nil
	lent     map[handle]*lentCard
	waits    int         // calls of Change that waited
	deaf     bool        // to Cancel
	hangs    func() bool // whether Begin does not come back
	hung     chan struct{}
	says     map[string][]outcome // of the next calls
}

type lentCard struct {
	plugged *plugged
	leaving []uint32
}

func newBox(slots ...*slotOf) *box {
	return &box{room: newRoom(slots...), contexts: map[handle]chan struct{}{}, lent: map[handle]*lentCard{}, hung: make(chan struct{}), says: map[string][]outcome{}}
}

// will makes the next calls say so.
func (b *box) will(call string, says ...outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.says[call] = says
}

// next is what the test wants a call to say, if anything.
func (b *box) next(call string) outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.says[call]) == 0 {
		return 0
	}
	o := b.says[call][0]
	b.says[call] = b.says[call][1:]
	return o
}

func (b *box) Establish() (handle, outcome) {
	if o := b.next("establish"); o != 0 {
		return 0, o
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.contexts[b.last] = nil
	return b.last, 0
}

func (b *box) Release(in handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.contexts, in)
}

func (b *box) left() (contexts, cards int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.contexts), len(b.lent)
}

func (b *box) Cancel(in handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.contexts[in]; c != nil && !b.deaf {
		close(c)
		b.contexts[in] = nil
	}
}

func (b *box) List(_ handle, room []uint16) (int, outcome) {
	if o := b.next("list"); o != 0 {
		return 0, o
	}
	now, _ := b.Readers(context.Background(), nil)
	if len(now) == 0 {
		return 0, outNone
	}
	var all []uint16
	for _, r := range now {
		all = append(all, ended(r.name)...)
	}
	all = append(all, 0)
	if len(all) > len(room) {
		return len(all), outShort
	}
	return copy(room, all), 0
}

func nameAt(p *uint16) string {
	n := 0
	for *(*uint16)(unsafe.Add(unsafe.Pointer(p), 2*n)) != 0 {
		n++
	}
	return string(utf16.Decode(unsafe.Slice(p, n)))
}

func (b *box) Change(in handle, limit time.Duration, states []placeState) outcome {
	if o := b.next("change"); o != 0 {
		return o
	}
	if len(states) > maxWatched {
		return 0x80100004
	}
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	if limit > 0 {
		cancelled := make(chan struct{})
		b.mu.Lock()
		b.waits++
		b.contexts[in] = cancelled
		b.mu.Unlock()
		defer func() { b.mu.Lock(); b.contexts[in] = nil; b.mu.Unlock() }()
		go func() {
			select {
			case <-cancelled:
				stop()
			case <-ctx.Done():
			}
		}()
	}
	for {
		b.room.mu.Lock()
		again, differs := b.changed, b.fill(states)
		b.room.mu.Unlock()
		if differs {
			return 0
		}
		select {
		case <-again:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return outCancelled
			}
			return outTimeout
		}
	}
}

// fill says how the readers stand, and whether one is not what it was thought
// to be.
func (b *box) fill(states []placeState) (differs bool) {
	for i := range states {
		s := &states[i]
		s.Event, s.ATRLength = placeUnknown, 0
		if nameAt(s.Name) == arrivals {
			s.Event = uint32(len(b.slots)) << 16
		}
		for _, slot := range b.slots {
			if slot.name != nameAt(s.Name) {
				continue
			}
			s.Event = 0x10 | slot.events<<16
			if slot.powered != nil {
				s.Event = placePresent | slot.events<<16
				for j := range len(slot.atr) / 2 {
					s.ATR[j] = unhex(slot.atr[2*j])<<4 | unhex(slot.atr[2*j+1])
				}
				s.ATRLength = uint32(len(slot.atr) / 2)
			}
		}
		if s.Event&^placeChanged != s.Current {
			s.Event |= placeChanged
			differs = true
		}
	}
	return differs
}

func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

func (b *box) Connect(_ handle, name []uint16) (handle, uint32, outcome) {
	if o := b.next("connect"); o != 0 {
		return 0, 0, o
	}
	c, err := b.room.Connect(context.Background(), nameAt(&name[0]))
	if err != nil {
		return 0, 0, outNoCard
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	p := c.(*plugged)
	b.lent[b.last] = &lentCard{plugged: p}
	if p.t0 {
		return b.last, 1, 0
	}
	return b.last, 2, 0
}

func (b *box) card(h handle) *lentCard {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lent[h]
}

func (b *box) Reconnect(card handle) (uint32, outcome) {
	o := b.next("reconnect")
	if b.card(card).plugged.t0 {
		return 1, o
	}
	return 2, o
}

func (b *box) Disconnect(card handle, leaving uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.lent[card]
	if c == nil {
		return
	}
	if leaving == resetCard {
		_ = c.plugged.End(true)
	}
	delete(b.lent, card)
	_ = c.plugged.Close()
}

func (b *box) Begin(card handle) outcome {
	if o := b.next("begin"); o != 0 {
		return o
	}
	if b.hangs != nil && b.hangs() {
		<-b.hung
	}
	if b.card(card).plugged.Begin() != nil {
		return outRemoved
	}
	return 0
}

func (b *box) End(card handle, leaving uint32) outcome {
	c := b.card(card)
	c.leaving = append(c.leaving, leaving)
	if c.plugged.End(leaving == resetCard) != nil {
		return outRemoved
	}
	return 0
}

func (b *box) Transmit(card handle, protocol uint32, command, room []byte) (int, outcome) {
	if o := b.next("transmit"); o != 0 {
		return 0, o
	}
	c := b.card(card).plugged
	if (protocol == protocolT0) != c.t0 {
		return 0, outProtocol
	}
	answer, err := c.Transmit(command)
	if err != nil {
		return 0, 22 // as Windows says it of some readers
	}
	return copy(room, answer), 0
}
