package main

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// inFolder is an environment that has nothing but the session's folder.
func inFolder(folder string) func(string) string {
	return func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": folder}[name] }
}

func TestResident(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := socketPath(inFolder(folder))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	began, may := make(chan string), make(chan struct{})
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- newSession(path, func(_ context.Context, link string) { began <- link; <-may }).stay(ctx, func() { close(ready) })
	}()
	<-ready
	t.Run("own rule: a link goes to the agent that waits in the session, and the next one does too", func(t *testing.T) {
		for _, link := range []string{"lanyard-desk:one", "lanyard-desk:two"} {
			if err := handOver(t.Context(), path, link); err != nil {
				t.Errorf("handOver() = %v", err)
			}
			if got := <-began; got != link {
				t.Errorf("it got %q", got)
			}
		}
	})
	t.Run("own rule: there are only so many links at once", func(t *testing.T) {
		for range mostLinks - 2 {
			if err := handOver(t.Context(), path, "lanyard-desk:more"); err != nil {
				t.Error(err)
			}
			<-began
		}
		if err := handOver(t.Context(), path, "lanyard-desk:too-many"); err == nil || errors.Is(err, errNobody) {
			t.Errorf("handOver() = %v", err)
		}
	})
	t.Run("own rule: there is one agent in a session", func(t *testing.T) {
		if err := newSession(path, nil).stay(t.Context(), nil); err != errResident { //nolint:errorlint // the very same
			t.Errorf("stay() = %v", err)
		}
	})
	t.Run("own rule: an agent that was told to stop ends what is in hand first, and leaves the place to the next", func(t *testing.T) {
		stop()
		next, stopNext := context.WithCancel(t.Context())
		there, nextEnded := make(chan struct{}), make(chan error, 1)
		go func() { nextEnded <- newSession(path, nil).stay(next, func() { close(there) }) }()
		select {
		case <-there:
			t.Error("two agents were there at once")
		case err := <-ended:
			t.Errorf("it did not wait for the links in hand: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		close(may)
		if err := <-ended; err != nil {
			t.Errorf("stay() = %v", err)
		}
		<-there
		if !occupied(t.Context(), path) {
			t.Error("nobody is there")
		}
		stopNext()
		if err := <-nextEnded; err != nil {
			t.Errorf("the next: %v", err)
		}
	})
	t.Run("own rule: of agents that are started at once one waits", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		results := make(chan error, 10)
		var ready atomic.Int32
		for range cap(results) {
			go func() { results <- newSession(path, nil).stay(ctx, func() { ready.Add(1) }) }()
		}
		for range cap(results) - 1 {
			if err := <-results; !errors.Is(err, errResident) {
				t.Errorf("stay() = %v", err)
			}
		}
		if n := ready.Load(); n != 1 {
			t.Errorf("%d agents wait", n)
		}
		stop()
		if err := <-results; err != nil {
			t.Error(err)
		}
	})
	t.Run("own rule: an agent that a link started ends with the last link, and is the only one meanwhile", func(t *testing.T) {
		began, may := make(chan string), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- newSession(path, func(_ context.Context, link string) { began <- link; <-may }).once(t.Context(), "first")
		}()
		if got := <-began; got != "first" {
			t.Errorf("it began with %q", got)
		}
		if err := handOver(t.Context(), path, "second"); err != nil {
			t.Errorf("handOver() = %v", err)
		}
		<-began
		may <- struct{}{}
		select {
		case err := <-ended:
			t.Errorf("it ended with a link in hand: %v", err)
		case may <- struct{}{}:
		}
		if err := <-ended; err != nil {
			t.Errorf("once() = %v", err)
		}
		if occupied(t.Context(), path) {
			t.Error("it is there still")
		}
	})
	t.Run("own rule: nobody waits where others could", func(t *testing.T) {
		open := t.TempDir()
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := socketPath(inFolder(open)); err == nil {
			t.Error("the folder is open to others")
		}
	})
}
