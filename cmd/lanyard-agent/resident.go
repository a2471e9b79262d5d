package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An agent that stays waits for links in its person's session: a link starts a
// second one, which hands it over and ends.

// maxLink bounds a link that is handed over.
const maxLink = 4 << 10

// errResident says that an agent waits in this session already.
var errResident = errors.New("an agent is running in this session already")

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

// handOver gives a link to the agent that waits, and says whether there is one.
func handOver(ctx context.Context, path, link string) (bool, error) {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return false, nil //nolint:nilerr // nobody waits there
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, link+"\n"); err != nil {
		return true, fmt.Errorf("hand over the link: %w", err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "ok" {
		return true, errors.New("the agent of this session did not take the link")
	}
	return true, nil
}

// wait takes links until ctx is done, one sign-in after the other. One that
// comes while another is under way is refused: a desk has one card.
func wait(ctx context.Context, path string, signIn func(context.Context, string), out io.Writer) error {
	if there, _ := handOver(ctx, path, ""); there {
		return errResident
	}
	_ = os.Remove(path) // of an agent that ended without a word
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("wait for links: %w", err)
	}
	defer func() { _ = l.Close() }()
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("wait for links: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	_, _ = fmt.Fprintln(out, "ready: waiting for a sign-in page")
	busy := make(chan struct{}, 1)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for links: %w", err)
		}
		link := receive(c)
		if link == "" {
			_ = c.Close()
			continue
		}
		select {
		case busy <- struct{}{}:
			_, _ = io.WriteString(c, "ok\n")
			go func() { defer func() { <-busy }(); signIn(ctx, link) }()
		default:
			_, _ = io.WriteString(c, "busy\n")
		}
		_ = c.Close()
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

// desktopEntry says to the desktop who opens our links.
const desktopEntry = `[Desktop Entry]
Type=Application
Name=Lanyard
Comment=Sign in with the card at this desk
Exec=%s open %%u
NoDisplay=true
Terminal=false
MimeType=x-scheme-handler/lanyard-desk;
`

// register makes this program the one that opens our links, for this person,
// and returns what undoes it. Where there is no desktop nothing is registered.
func register(ctx context.Context, getenv func(string) string, program string) (undo func(), err error) {
	folder := getenv("XDG_DATA_HOME")
	if folder == "" {
		folder = filepath.Join(getenv("HOME"), ".local", "share")
	}
	folder = filepath.Join(folder, "applications")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // desktops read it as others do
		return nil, fmt.Errorf("register links: %w", err)
	}
	entry := filepath.Join(folder, "lanyard-agent-session.desktop")
	if err := os.WriteFile(entry, fmt.Appendf(nil, desktopEntry, quoted(program)), 0o644); err != nil { //nolint:gosec // likewise
		return nil, fmt.Errorf("register links: %w", err)
	}
	undo = func() { _ = os.Remove(entry) }
	xdg, err := exec.LookPath("xdg-mime")
	if err != nil {
		undo()
		return nil, errors.New("register links: xdg-mime is not there (package xdg-utils)")
	}
	if err := exec.CommandContext(ctx, xdg, "default", filepath.Base(entry), "x-scheme-handler/lanyard-desk").Run(); err != nil { //nolint:gosec // found on the PATH
		undo()
		return nil, fmt.Errorf("register links: %w", err)
	}
	return undo, nil
}

// quoted writes a path as the Exec line of a desktop entry wants it.
func quoted(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", `$`, `\\$`, `%`, `%%`).Replace(path) + `"`
}
