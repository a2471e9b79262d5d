package desk

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func TestSamePersonOnWindows(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	caller, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: a program of this person in this session is known for one", func(t *testing.T) {
		if err := SamePerson(caller.LocalAddr(), l.Addr()); err != nil {
			t.Errorf("SamePerson() = %v", err)
		}
		if err := SameProgram(windows.GetCurrentProcessId()); err != nil {
			t.Errorf("SameProgram() = %v", err)
		}
	})
	t.Run("own rule: an address that nobody of this computer has is a stranger's", func(t *testing.T) {
		for _, a := range []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, &net.TCPAddr{IP: net.IPv6loopback, Port: 1}, &net.UnixAddr{Name: "x"}, nil} {
			if SamePerson(a, l.Addr()) == nil {
				t.Errorf("%v is not", a)
			}
		}
	})
	t.Run("own rule: a process that began after the connection was looked at is another", func(t *testing.T) {
		if err := ours(windows.GetCurrentProcessId(), now()-int64(time.Hour)); !errors.Is(err, errStranger) {
			t.Errorf("ours() = %v", err)
		}
	})
	t.Run("own rule: who is not there any more is a stranger", func(t *testing.T) {
		_ = caller.Close()
		if SamePerson(caller.LocalAddr(), l.Addr()) == nil || SameProgram(0) == nil || SameProgram(0xFFFFFFF0) == nil {
			t.Error("they are not")
		}
	})
}
