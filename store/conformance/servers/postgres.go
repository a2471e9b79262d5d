package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL of our own.
type Postgres struct {
	dir  string
	port int
	safe bool
	as   *syscall.Credential
	proc *process
}

// StartPostgres makes a cluster in a new folder and starts it on a free port of
// 127.0.0.1. Only with safe does it wait for the disk: what is acknowledged
// then outlives the machine, and otherwise only the process.
func StartPostgres(ctx context.Context, safe bool) (*Postgres, error) {
	return StartPostgresIn(ctx, "", safe)
}

// StartPostgresIn is StartPostgres with the new folder inside another, such as
// a disk that will be full.
func StartPostgresIn(ctx context.Context, folder string, safe bool) (*Postgres, error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(folder, "lanyard-postgres-")
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir, safe: safe, as: as}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	if p.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, initdb, "--pgdata", filepath.Join(dir, "data"), "--username", "lanyard",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return p, p.Start(ctx)
}

// Start starts it again where it was, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	postgres, err := program("postgres")
	if err != nil {
		return err
	}
	args := []string{"-D", filepath.Join(p.dir, "data"), "-p", fmt.Sprint(p.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=64MB"}
	if !p.safe {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	if p.proc, err = start(ctx, postgres, args, filepath.Join(p.dir, "log"), p.as); err != nil {
		return err
	}
	return until(ctx, p.proc, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// URL leads to a database of it.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://lanyard@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// Create makes a database, as a copy of template if that is not empty, and
// returns the URL that leads to it.
func (p *Postgres) Create(ctx context.Context, name, template string) (string, error) {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	if template == "" {
		template = "template1"
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE "+pgx.Identifier{template}.Sanitize())
	return p.URL(name), err
}

// Dir is the folder that holds its data and its log.
func (p *Postgres) Dir() string { return p.dir }

// Running says whether it has not ended by itself.
func (p *Postgres) Running() bool {
	select {
	case <-p.proc.done:
		return false
	default:
		return true
	}
}

// PID is the server's process, whose children are its connections.
func (p *Postgres) PID() int { return p.proc.cmd.Process.Pid }

// Kill ends it and all its children without a word.
func (p *Postgres) Kill() error {
	pids, err := Tree(p.PID())
	err = errors.Join(err, everyChild(p.PID(), syscall.SIGKILL))
	<-p.proc.done
	return errors.Join(err, gone(pids)) // it does not start while a child holds its memory
}

// Freeze stops it in mid-air until Thaw.
func (p *Postgres) Freeze() error { return everyChild(p.PID(), syscall.SIGSTOP) }

// Thaw lets it go on.
func (p *Postgres) Thaw() error { return everyChild(p.PID(), syscall.SIGCONT) }

// Stop ends it and removes its folder.
func (p *Postgres) Stop() error {
	err := p.Thaw()
	if endErr := p.proc.end(syscall.SIGINT); err == nil {
		err = endErr
	}
	if rmErr := os.RemoveAll(p.dir); err == nil {
		err = rmErr
	}
	return err
}
