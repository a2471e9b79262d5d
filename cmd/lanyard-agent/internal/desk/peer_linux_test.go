package desk

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain runs the tests, or only connects and waits, for a test that wants
// somebody else to.
func TestMain(m *testing.M) {
	at := os.Getenv("LANYARD_TEST_CONNECT")
	if at == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("LANYARD_TEST_SESSION") != "" && os.WriteFile("/proc/self/loginuid", []byte("0"), 0) != nil { // as a login does
		os.Exit(1)
	}
	if _, err := net.Dial("tcp4", at); err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// copied returns this program where everybody can start it.
func copied(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "everybody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	to := filepath.Join(folder, "program")
	if err := errors.Join(os.Chmod(folder, 0o755), os.WriteFile(to, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestSamePerson(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// comes is a connection of somebody to l.
	comes := func(t *testing.T, dial func()) net.Conn {
		t.Helper()
		dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	// other starts this program to connect, as somebody.
	other := func(t *testing.T, as *syscall.Credential, env ...string) {
		t.Helper()
		cmd := exec.Command(copied(t))
		cmd.Env = append(env, "LANYARD_TEST_CONNECT="+l.Addr().String())
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	}
	dialled := func() {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Run("D3: a program of this person and session is let in", func(t *testing.T) {
		for name, dial := range map[string]func(){"this one": dialled, "another": func() { other(t, nil) }} {
			c := comes(t, dial)
			if err := SamePerson(c.RemoteAddr(), c.LocalAddr()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("D3: a program of another person at this computer is not", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root can be somebody else")
		}
		c := comes(t, func() { other(t, &syscall.Credential{Uid: 65534, Gid: 65534}) })
		if SamePerson(c.RemoteAddr(), c.LocalAddr()) == nil {
			t.Error("it was let in")
		}
	})
	t.Run("D3: nor is a program of this person in a session at another desk", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root can log in")
		}
		if _, err := os.Stat("/proc/self/sessionid"); err != nil {
			t.Skip("this kernel counts no sessions")
		}
		c := comes(t, func() { other(t, nil, "LANYARD_TEST_SESSION=1") })
		if SamePerson(c.RemoteAddr(), c.LocalAddr()) == nil {
			t.Error("it was let in")
		}
	})
	t.Run("D3: who begins at the same port as this person, and goes elsewhere, is told apart", func(t *testing.T) {
		elsewhere, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer elsewhere.Close()
		c := comes(t, dialled)
		if SamePerson(c.RemoteAddr(), elsewhere.Addr()) == nil {
			t.Error("a connection to another place counts")
		}
	})
	t.Run("D3: nobody, and what is no address of this computer, is not let in", func(t *testing.T) {
		free, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		gone := free.Addr()
		_ = free.Close()
		for _, a := range []net.Addr{nil, gone, &net.UnixAddr{Name: "x"}, &net.TCPAddr{IP: net.IPv6loopback, Port: 1}} {
			if SamePerson(a, l.Addr()) == nil || SamePerson(l.Addr(), a) == nil {
				t.Errorf("%v was let in", a)
			}
		}
	})
	t.Run("own rule: who shares a connection for a moment with a program that it starts is let in", func(t *testing.T) {
		c := comes(t, dialled)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		}()
		for range 20 {
			if err := SamePerson(c.RemoteAddr(), c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		<-done
	})
}
