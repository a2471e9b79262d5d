package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// copied returns this program where everybody can start it.
func copied(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "everybody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	to := filepath.Join(folder, "program")
	if err := errors.Join(os.Chmod(folder, 0o755), os.WriteFile(to, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	return to
}

// asAnother is what this program says when another person of this computer starts
// it.
func asAnother(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(copied(t))
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestOtherPerson(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	s := startService(t, "--bridge")
	t.Run("D3: another person at this computer gets nothing, with the right origin and question", func(t *testing.T) {
		b := newBrowser(t)
		link, waiting := b.begins(s)
		ended := s.signsUp(t, s.agent(s.cardFile(t, uid), &typist{passcodes: []string{passcode}}), link)
		bounce, tx := b.leadsBack(waiting)
		if said := asAnother(t, knocks+"="+bounce, "TX="+tx, "ORIGIN="+s.issuer); said != "403" {
			t.Error(said)
		}
		b.returns(waiting)
		if b.at.Path != "/account" {
			t.Errorf("at %s: %s", b.at, b.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("D3: another person at this computer gets nothing of the session that this one's agent holds of the old service", func(t *testing.T) {
		mine := s.bridgedAgent(t, uid)
		mine.signsIn(t, s)
		mine.holds(t)
		b := newBrowser(t)
		link, waiting := b.begins(s)
		ended := s.signsUp(t, mine.Agent, link)
		bounce, tx := b.leadsBack(waiting)
		if said := asAnother(t, knocks+"="+bounce, "TX="+tx, "ORIGIN="+s.issuer); said != "403" {
			t.Error(said)
		}
		if b.returns(waiting); b.at.Path != "/account" {
			t.Errorf("at %s: %s", b.at, b.page)
		}
		if err := <-ended; err != nil || len(mine.p.asked) != 1 || mine.called("/login/deskproof") != 1 {
			t.Errorf("SignIn() = %v; the passcode was asked for %d times, after %v", err, len(mine.p.asked), mine.calls)
		}
	})
	t.Run("D3: another person at this computer hands no link to this one's agent", func(t *testing.T) {
		folder, err := os.MkdirTemp("", "session")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(folder) }()
		path, err := socketPath(inFolder(folder))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- newSession(path, func(_ context.Context, link string) { t.Errorf("it was handed %q", link) }).stay(ctx, func() { close(ready) })
		}()
		<-ready
		if err := os.Chmod(folder, 0o755); err != nil { // the socket by itself has to do
			t.Fatal(err)
		}
		if said := asAnother(t, hands+"="+path); said != "nobody" {
			t.Error(said)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "73915064"
	w := newLifeWorld(t)
	raw, err := os.ReadFile(w.card)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Replace(raw, []byte(`"passcode": "`+passcode+`"`), []byte(`"passcode": "`+secret+`"`), 1)
	a := w.newPlace(t).begin(t)
	if a.card, err = virtualcard.Read(raw, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	a.insert()
	a.opens(a.browser.link)
	a.window("passcode").types("73915065")
	a.window("passcode").types(secret)
	a.browser.returns(a.waiting)
	if !a.signedIn() {
		t.Fatal("nobody was signed in")
	}
	t.Run("X11: what was typed is nowhere in the agent afterwards", func(t *testing.T) {
		for _, typed := range []string{secret, "73915065"} {
			if where := found(t, a.agent.cmd.Process.Pid, typed); where != "" {
				t.Errorf("a passcode is in %s", where)
			}
		}
		if found(t, a.agent.cmd.Process.Pid, a.w.issuer) == "" {
			t.Error("nor is anything else: it was not looked for well")
		}
	})
	t.Run("X11: what was typed goes to the card and to nobody else", func(t *testing.T) {
		if len(a.line.heard) < 4 {
			t.Errorf("the service heard %d calls", len(a.line.heard))
		}
		for _, heard := range a.line.heard {
			if bytes.Contains(heard, []byte(secret)) {
				t.Errorf("the service was told %s", heard)
			}
		}
	})
	a.agent.signal(t, syscall.SIGTERM)
	a.agent.ends(t)
	t.Run("X11: the agent keeps nothing that could be used again", func(t *testing.T) {
		handle := strings.Split(strings.Split(a.browser.link, "h=")[1], "&")[0]
		left := a.agent.said.String()
		err := filepath.WalkDir(a.folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			left += string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string]string{"the passcode": secret, "the handle": handle, "the question's name": txIn(a.waiting)} {
			if strings.Contains(left, secret) {
				t.Errorf("%s is in what it said or wrote", name)
			}
		}
	})
}

// txIn is the question's name in the address of the page that waits.
func txIn(waiting string) string {
	_, tx, _ := strings.Cut(waiting, "tx=")
	return tx
}

// found looks through what a process can write to, and says where a text is.
func found(t *testing.T, pid int, text string) string {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip("this system shows no memory: ", err)
	}
	defer memory.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		b, err := io.ReadAll(io.NewSectionReader(memory, from, to-from))
		if err == nil && bytes.Contains(b, []byte(text)) {
			return lines.Text()
		}
	}
	return ""
}
