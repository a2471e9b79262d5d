package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	goredis "github.com/redis/go-redis/v9"
)

// Redis is a Redis of our own.
type Redis struct {
	dir  string
	port int
	args []string
	proc *process
}

// StartRedis starts a Redis on a free port of 127.0.0.1, in a new folder. args
// are settings of redis-server; without any it keeps nothing on disk.
func StartRedis(ctx context.Context, args ...string) (*Redis, error) {
	if len(args) == 0 {
		args = []string{"--save", "", "--appendonly", "no"}
	}
	dir, err := os.MkdirTemp("", "lanyard-redis-")
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redis{dir: dir, port: port, args: args}
	return r, r.Start(ctx)
}

// Start starts it again where it was, and waits until it answers.
func (r *Redis) Start(ctx context.Context) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is not installed: `make test` installs it: %w", err)
	}
	args := append([]string{"--bind", "127.0.0.1", "--port", fmt.Sprint(r.port), "--dir", r.dir}, r.args...)
	if r.proc, err = start(ctx, path, args, filepath.Join(r.dir, "log"), nil); err != nil {
		return err
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: r.Address(), MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	return until(ctx, r.proc, func(ctx context.Context) error { return rdb.Ping(ctx).Err() })
}

// Address is where it listens.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// Dir is the folder that holds its data and its log.
func (r *Redis) Dir() string { return r.dir }

// PID is its process.
func (r *Redis) PID() int { return r.proc.cmd.Process.Pid }

// Kill ends it without a word.
func (r *Redis) Kill() error { return r.proc.kill() }

// Freeze stops it in mid-air until Thaw.
func (r *Redis) Freeze() error { return r.proc.signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (r *Redis) Thaw() error { return r.proc.signal(syscall.SIGCONT) }

// Stop ends it and removes its folder.
func (r *Redis) Stop() error {
	err := r.proc.end(syscall.SIGTERM)
	if rmErr := os.RemoveAll(r.dir); err == nil {
		err = rmErr
	}
	return err
}
