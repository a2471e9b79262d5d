package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// Programs of a session meet at a named pipe. Its name holds the session's
// number, for all sessions of a computer see the same names; it is this person's
// alone, and who is at the other end is asked of Windows. Turned down: a socket
// with a path, which Windows Server 2016 does not have, and which says nothing
// of the other end.

// pipe is one end of a named pipe.
type pipe struct{ *os.File }

// LocalAddr implements net.Conn.
func (p pipe) LocalAddr() net.Addr { return pipeName(p.Name()) }

// RemoteAddr implements net.Conn.
func (p pipe) RemoteAddr() net.Addr { return pipeName(p.Name()) }

// pipeName is the address of both ends.
type pipeName string

// Network implements net.Addr.
func (pipeName) Network() string { return "pipe" }

// String implements net.Addr.
func (n pipeName) String() string { return string(n) }

// dialTime is how long a pipe may have no end free.
const dialTime = 2 * time.Second

// dialSession connects to the program that listens at a pipe, if it is one of
// this person and session.
func dialSession(ctx context.Context, name string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	for {
		// Anonymous: whoever listens cannot act as the person.
		h, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
		if err == nil {
			var pid uint32
			c, err := trusted(h, name, windows.GetNamedPipeServerProcessId(h, &pid), &pid)
			if err == nil {
				letForward(pid)
			}
			return c, err
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, err
		}
		select {
		case <-time.After(dialTime / 100):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// letForward lets another program put its windows before those of others, as
// Windows lets us: the person has just opened a link.
func letForward(pid uint32) {
	allow := windows.NewLazySystemDLL("user32.dll").NewProc("AllowSetForegroundWindow")
	if allow.Find() == nil {
		_, _, _ = allow.Call(uintptr(pid))
	}
}

// trusted is an end of a pipe whose other end is a program of this person and
// session.
func trusted(h windows.Handle, name string, err error, pid *uint32) (net.Conn, error) {
	if err == nil {
		err = desk.SameProgram(*pid)
	}
	if err != nil {
		_ = windows.CloseHandle(h) // nothing was said
		return nil, err
	}
	return pipe{os.NewFile(uintptr(h), name)}, nil
}

// pipes listens at a pipe.
type pipes struct {
	name     string
	security *windows.SecurityAttributes
	closed   windows.Handle // an event
	once     sync.Once

	mu   sync.Mutex
	next windows.Handle // the end for who comes next
}

// listenSession listens at a pipe. Nobody else may have it already.
func listenSession(_ context.Context, name string) (net.Listener, error) {
	mine, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	rules, err := windows.SecurityDescriptorFromString("D:P(A;;GA;;;" + mine.User.Sid.String() + ")")
	if err != nil {
		return nil, err
	}
	p := &pipes{name: name, security: &windows.SecurityAttributes{SecurityDescriptor: rules}}
	p.security.Length = uint32(unsafe.Sizeof(*p.security))
	if p.closed, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, err
	}
	if p.next, err = p.make(windows.FILE_FLAG_FIRST_PIPE_INSTANCE); err != nil {
		_ = windows.CloseHandle(p.closed)
		return nil, err
	}
	return p, nil
}

// pipeRoom is the size of what a pipe holds.
const pipeRoom = 4 << 10

// make makes one more end of the pipe.
func (p *pipes) make(first uint32) (windows.Handle, error) {
	path, err := windows.UTF16PtrFromString(p.name)
	if err != nil {
		return windows.InvalidHandle, err
	}
	return windows.CreateNamedPipe(path, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|first,
		windows.PIPE_TYPE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, windows.PIPE_UNLIMITED_INSTANCES, pipeRoom, pipeRoom, 0, p.security)
}

// Accept implements net.Listener. Strangers are not heard.
func (p *pipes) Accept() (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := p.wait(); err != nil {
			return nil, err
		}
		h := p.next
		next, err := p.make(0)
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w", p.name, err)
		}
		p.next = next // there always is one, so that the name is ours
		var pid uint32
		if c, err := trusted(h, p.name, windows.GetNamedPipeClientProcessId(h, &pid), &pid); err == nil {
			return c, nil
		}
	}
}

// wait waits until somebody is at the other end, or the listener is closed.
func (p *pipes) wait() error {
	if p.next == windows.InvalidHandle {
		return net.ErrClosed
	}
	came, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(came) }()
	for {
		asked := &windows.Overlapped{HEvent: came}
		err := windows.ConnectNamedPipe(p.next, asked)
		if errors.Is(err, windows.ERROR_IO_PENDING) {
			var what uint32
			if what, err = windows.WaitForMultipleObjects([]windows.Handle{p.closed, came}, false, windows.INFINITE); what == windows.WAIT_OBJECT_0 {
				err = net.ErrClosed
			}
			if err != nil {
				_ = windows.CancelIoEx(p.next, asked) // it may have ended
			}
			var n uint32
			if ended := windows.GetOverlappedResult(p.next, asked, &n, true); err == nil {
				err = ended
			}
		}
		switch {
		case err == nil, errors.Is(err, windows.ERROR_PIPE_CONNECTED):
			return nil
		case errors.Is(err, windows.ERROR_NO_DATA), errors.Is(err, windows.ERROR_BROKEN_PIPE): // who came has gone
			_ = windows.DisconnectNamedPipe(p.next)
		default:
			return err
		}
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() {
		_ = windows.SetEvent(p.closed) // ends Accept
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = windows.CloseHandle(p.next)
		_ = windows.CloseHandle(p.closed)
		p.next = windows.InvalidHandle
	})
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return pipeName(p.name) }
