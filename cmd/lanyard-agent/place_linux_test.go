package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// socketOf is where an agent with that environment waits.
func socketOf(t *testing.T, env []string) string {
	t.Helper()
	path, err := socketPath(func(name string) (value string) {
		for _, set := range env { // the last counts
			if v, ok := strings.CutPrefix(set, name+"="); ok {
				value = v
			}
		}
		return value
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSocketPath(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: each session of a person at a computer has an agent of its own", func(t *testing.T) {
		if desk.ThisSession() != "" {
			t.Skip("what runs these tests says which session this is")
		}
		at := map[string]string{}
		for _, session := range []string{"XDG_SESSION_ID=2", "XDG_SESSION_ID=c3", "DISPLAY=:1", "DISPLAY=:2", "WAYLAND_DISPLAY=wayland-0", "NOTHING="} {
			path := socketOf(t, []string{"XDG_RUNTIME_DIR=" + folder, session})
			if other := at[path]; other != "" || filepath.Dir(path) != folder {
				t.Errorf("the agents of %s and %s meet at %s", session, other, path)
			}
			at[path] = session
		}
	})
	t.Run("own rule: whatever a session is called, its socket is in the session's folder, and its path is short", func(t *testing.T) {
		for _, session := range []string{"../../etc/x", "/run/user/1000/wayland-0", strings.Repeat("a", 1000), "a\nb", "é"} {
			if name := socketName(session); strings.ContainsAny(name, "/\n") || len(name) > 64 || !strings.HasSuffix(name, ".sock") {
				t.Errorf("%q: %q", session, name)
			}
		}
	})
}

func TestOnlyLooks(t *testing.T) {
	t.Run("own rule: status and doctor leave no folder behind, and an agent that stays makes it", func(t *testing.T) {
		tmp := short(t)
		t.Setenv("TMPDIR", tmp)
		path, err := socketPath(inFolder(""))
		if err != nil {
			t.Fatal(err)
		}
		none := func(context.Context) ([]card.Seen, error) { return nil, nil }
		if err := status(t.Context(), path, none, new(bytes.Buffer), false); !errors.Is(err, errNobody) {
			t.Errorf("status() = %v", err)
		}
		e := examination{now: time.Now, getenv: inFolder(""), root: tmp, cards: none}
		e.session(t.Context())
		if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
			t.Errorf("%v is left, %v", left, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		if err := newSession(path, nil).stay(ctx, stop); err != nil {
			t.Error(err)
		}
		if err := ownPlace(filepath.Join(tmp, fmt.Sprintf("lanyard-agent-%d", os.Getuid()))); err != nil {
			t.Error(err)
		}
	})
}

func TestSlowTalkers(t *testing.T) {
	t.Run("own rule: a program that says nothing keeps no link waiting, and too many are sent away", func(t *testing.T) {
		path := filepath.Join(short(t), "agent.sock")
		ctx, stop := context.WithCancel(t.Context())
		opened, ready, ended := make(chan string, 1), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- newSession(path, func(_ context.Context, link string) { opened <- link }).stay(ctx, func() { close(ready) })
		}()
		select {
		case <-ready:
		case err := <-ended:
			t.Fatal(err)
		}
		silent := func() net.Conn {
			c, err := dialSession(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		for range mostTalks - 1 {
			silent()
		}
		began := time.Now()
		if err := handOver(t.Context(), path, "lanyard-desk:one"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second { // one by one, each would have two
			t.Errorf("the link waited %v", took)
		}
		if got := <-opened; got != "lanyard-desk:one" {
			t.Errorf("it got %q", got)
		}
		for range mostTalks {
			silent()
		}
		last := silent()
		_ = last.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := last.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("any number is listened to")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutCore(t *testing.T) {
	t.Run("own rule: no core file is written of the agent, nor of the windows that it opens, however it was started", func(t *testing.T) {
		folder := short(t)
		cmd := exec.Command(filepath.Join(programs(t), "lanyard-agent"))
		cmd.Env = []string{"PATH=/nowhere", "HOME=" + folder, "XDG_RUNTIME_DIR=" + folder}
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "ready"); {
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
		if err != nil || !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(b) {
			t.Errorf("%s, %v", b, err)
		}
	})
}
