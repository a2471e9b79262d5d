package card

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// system is winscard.dll, which has the card readers on Windows.
func system() (service, error) {
	d, err := load()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReaders, err)
	}
	return winscard{dll: d}, nil
}

// library is the DLL of the system's own folder, by its functions.
type library struct {
	establish, release, cancel, list, change, connect, reconnect, disconnect, begin, end, transmit *windows.LazyProc
}

func load() (*library, error) {
	file := windows.NewLazySystemDLL("winscard.dll")
	l := &library{}
	for name, to := range map[string]**windows.LazyProc{
		"SCardEstablishContext": &l.establish, "SCardReleaseContext": &l.release, "SCardCancel": &l.cancel,
		"SCardListReadersW": &l.list, "SCardGetStatusChangeW": &l.change,
		"SCardConnectW": &l.connect, "SCardReconnect": &l.reconnect, "SCardDisconnect": &l.disconnect,
		"SCardBeginTransaction": &l.begin, "SCardEndTransaction": &l.end, "SCardTransmit": &l.transmit,
	} {
		*to = file.NewProc(name)
		if err := (*to).Find(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// of is the outcome that a function returned. The other two are of no use.
func of(o, _ uintptr, _ error) outcome { return outcome(o) }

// Establish implements contexts.
func (l *library) Establish() (handle, outcome) {
	var in handle
	o := of(l.establish.Call(scopeSystem, 0, 0, uintptr(unsafe.Pointer(&in))))
	return in, o
}

// Release implements contexts.
func (l *library) Release(in handle) { _ = of(l.release.Call(uintptr(in))) }

// Cancel implements contexts.
func (l *library) Cancel(in handle) { _ = of(l.cancel.Call(uintptr(in))) }

// List implements places.
func (l *library) List(in handle, room []uint16) (int, outcome) {
	n := uint32(len(room))
	o := of(l.list.Call(uintptr(in), 0, uintptr(unsafe.Pointer(unsafe.SliceData(room))), uintptr(unsafe.Pointer(&n))))
	return int(n), o
}

// Change implements places.
func (l *library) Change(in handle, limit time.Duration, states []placeState) outcome {
	o := of(l.change.Call(uintptr(in), uintptr(limit.Milliseconds()), uintptr(unsafe.Pointer(unsafe.SliceData(states))), uintptr(len(states))))
	runtime.KeepAlive(states) // and the names in them
	return o
}

// Connect implements lender.
func (l *library) Connect(in handle, reader []uint16) (card handle, protocol uint32, o outcome) {
	o = of(l.connect.Call(uintptr(in), uintptr(unsafe.Pointer(unsafe.SliceData(reader))), shared, bothT,
		uintptr(unsafe.Pointer(&card)), uintptr(unsafe.Pointer(&protocol))))
	return card, protocol, o
}

// Reconnect implements lender.
func (l *library) Reconnect(card handle) (protocol uint32, o outcome) {
	o = of(l.reconnect.Call(uintptr(card), shared, bothT, leaveCard, uintptr(unsafe.Pointer(&protocol))))
	return protocol, o
}

// Disconnect implements lender.
func (l *library) Disconnect(card handle, leaving uint32) {
	_ = of(l.disconnect.Call(uintptr(card), uintptr(leaving)))
}

// Begin implements lender.
func (l *library) Begin(card handle) outcome { return of(l.begin.Call(uintptr(card))) }

// End implements lender.
func (l *library) End(card handle, leaving uint32) outcome {
	return of(l.end.Call(uintptr(card), uintptr(leaving)))
}

// Transmit implements lender.
func (l *library) Transmit(card handle, protocol uint32, command, room []byte) (int, outcome) {
	head := struct{ Protocol, Length uint32 }{protocol, 8} // SCARD_IO_REQUEST, and how long it is
	n := uint32(len(room))
	o := of(l.transmit.Call(uintptr(card), uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(unsafe.SliceData(command))), uintptr(len(command)),
		0, uintptr(unsafe.Pointer(unsafe.SliceData(room))), uintptr(unsafe.Pointer(&n))))
	return int(n), o
}
