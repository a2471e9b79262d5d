package card

import (
	"fmt"
	"math/bits"
	"sync"
	"time"
	"unicode/utf16"
	"unsafe"

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
	return winscard{dll: l}, nil
})

// long is C's unsigned long, which this library takes for nearly everything.
type long = uintptr

// library is what is called of it, in the order of its parameters. It tells
// what it is asked in other types than the one on Windows, and the same.
type library struct {
	establish  func(scope, _, _ long, in *handle) outcome
	release    func(in handle) outcome
	cancel     func(in handle) outcome
	list       func(in handle, groups long, names *byte, size *long) outcome
	change     func(in handle, limit long, states *libraryState, n long) outcome
	connect    func(in handle, name *byte, share, offered long, card *handle, protocol *long) outcome
	reconnect  func(card handle, share, offered, before long, protocol *long) outcome
	disconnect func(card handle, leaving long) outcome
	begin      func(card handle) outcome
	end        func(card handle, leaving long) outcome
	transmit   func(card handle, sent *libraryProtocol, command *byte, size long, received *libraryProtocol, answer *byte, room *long) outcome
}

var _ dll = (*library)(nil)

// libraryState is its SCARD_READERSTATE.
type libraryState struct {
	name      *byte
	_         uintptr
	current   long
	event     long
	atrLength long
	atr       [33]byte
}

// libraryProtocol is SCARD_IO_REQUEST.
type libraryProtocol struct{ protocol, size long }

// Establish implements contexts.
func (l *library) Establish() (in handle, o outcome) {
	o = l.establish(scopeSystem, 0, 0, &in)
	return in, o
}

// Release implements contexts.
func (l *library) Release(in handle) { _ = l.release(in) }

// Cancel implements contexts.
func (l *library) Cancel(in handle) { _ = l.cancel(in) }

// List implements places.
func (l *library) List(in handle, room []uint16) (int, outcome) {
	names := make([]byte, len(room))
	size := long(len(names))
	o := l.list(in, 0, &names[0], &size)
	if o != 0 {
		return 0, o
	}
	return copy(room, utf16.Encode([]rune(string(names[:min(size, long(len(names)))])))), 0
}

// Change implements places.
func (l *library) Change(in handle, limit time.Duration, states []placeState) outcome {
	if len(states) == 0 {
		return 0
	}
	own := make([]libraryState, len(states))
	for i, s := range states {
		own[i].name, own[i].current = inC(unended(s.Name)), long(s.Current)
	}
	o := l.change(in, long(max(limit, 0)/time.Millisecond), &own[0], long(len(own)))
	for i, s := range own {
		states[i].Event, states[i].ATRLength = uint32(s.event), uint32(s.atrLength) //nolint:gosec // PC/SC has 32 bits for both
		copy(states[i].ATR[:], s.atr[:])
	}
	return o
}

// Connect implements lender.
func (l *library) Connect(in handle, reader []uint16) (card handle, protocol uint32, o outcome) {
	var spoken long
	o = l.connect(in, inC(unended(&reader[0])), shared, bothT, &card, &spoken)
	return card, uint32(spoken), o
}

// Reconnect implements lender.
func (l *library) Reconnect(card handle) (protocol uint32, o outcome) {
	var spoken long
	o = l.reconnect(card, shared, bothT, leaveCard, &spoken)
	return uint32(spoken), o
}

// Disconnect implements lender.
func (l *library) Disconnect(card handle, leaving uint32) { _ = l.disconnect(card, long(leaving)) }

// Begin implements lender.
func (l *library) Begin(card handle) outcome { return l.begin(card) }

// End implements lender.
func (l *library) End(card handle, leaving uint32) outcome { return l.end(card, long(leaving)) }

// Transmit implements lender.
func (l *library) Transmit(card handle, protocol uint32, command, room []byte) (int, outcome) {
	as := libraryProtocol{long(protocol), 2 * bits.UintSize / 8}
	n := long(len(room))
	o := l.transmit(card, &as, &command[0], long(len(command)), &as, &room[0], &n)
	return int(min(n, maxShort+1)), o
}

// inC is text as C has it.
func inC(text string) *byte { return &append([]byte(text), 0)[0] }

// unended reads text that a nought ends.
func unended(p *uint16) string {
	n := 0
	for *(*uint16)(unsafe.Add(unsafe.Pointer(p), 2*n)) != 0 { //nolint:gosec // ended writes the nought
		n++
	}
	return string(utf16.Decode(unsafe.Slice(p, n))) //nolint:gosec // likewise
}
