package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// An agent that stays waits for links in its person's session: a link starts a
// second one, which hands it over and ends.

// maxLink bounds a link that is handed over.
const maxLink = 4 << 10

// errResident says that an agent waits in this session already.
var errResident = errors.New("an agent is running in this session already")

// maxReport bounds what an agent may answer.
const maxReport = 64 << 10

// say says a line to the agent of this session, and returns the line that it
// answers. errNobody if none waits there.
func say(ctx context.Context, path, line string) (string, error) {
	c, err := dialSession(ctx, path)
	if err != nil {
		return "", errNobody
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience)) // a closed one fails below
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", fmt.Errorf("speak with the agent of this session: %w", err)
	}
	answer, err := bufio.NewReader(io.LimitReader(c, maxReport)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("speak with the agent of this session: %w", err)
	}
	return strings.TrimSpace(answer), nil
}

// handOver gives a link to the agent that waits. errNobody if there is none.
func handOver(ctx context.Context, path, link string) error {
	answer, err := say(ctx, path, link)
	if err == nil && answer != "ok" {
		err = errors.New("the agent of this session did not take the link")
	}
	return err
}

// occupied says whether an agent waits there: one that just ends has a socket, and
// says nothing.
func occupied(ctx context.Context, path string) bool {
	_, err := say(ctx, path, "")
	return err == nil
}

// Bounds of an agent that waits.
const (
	mostLinks = 4               // at once: one that is signed in by, and some that are told to wait
	mostTalks = 16              // with those who hand over links, or ask how the agent stands
	endTime   = 4 * time.Second // that links in hand may take when the agent is told to stop
	placeTime = 6 * time.Second // for the agent before to end
)

// session is where the agent of this session waits for links.
type session struct {
	path string
	open func(ctx context.Context, link string) // signs in by a link; more than one at a time may come
	says func() string                          // how the agent stands, for who asks; a line

	leaves func(context.Context) error // signs out of the old service

	mu     sync.Mutex
	inHand int
	ended  bool
	last   func() // is called with mu held when no link is in hand any more

	links sync.WaitGroup
}

func newSession(path string, open func(context.Context, string)) *session {
	return &session{path: path, open: open, says: func() string { return "{}\n" }, leaves: func(context.Context) error { return nil }, last: func() {}}
}

// stay takes links until ctx is done. ready is called when it does.
func (s *session) stay(ctx context.Context, ready func()) error {
	leave, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	l, err := listenSession(ctx, s.path)
	if err != nil {
		return fmt.Errorf("wait for links: %w", err)
	}
	defer func() { _ = l.Close() }()
	talks := make(chan struct{}, mostTalks)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer s.finish()
	ready()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for links: %w", err)
		}
		select {
		case talks <- struct{}{}:
			s.links.Go(func() { s.answer(ctx, c); <-talks }) // whoever is slow keeps nobody waiting
		default:
			_ = c.Close() // so many at once are none of ours
		}
	}
}

// once is stay for an agent that a link started: it ends with the last link in
// hand. Those that come meanwhile find one agent, as they do where one stays.
func (s *session) once(ctx context.Context, link string) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s.last = func() { s.ended = true; end() }
	return s.stay(ctx, func() { s.start(ctx, link) })
}

// take takes the place of this session's agent. Where one has it and answers,
// there is nothing to do; one that ends is waited for.
func (s *session) take(ctx context.Context) (leave func(), err error) {
	if err := makePlace(s.path); err != nil {
		return nil, err
	}
	for waited := time.Duration(0); ; waited += 50 * time.Millisecond {
		if occupied(ctx, s.path) {
			return nil, errResident
		}
		leave, held, err := hold(s.path + ".lock")
		if err != nil {
			return nil, fmt.Errorf("wait for links: %w", err)
		}
		if held {
			return leave, nil
		}
		if waited > placeTime {
			return nil, errResident
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// answer takes the link that somebody hands over.
func (s *session) answer(ctx context.Context, c net.Conn) {
	defer func() { _ = c.Close() }()
	switch link := receive(c); {
	case ctx.Err() != nil: // an agent that ends is not here any more
	case link == "":
		_, _ = io.WriteString(c, "\n") // somebody looks whether an agent is here
	case link == askStatus:
		_, _ = io.WriteString(c, s.says())
	case link == askSignOut:
		told := "ok"
		if s.leaves(ctx) != nil {
			told = notReached
		}
		_, _ = io.WriteString(c, told+"\n")
	case s.start(ctx, link):
		_, _ = io.WriteString(c, "ok\n")
	default:
		_, _ = io.WriteString(c, "busy\n")
	}
}

// start opens a link, unless there are too many.
func (s *session) start(ctx context.Context, link string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || ctx.Err() != nil || s.inHand == mostLinks {
		return false
	}
	s.inHand++
	s.links.Go(func() {
		s.open(ctx, link)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.inHand--; s.inHand == 0 {
			s.last()
		}
	})
	return true
}

// finish waits for the links in hand, which have been told to end.
func (s *session) finish() {
	ended := make(chan struct{})
	go func() { s.links.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(endTime):
	}
}

// receive reads the link that somebody of this person's hands over.
func receive(c net.Conn) string {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	line, err := bufio.NewReader(io.LimitReader(c, maxLink)).ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}
