package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResident(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := socketPath(func(string) string { return folder })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, said := io.Pipe()
	began, may := make(chan string), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- wait(ctx, path, func(_ context.Context, link string) { began <- link; <-may }, said)
	}()
	if line := make([]byte, 5); func() error { _, err := io.ReadFull(out, line); return err }() != nil || string(line) != "ready" {
		t.Fatalf("it said %q", line)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	t.Run("own rule: a link goes to the agent that waits in the session", func(t *testing.T) {
		if there, err := handOver(t.Context(), path, "lanyard-desk:one"); !there || err != nil {
			t.Errorf("handOver() = %v, %v", there, err)
		}
		if got := <-began; got != "lanyard-desk:one" {
			t.Errorf("it got %q", got)
		}
	})
	t.Run("own rule: a desk signs in one person at a time", func(t *testing.T) {
		if there, err := handOver(t.Context(), path, "lanyard-desk:two"); !there || err == nil {
			t.Errorf("handOver() = %v, %v", there, err)
		}
	})
	t.Run("own rule: there is one agent in a session", func(t *testing.T) {
		if err := wait(t.Context(), path, nil, io.Discard); err != errResident { //nolint:errorlint // the very same
			t.Errorf("wait() = %v", err)
		}
	})
	close(may)
	stop()
	t.Run("own rule: an agent that was told to stop ends, and leaves the place to the next", func(t *testing.T) {
		if err := <-ended; err != nil {
			t.Errorf("wait() = %v", err)
		}
		if there, _ := handOver(t.Context(), path, "lanyard-desk:three"); there {
			t.Error("somebody took a link")
		}
	})
	t.Run("own rule: nobody waits where others could", func(t *testing.T) {
		open := t.TempDir()
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := socketPath(func(string) string { return open }); err == nil {
			t.Error("the folder is open to others")
		}
	})
}

func TestRegister(t *testing.T) {
	t.Run("own rule: links are opened by this program, whatever its path is called", func(t *testing.T) {
		home, bin := t.TempDir(), t.TempDir()
		xdg := filepath.Join(bin, "xdg-mime")
		if err := os.WriteFile(xdg, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		undo, err := register(t.Context(), func(name string) string { return map[string]string{"HOME": home}[name] }, `/opt/a "b"/lanyard-agent`)
		if err != nil {
			t.Fatal(err)
		}
		entry := filepath.Join(home, ".local/share/applications/lanyard-agent-session.desktop")
		b, err := os.ReadFile(entry)
		if err != nil || !strings.Contains(string(b), `Exec="/opt/a \\"b\\"/lanyard-agent" open %u`) {
			t.Errorf("%s, %v", b, err)
		}
		undo()
		if _, err := os.Stat(entry); !os.IsNotExist(err) {
			t.Error("it was left there")
		}
	})
}
