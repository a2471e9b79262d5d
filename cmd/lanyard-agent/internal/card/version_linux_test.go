package card

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// fakePCSCD speaks one version, and has one reader whose card comes with the
// second look. It may hang up on who speaks another. It returns the commands
// that it was sent.
func fakePCSCD(t *testing.T, speaks version, hangsUp bool) (p pcscd, sent chan uint32) {
	t.Helper()
	// The folder's name is short, for a socket's path has some hundred bytes.
	folder, err := os.MkdirTemp("/tmp", "pcscd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	sent = make(chan uint32, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var head struct{ Size, Command uint32 }
			for looks := 0; binary.Read(conn, binary.NativeEndian, &head) == nil; {
				sent <- head.Command
				switch head.Command {
				case cmdVersion:
					var v version
					_ = binary.Read(conn, binary.NativeEndian, &v)
					answer := speaks
					if v.Major != speaks.Major || v.Minor != speaks.Minor {
						answer.Outcome = 0x8010001E
					}
					_ = binary.Write(conn, binary.NativeEndian, answer)
					if answer.Outcome != 0 && hangsUp {
						_ = conn.Close()
					}
				case cmdReaders, cmdWait:
					var states [maxReaders]readerState
					copy(states[3].Name[:], "Reader")
					if looks++; looks > 1 {
						states[3].State, states[3].ATRLength = statePresent, 2
						states[3].ATR[0] = 0x3B
					}
					_ = binary.Write(conn, binary.NativeEndian, states)
					if head.Command == cmdWait && looks == 1 {
						_ = binary.Write(conn, binary.NativeEndian, [2]uint32{})
					}
				}
			}
			_ = conn.Close()
		}
	}()
	return pcscd(path), sent
}

func TestVersion(t *testing.T) {
	seen := []reader{{name: "Reader"}}
	for name, tt := range map[string]struct {
		speaks  version
		hangsUp bool
		looks   uint32 // by which command
	}{
		"the one that is asked for": {version{Major: 4, Minor: 4}, false, cmdWait},
		"a later one":               {version{Major: 4, Minor: 5}, false, cmdWait},
		"one that tells nothing":    {version{Major: 4, Minor: 2}, false, cmdReaders},
		"one that hangs up":         {version{Major: 4, Minor: 3}, true, cmdReaders},
	} {
		t.Run("own rule: pcscd is spoken to in its version: "+name, func(t *testing.T) {
			p, sent := fakePCSCD(t, tt.speaks, tt.hangsUp)
			now, err := p.Readers(t.Context(), seen)
			if err != nil || len(now) != 1 || !now[0].present || now[0].atr != "3B00" {
				t.Errorf("Readers() = %v, %v", now, err)
			}
			last := uint32(0)
			for len(sent) > 0 {
				last = <-sent
			}
			if last != tt.looks {
				t.Errorf("looked by command %d", last)
			}
		})
	}
	t.Run("own rule: with a pcscd that is not of its kind the agent does not speak", func(t *testing.T) {
		p, _ := fakePCSCD(t, version{Major: 5}, false)
		if _, err := p.Readers(t.Context(), nil); !errors.Is(err, ErrNoReaders) {
			t.Errorf("Readers() = %v", err)
		}
	})
	t.Run("own rule: with a pcscd that is not of its kind, and no library of its own, the agent does not speak", func(t *testing.T) {
		p, _ := fakePCSCD(t, version{Major: 5}, true)
		s := spoken{p, func() (service, error) { return nil, errors.New("no library") }}
		if _, err := s.Readers(t.Context(), nil); !errors.Is(err, ErrNoReaders) {
			t.Errorf("Readers() = %v", err)
		}
		if _, err := s.Connect(t.Context(), "Reader"); !errors.Is(err, ErrNoReaders) {
			t.Errorf("Connect() = %v", err)
		}
	})
	t.Run("own rule: no pcscd is no reader yet", func(t *testing.T) {
		if _, err := pcscd("/nowhere").Readers(t.Context(), nil); !errors.Is(err, errService) {
			t.Errorf("Readers() = %v", err)
		}
	})
}

func TestPCSCDFull(t *testing.T) {
	t.Run("own rule: where too many wait for pcscd already its turn is waited for, and no card is taken for gone", func(t *testing.T) {
		folder, err := os.MkdirTemp("/tmp", "pcscd")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(folder) })
		path := filepath.Join(folder, "s")
		full, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(full) })
		if err := errors.Join(syscall.Bind(full, &syscall.SockaddrUnix{Name: path}), syscall.Listen(full, 0)); err != nil {
			t.Fatal(err)
		}
		for {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
			if errors.Is(err, syscall.EAGAIN) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		came := make(chan error, 1)
		go func() {
			c, err := pcscd(path).connect(t.Context())
			if err == nil {
				err = c.Close()
			}
			came <- err
		}()
		select {
		case err := <-came:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(3 * fullTime):
		}
		one, _, err := syscall.Accept(full)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(one) }()
		if err := <-came; err != nil {
			t.Errorf("connect() = %v", err)
		}
		other, stop := context.WithCancel(t.Context())
		stop()
		if _, err := pcscd(path).connect(other); err == nil {
			t.Error("who does not wait any more is let in")
		}
	})
}
