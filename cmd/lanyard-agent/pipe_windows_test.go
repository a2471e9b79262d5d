package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func TestPipe(t *testing.T) {
	name := fmt.Sprintf(`\\.\pipe\lanyard-agent-test-%d`, os.Getpid())
	l, err := listenSession(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Run("own rule: programs of a session speak at its pipe", func(t *testing.T) {
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				c, err := dialSession(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if _, err := io.WriteString(c, "link\n"); err != nil {
					t.Error(err)
				}
				if said, err := io.ReadAll(c); err != nil || string(said) != "link\n" {
					t.Errorf("heard %q, %v", said, err)
				}
			})
		}
		for range 5 {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(c, line)
			_ = c.Close()
		}
		all.Wait()
	})
	t.Run("own rule: nobody waits at a pipe for longer than they want", func(t *testing.T) {
		one, err := dialSession(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		two, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		for _, c := range []net.Conn{one, two} {
			_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read() = %v", err)
			}
		}
	})
	t.Run("own rule: one who came and went does not keep others out", func(t *testing.T) {
		c, err := dialSession(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		go func() {
			if c, err := dialSession(context.Background(), name); err == nil {
				_, _ = io.WriteString(c, "here\n")
				_ = c.Close()
			}
		}()
		for {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			if line == "here\n" {
				break
			}
		}
	})
	t.Run("own rule: a session has one program at its pipe", func(t *testing.T) {
		if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
			t.Skip("this Wine lets several have a pipe")
		}
		if second, err := listenSession(t.Context(), name); err == nil {
			second.Close()
			t.Error("it has two")
		}
	})
	t.Run("own rule: a listener that is closed ends, and leaves its pipe to the next", func(t *testing.T) {
		ended := make(chan error, 1)
		go func() { _, err := l.Accept(); ended <- err }()
		time.Sleep(50 * time.Millisecond) // it may wait by now, or not: both are right
		_ = l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept() = %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("afterwards Accept() = %v", err)
		}
		if _, err := dialSession(t.Context(), name); err == nil {
			t.Error("somebody is there")
		}
		next, err := listenSession(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		_ = next.Close()
	})
}

func TestHoldOnWindows(t *testing.T) {
	t.Run("own rule: a session's place is one program's until it lets go", func(t *testing.T) {
		path, err := socketPath(os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		letGo, held, err := hold(path + ".test")
		if err != nil || !held {
			t.Fatalf("hold() = %v, %v", held, err)
		}
		if _, held, err := hold(path + ".test"); err != nil || held {
			t.Errorf("another hold() = %v, %v", held, err)
		}
		letGo()
		letGo, held, err = hold(path + ".test")
		if err != nil || !held {
			t.Fatalf("the next hold() = %v, %v", held, err)
		}
		letGo()
	})
}
