//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// socketPath is where the agent of this session waits, and changes nothing. The
// folder is its person's alone; one that stands in for what the session should
// have may be missing yet.
func socketPath(getenv func(string) string) (string, error) {
	folder := getenv("XDG_RUNTIME_DIR")
	standIn := folder == ""
	if standIn {
		folder = filepath.Join(os.TempDir(), fmt.Sprintf("lanyard-agent-%d", os.Getuid()))
	}
	if err := ownPlace(folder); err != nil && (!standIn || !errors.Is(err, fs.ErrNotExist)) {
		return "", err
	}
	return filepath.Join(folder, socketName(cmp.Or(desk.ThisSession(), getenv("XDG_SESSION_ID"), getenv("WAYLAND_DISPLAY"), getenv("DISPLAY")))), nil
}

// ownPlace says why a folder is not this person's alone.
func ownPlace(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return fmt.Errorf("folder of this session: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !owned(info) {
		return fmt.Errorf("folder of this session: %s is open to others", folder)
	}
	return nil
}

// socketName is the name of a session's socket: a person may sit at several
// desktops of one computer, and those have one folder.
func socketName(session string) string {
	const most = 32 // paths of sockets are short
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, session[max(0, len(session)-most):])
	if plain == "" {
		return "lanyard-agent.sock"
	}
	return "lanyard-agent-" + plain + ".sock"
}

// makePlace makes the folder of a socket, where it is missing.
func makePlace(path string) error {
	folder := filepath.Dir(path)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("folder of this session: %w", err)
	}
	return ownPlace(folder)
}

// dialSession connects to the agent that waits there.
func dialSession(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
}

// listenSession takes the place of an agent that is gone, perhaps without a
// word.
func listenSession(ctx context.Context, path string) (net.Listener, error) {
	_ = os.Remove(path)
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close() // nobody was told of it
		return nil, err
	}
	return l, nil
}
