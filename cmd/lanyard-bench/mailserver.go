package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/lanyard-id/lanyard/idp/post/mailbox"
)

// asBench is in the environment of a process of a test that is to be this
// program.
const asBench = "RUN_AS_LANYARD_BENCH"

// runMail is a mail server of its own process, so that it can be killed. It
// writes down what it takes, and waits before and after, so that a death finds
// it at each step.
func runMail(ctx context.Context, args []string, errs io.Writer) error {
	flags := flag.NewFlagSet("mail", flag.ContinueOnError)
	flags.SetOutput(errs)
	at := flags.String("listen", "127.0.0.1:0", "the `address` at which it listens")
	book := flags.String("book", "", "the `file` in which it writes down what it took")
	slow := flags.Duration("slow", 0, "how long it waits before it writes a letter down, and again before it says so")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	took, err := os.OpenFile(*book, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = took.Close() }()
	s, err := mailbox.StartAt(ctx, *at, false)
	if err != nil {
		return err
	}
	defer s.Close()
	s.Fault = func(to, id string) mailbox.Fault {
		time.Sleep(*slow)
		if _, err := fmt.Fprintf(took, "%s %s\n", to, id); err != nil { // one write: whole, or not at all
			return "451 the book is full"
		}
		time.Sleep(*slow)
		return mailbox.None
	}
	<-ctx.Done()
	return nil
}

// mailServer is such a process, which comes back where it was.
type mailServer struct {
	address, book string
	slow          time.Duration
	cmd           *exec.Cmd
}

// start runs it, and waits until it listens.
func (m *mailServer) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.cmd = exec.CommandContext(context.Background(), self, "mail", "--listen", m.address, "--book", m.book, "--slow", m.slow.String())
	m.cmd.Env = append(os.Environ(), asBench+"=1")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("start the mail server: %w", err)
	}
	return until(ctx, func() error {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", m.address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// kill ends it without a word.
func (m *mailServer) kill() error {
	err := m.cmd.Process.Kill()
	_ = m.cmd.Wait() // killed, which is an error
	return err
}

// letters are those that it took in all its lives: how often each, by address
// and name.
func (m *mailServer) letters() (map[string]int, error) {
	b, err := os.ReadFile(m.book)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		all[strings.TrimSpace(lines.Text())]++
	}
	return all, nil
}
