package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// wine runs programs of Windows in the place that deploy/check/wine.sh makes,
// with a winscard.dll whose reader is at a port of this computer.
type wine struct{ folder string }

func aWine(t *testing.T) wine {
	t.Helper()
	w := wine{os.Getenv("LANYARD_TEST_WINE")}
	if w.folder == "" {
		t.Skip("it runs by make test-wine")
	}
	return w
}

// command is a program of the folder, which ends with the test. What it says
// goes to a file: Wine's own server holds on to whatever it was given.
func (w wine) command(t *testing.T, reader int, program string, args ...string) (cmd *exec.Cmd, said func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	t.Cleanup(cancel)
	out, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	cmd = exec.CommandContext(ctx, "wine", append([]string{filepath.Join(w.folder, program)}, args...)...)
	cmd.Env = append(os.Environ(), "LANYARD_TEST_READER="+strconv.Itoa(reader))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, func() string {
		b, _ := os.ReadFile(out.Name())
		return strings.TrimSpace(string(b))
	}
}

// run runs a program to its end and returns what it said.
func (w wine) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd, said := w.command(t, 0, program, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, said())
	}
	return said()
}

// slot is a card at a port of this computer: a reader that connects has it.
func slot(t *testing.T, file string) (port int) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := virtualcard.Read(raw, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = inside.Insert(t.Context(), conn) }() // each program of Windows has a reader of its own
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// form waits until the page leads back to the agent, and returns where and
// about what.
func (b *browser) form(waiting string) (address, tx string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		b.open(waiting)
		if form := backForm.FindStringSubmatch(b.page); form != nil {
			return form[1], hiddenTx.FindStringSubmatch(b.page)[1]
		}
	}
	b.t.Fatalf("the page does not lead back to the agent: %s", b.page)
	return "", ""
}

// signsIn types the passcode, and takes the browser back to the agent and to the
// service again.
func (w wine) signsIn(b *browser, s service, waiting string) {
	b.t.Helper()
	w.run(b.t, "person.exe", "type", "123456")
	address, tx := b.form(waiting)
	if got := stranger(b.t, s, address, tx); got != http.StatusForbidden {
		b.t.Errorf("a program that Windows does not know got %d", got)
	}
	at, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	status, leads, _ := strings.Cut(w.run(b.t, "person.exe", "post", at.Port(), tx, s.issuer), " ")
	if status != "303" || !strings.HasPrefix(leads, s.issuer+"/desk/v1/done?") {
		b.t.Fatalf("this person's browser got %s %s", status, leads)
	}
	if b.open(leads); !strings.Contains(b.page, "Dr Asha Smith") || b.at.Path != "/account" {
		b.t.Errorf("at %s: %s", b.at, b.page)
	}
}

// stranger posts the form of the page, as a program that is nobody's of the
// session.
func stranger(t *testing.T, s service, address, tx string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(url.Values{"tx": {tx}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", s.issuer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestSignInOnWindows(t *testing.T) {
	w := aWine(t)
	s := startService(t)
	port := slot(t, string(s.cardFile(t, "555000000101")))
	run := func(t *testing.T, words ...string) (agent *exec.Cmd, said func() string) {
		t.Helper()
		agent, said = w.command(t, port, "lanyard-agent.exe", append([]string{"--issuer", s.issuer, "--origin", s.issuer}, words...)...)
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		return agent, said
	}
	t.Run("desk-auth/1: on Windows a card, a passcode and the way back to this browser sign in", func(t *testing.T) {
		b := newBrowser(t)
		_, waiting := b.begins(s)
		agent, said := run(t, "open", "--", b.link)
		w.run(t, "person.exe", "type", "654321")
		w.signsIn(b, s, waiting)
		if err := agent.Wait(); err != nil {
			t.Errorf("the agent ended with %v: %s", err, said())
		}
	})
	t.Run("desk-auth/1: on Windows who presses Cancel turns away, and the page says so", func(t *testing.T) {
		b := newBrowser(t)
		_, waiting := b.begins(s)
		agent, said := run(t, "open", "--", b.link)
		w.run(t, "person.exe", "cancel")
		if err := agent.Wait(); err == nil {
			t.Errorf("the agent ended well: %s", said())
		}
		if b.open(waiting); !strings.Contains(b.page, "CAN-01") {
			t.Errorf("the page: %s", b.page)
		}
	})
	t.Run("own rule: on Windows a link goes to the agent that waits in the session, and the doctor sees it", func(t *testing.T) {
		b := newBrowser(t)
		waits, _ := run(t)
		defer func() { _ = waits.Process.Kill(); _ = waits.Wait() }()
		seen := ""
		for began := time.Now(); time.Since(began) < time.Minute; {
			doctor, said := run(t, "doctor")
			_ = doctor.Wait()
			if seen = said(); strings.Contains(seen, "ok    session: ") && strings.Contains(seen, "ok    links: ") {
				break
			}
		}
		for _, line := range []string{"ok    session: ", "ok    links: ", `ok    readers: "Test Reader 0" has a card`, "ok    card of 555000000101: tries left: 3", "ok    passcode window: "} {
			if !strings.Contains(seen, line) {
				t.Errorf("the doctor does not say %q: %s", line, seen)
			}
		}
		_, waiting := b.begins(s)
		opens, said := run(t, "open", "--", b.link)
		if err := opens.Wait(); err != nil {
			t.Fatalf("it was not handed over: %v: %s", err, said())
		}
		w.signsIn(b, s, waiting)
		second, told := run(t)
		if err := second.Wait(); err != nil || !strings.Contains(told(), "already") {
			t.Errorf("a second one ended with %v: %s", err, told())
		}
	})
}
