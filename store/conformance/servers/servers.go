// Package servers starts real PostgreSQL and Redis for tests and for the fault
// rig: each in a folder of its own, on this computer alone, gone when stopped.
//
// They can be killed, frozen and started again, because what holds then is
// what the tests ask. Nothing here is part of the service.
package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// patience bounds every wait for a server to answer.
const patience = 30 * time.Second

// process is a server's program, in a process group of its own so that its
// children can be reached too.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program as another user when we are root: PostgreSQL refuses
// root.
func start(ctx context.Context, program string, args []string, log string, as *syscall.Credential) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()                                       // the program has its own handle
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...) // it outlives the call
	cmd.Stdout, cmd.Stderr = out, out
	// Should we die without stopping it, it dies with us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	return p, nil
}

// signal sends s to the program and its children.
func (p *process) signal(s syscall.Signal) error {
	err := syscall.Kill(-p.cmd.Process.Pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// end asks the program to stop, and kills what has not after patience.
func (p *process) end(s syscall.Signal) error {
	if p == nil {
		return nil
	}
	err := errors.Join(p.signal(syscall.SIGCONT), syscall.Kill(p.cmd.Process.Pid, s))
	select {
	case <-p.done:
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		return err
	case <-time.After(patience):
		return errors.Join(err, p.signal(syscall.SIGKILL), errors.New("it did not stop by itself"))
	}
}

// kill ends the program and its children without a word, and waits until they
// are gone.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return err
}

// until asks again and again, up to patience, whether the server answers.
func until(ctx context.Context, p *process, answers func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended instead of answering: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("it did not answer: %w", err)
		case <-pause.C:
		}
	}
}

// unprivileged returns the user that PostgreSQL runs as when we are root, and
// nil when we are not.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nil is "as we are"
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no other user: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// program finds a program of PostgreSQL, which Debian keeps off the path.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s is not installed: `make test` installs it", name)
	}
	return found[len(found)-1], nil
}

// freePort returns a port of this computer that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has no other
	return port, l.Close()
}
