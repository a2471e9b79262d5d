//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// socketPath is where the agent of this session waits. The folder is its
// person's alone.
func socketPath(getenv func(string) string) (string, error) {
	folder := getenv("XDG_RUNTIME_DIR")
	if folder == "" {
		folder = filepath.Join(os.TempDir(), fmt.Sprintf("lanyard-agent-%d", os.Getuid()))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", fmt.Errorf("folder of this session: %w", err)
		}
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return "", fmt.Errorf("folder of this session: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !owned(info) {
		return "", fmt.Errorf("folder of this session: %s is open to others", folder)
	}
	return filepath.Join(folder, "lanyard-agent.sock"), nil
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
