package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// server is one `lanyard serve` of ours, with its own configuration and log.
type server struct {
	name    string
	program string // the binary
	config  string // its configuration file
	log     string // everything it ever wrote, over all its lives
	address string // where people reach it
	ops     string // where operators do
	env     []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of its last life, once done is closed
}

// patience bounds every wait for a server.
const patience = 30 * time.Second

// start runs the server without waiting for it.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	cmd := exec.CommandContext(context.Background(), s.program, "serve", "--config", s.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), s.env...)
	// Should we die without stopping it, it dies with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(done)
	}()
	return nil
}

// run starts the server and waits until it is ready, and says how long that
// took.
func (s *server) run(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := s.start(); err != nil {
		return 0, err
	}
	err := s.ready(ctx)
	return time.Since(began), err
}

// ready waits until the server takes people.
func (s *server) ready(ctx context.Context) error {
	trip := &http.Transport{DisableKeepAlives: true}
	return until(ctx, func() error {
		select {
		case <-s.gone():
			return permanent{fmt.Errorf("%s ended instead of getting ready: %w\n%s", s.name, s.ended(), s.lastWords())}
		default:
		}
		if isReady(ctx, trip, s.ops) {
			return nil
		}
		return fmt.Errorf("%s is not ready", s.name)
	})
}

func (s *server) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

func (s *server) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// signal sends what the system sends.
func (s *server) signal(sig syscall.Signal) error {
	err := syscall.Kill(s.pid(), sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// kill ends the server without a word.
func (s *server) kill() error {
	err := s.signal(syscall.SIGKILL)
	<-s.gone()
	return err
}

// stop asks the server to end, and waits until it has.
func (s *server) stop() error {
	if s.gone() == nil {
		return nil
	}
	select {
	case <-s.gone():
		return nil // it ended before, which was noticed then
	default:
	}
	if err := errors.Join(s.signal(syscall.SIGCONT), s.signal(syscall.SIGTERM)); err != nil {
		return err
	}
	select {
	case <-s.gone():
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s did not stop by itself in %s", s.name, patience), s.kill())
	}
	if err := s.ended(); err != nil {
		return fmt.Errorf("%s was asked to stop: %w\n%s", s.name, err, s.lastWords())
	}
	return nil
}

// dump makes the server end with the state of all its goroutines in its log.
func (s *server) dump() error {
	err := s.signal(syscall.SIGQUIT)
	select {
	case <-s.gone():
		return err
	case <-time.After(patience):
		return errors.Join(err, s.kill(), fmt.Errorf("%s did not end by SIGQUIT", s.name))
	}
}

// lastWords is the end of the log.
func (s *server) lastWords() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// command runs another command of the server's program with the server's
// configuration.
func (s *server) command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args = append(args, "--config", s.config)
	cmd := exec.CommandContext(ctx, s.program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), s.env...)
	err := cmd.Run()
	if log, openErr := os.OpenFile(filepath.Join(filepath.Dir(s.log), "commands.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); openErr == nil {
		_, _ = log.Write(append(out.Bytes(), errs.Bytes()...))
		_ = log.Close()
	}
	if err != nil {
		return out.String(), fmt.Errorf("lanyard %v: %w: %s", args, err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.String(), nil
}

// permanent is an error that waiting does not mend.
type permanent struct{ error }

// until asks again and again, up to patience, until ask returns nil.
func until(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if p, ok := errors.AsType[permanent](err); ok {
			return p.error
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %w", err)
		case <-tick.C:
		}
	}
}
