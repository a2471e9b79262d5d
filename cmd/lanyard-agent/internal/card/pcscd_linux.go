package card

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// system is pcscd, which has the card readers on Linux. Its socket is where its
// other clients look for it.
func system() (service, error) {
	path := "/run/pcscd/pcscd.comm"
	if named := os.Getenv("PCSCLITE_CSOCK_NAME"); named != "" {
		path = named
	}
	return spoken{pcscd(path), pcsclite}, nil
}

// spoken is pcscd, and its library for a pcscd whose version is not spoken here.
type spoken struct {
	pcscd
	library func() (service, error)
}

// Readers implements service.
func (s spoken) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	now, err := s.pcscd.Readers(ctx, seen)
	if l := s.instead(err); l != nil {
		return l.Readers(ctx, seen)
	}
	return now, err
}

// Connect implements service.
func (s spoken) Connect(ctx context.Context, name string) (connection, error) {
	c, err := s.pcscd.Connect(ctx, name)
	if l := s.instead(err); l != nil {
		return l.Connect(ctx, name)
	}
	return c, err
}

// instead is the library, where it is needed and is there.
func (s spoken) instead(err error) service {
	if !errors.Is(err, ErrNoReaders) {
		return nil
	}
	if l, err := s.library(); err == nil {
		return l
	}
	return nil
}

// pcscd is the path of pcscd's socket. What is said there is pcscd's own: a head
// with length and command, then a structure in the machine's order of bytes,
// which comes back with an outcome in it. pcscd says which version it speaks.
type pcscd string

// Commands of pcscd.
const (
	cmdEstablish  = 0x01
	cmdConnect    = 0x04
	cmdReconnect  = 0x05
	cmdDisconnect = 0x06
	cmdBegin      = 0x07
	cmdEnd        = 0x08
	cmdTransmit   = 0x09
	cmdVersion    = 0x11
	cmdReaders    = 0x12
	cmdWait       = 0x13
)

// Versions of what is said: the one that is asked for first, and the one since
// which pcscd tells of changes in the way that is known here.
const (
	major      = 4
	minor      = 4
	minorWaits = 4
)

// session is one connection to pcscd.
type session struct {
	conn  net.Conn
	minor int32
}

type version struct {
	Major, Minor int32
	Outcome      outcome
}

// dial connects to pcscd and agrees on a version: on another one that pcscd
// offers, if it does not know ours. It may hang up on who does not speak its own.
func (p pcscd) dial(ctx context.Context) (*session, error) {
	v := version{Major: major, Minor: minor}
	for try := range 2 {
		conn, err := p.connect(ctx)
		if err != nil {
			return nil, err
		}
		s := &session{conn: conn}
		v.Outcome = 0
		err = s.call(cmdVersion, &v, answerTime)
		if err == nil && v.Outcome == 0 && v.Major == major {
			s.minor = v.Minor
			return s, nil
		}
		_ = conn.Close() // it was of no use
		if err != nil && try == 0 {
			return nil, err
		}
		if err != nil || v.Major != major {
			break
		}
	}
	return nil, fmt.Errorf("the service for card readers speaks version %d.%d: %w", v.Major, v.Minor, ErrNoReaders)
}

// fullTime is how long it is waited where too many wait for pcscd already: its
// socket has room for one or two, and whoever comes then is turned away.
const fullTime = 20 * time.Millisecond

func (p pcscd) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", string(p))
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, fmt.Errorf("%w: %w", errService, err)
		}
		select {
		case <-time.After(fullTime):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errService, err)
		}
	}
}

// call sends a command with its structure, and reads the structure anew.
func (s *session) call(command uint32, body any, limit time.Duration) error {
	if err := s.send(command, body, limit); err != nil {
		return err
	}
	return s.receive(body)
}

func (s *session) send(command uint32, body any, limit time.Duration, more ...byte) error {
	_ = s.conn.SetDeadline(time.Now().Add(limit)) // fails on a closed one, which is told below
	var message bytes.Buffer
	size := 0
	if body != nil {
		size = binary.Size(body)
	}
	err := binary.Write(&message, binary.NativeEndian, [2]uint32{uint32(size), command})
	if body != nil {
		err = errors.Join(err, binary.Write(&message, binary.NativeEndian, body))
	}
	message.Write(more)
	if err == nil {
		_, err = s.conn.Write(message.Bytes())
	}
	clear(message.Bytes()) // there may be a passcode in it
	if err != nil {
		return fmt.Errorf("%w: %w", errService, err)
	}
	return nil
}

func (s *session) receive(body any) error {
	if err := binary.Read(s.conn, binary.NativeEndian, body); err != nil {
		return fmt.Errorf("%w: %w", errService, err)
	}
	return nil
}

// maxReaders is how many readers pcscd tells of, in as many places.
const maxReaders = 16

type readerState struct {
	Name      [128]byte
	Events    uint32
	State     uint32
	_         int32 // who shares it
	ATR       [33]byte
	_         [3]byte
	ATRLength uint32
	_         uint32 // the protocol
}

const statePresent = 0x04

// Readers implements service. Where pcscd does not tell of changes it is asked
// again and again.
func (p pcscd) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.conn.Close() }() // pcscd forgets what it was asked
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	waits := seen != nil && s.minor >= minorWaits
	for {
		command := uint32(cmdReaders)
		if waits {
			command = cmdWait
		}
		if err := s.send(command, nil, answerTime); err != nil {
			return nil, err
		}
		var states [maxReaders]readerState
		if err := s.receive(&states); err != nil {
			return nil, err
		}
		if now := readersIn(states[:]); seen == nil || !slices.Equal(now, seen) {
			return now, nil
		}
		if err := s.change(ctx, waits); err != nil {
			return nil, err
		}
	}
}

// change waits until it is worth to look again. pcscd wakes its clients for
// more than they want to know.
func (s *session) change(ctx context.Context, waits bool) error {
	if waits {
		_ = s.conn.SetDeadline(time.Time{}) // fails on a closed one, which is told below
		var woken struct{ Limit, Outcome uint32 }
		return s.receive(&woken)
	}
	select {
	case <-time.After(pollTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readersIn reads pcscd's places, of which some are empty.
func readersIn(states []readerState) []reader {
	all := []reader{}
	for _, s := range states {
		name, _, _ := bytes.Cut(s.Name[:], []byte{0})
		if len(name) == 0 {
			continue
		}
		r := reader{name: string(name), present: s.State&statePresent != 0, events: s.Events}
		if n := int(s.ATRLength); r.present && n <= len(s.ATR) {
			r.atr = atrText(s.ATR[:n])
		}
		all = append(all, r)
	}
	return ordered(all)
}
