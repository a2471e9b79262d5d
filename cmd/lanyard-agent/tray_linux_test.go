package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	menuFace    = "com.canonical.dbusmenu"
)

// short is a folder with a short name: those of sockets must be.
func short(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "desk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// desktop is a session with a bus of its own: folders that nobody
// else has, and what programs find in their environment.
type desktop struct {
	bus    string
	folder string
}

func aDesktop(t *testing.T) desktop {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("no tray: dbus-daemon is not installed")
	}
	cmd := exec.Command(daemon, "--session", "--nofork", "--print-address", "--address=unix:dir="+short(t))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	folder := short(t)
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return desktop{bus: strings.TrimSpace(address), folder: folder}
}

// agent is one that was started in the session.
type agent struct {
	cmd    *exec.Cmd
	ended  chan error
	folder string
	socket string
}

// start starts an agent and waits until it does for sign-in pages.
func (s desktop) start(t *testing.T, program string, more ...string) agent {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append([]string{"PATH=" + s.folder + ":/usr/bin:/bin", "HOME=" + s.folder, "XDG_RUNTIME_DIR=" + s.folder}, more...)
	if s.bus != "" {
		cmd.Env = append(cmd.Env, "DBUS_SESSION_BUS_ADDRESS="+s.bus)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := agent{cmd: cmd, ended: make(chan error, 1), folder: s.folder, socket: socketOf(t, cmd.Env)}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-a.ended })
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "ready") {
		if strings.Contains(lines.Text(), "systray") {
			t.Errorf("it said %s", lines.Text())
		}
	}
	go func() {
		for lines.Scan() {
			if strings.Contains(lines.Text(), "systray") {
				t.Errorf("it said %s", lines.Text())
			}
		}
		err := cmd.Wait()
		a.ended <- err
		close(a.ended)
	}()
	return a
}

// memory is how much of the computer's memory the agent takes, in KiB.
func (a agent) memory(t *testing.T) (kib int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "\nVmRSS:")
	if _, err := fmt.Sscanf(after, "%d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// ends waits for the agent's end.
func (a agent) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-a.ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

// watcher is what a desktop with a tray has on its bus.
type watcher struct {
	t     *testing.T
	conn  *dbus.Conn
	items chan dbus.Sender
}

// RegisterStatusNotifierItem is called by programs that want an icon.
func (w watcher) RegisterStatusNotifierItem(_ string, from dbus.Sender) *dbus.Error {
	w.items <- from
	return nil
}

func (s desktop) watch(t *testing.T) watcher {
	t.Helper()
	conn, err := dbus.Connect(s.bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w := watcher{t: t, conn: conn, items: make(chan dbus.Sender, 4)}
	if err := conn.Export(w, "/StatusNotifierWatcher", watcherName); err != nil {
		t.Fatal(err)
	}
	w.comes()
	return w
}

// comes says on the bus that there is a tray, and goes that there is none.
func (w watcher) comes() {
	w.t.Helper()
	if reply, err := w.conn.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		w.t.Fatal(reply, err)
	}
}

func (w watcher) goes() {
	w.t.Helper()
	if _, err := w.conn.ReleaseName(watcherName); err != nil {
		w.t.Fatal(err)
	}
}

// icon waits for a program that wants an icon.
func (w watcher) icon() dbus.Sender {
	w.t.Helper()
	select {
	case from := <-w.items:
		return from
	case <-time.After(20 * time.Second):
		w.t.Fatal("no program wants an icon")
		return ""
	}
}

// menu is what a program's menu says, by its labels.
func (w watcher) menu(of dbus.Sender) map[string]int32 {
	w.t.Helper()
	var revision uint32
	var root struct {
		ID       int32
		Says     map[string]dbus.Variant
		Children []dbus.Variant
	}
	err := w.conn.Object(string(of), "/StatusNotifierItem/menu").Call(menuFace+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root)
	if err != nil {
		w.t.Fatal(err)
	}
	labels := map[string]int32{}
	for _, child := range root.Children {
		var item struct {
			ID       int32
			Says     map[string]dbus.Variant
			Children []dbus.Variant
		}
		if err := dbus.Store([]any{child.Value()}, &item); err != nil {
			w.t.Fatal(err)
		}
		label, _ := item.Says["label"].Value().(string)
		labels[label] = item.ID
	}
	return labels
}

// click waits for no answer, as desktops do: a program that was closed gives
// none.
func (w watcher) click(of dbus.Sender, item int32) {
	w.t.Helper()
	call := w.conn.Object(string(of), "/StatusNotifierItem/menu").Call(menuFace+".Event", dbus.FlagNoReplyExpected, item, "clicked", dbus.MakeVariant(""), uint32(0))
	if call.Err != nil {
		w.t.Fatal(call.Err)
	}
}

func TestTray(t *testing.T) {
	program := filepath.Join(programs(t), "lanyard-agent")
	t.Run("own rule: where the desktop has a tray the agent has an icon, and Close ends it", func(t *testing.T) {
		s := aDesktop(t)
		w := s.watch(t)
		a := s.start(t, program)
		from := w.icon()
		menu := w.menu(from)
		if len(menu) != 2 || menu["Status"] == 0 || menu["Close"] == 0 {
			t.Fatalf("the menu says %v", menu)
		}
		title, err := w.conn.Object(string(from), "/StatusNotifierItem").GetProperty("org.kde.StatusNotifierItem.Title")
		if err != nil || title.Value() != "Lanyard" {
			t.Errorf("it is called %v, %v", title, err)
		}
		if kib := a.memory(t); kib > 20<<10 {
			t.Errorf("it takes %d KiB of memory while it waits", kib)
		}
		w.click(from, menu["Close"])
		a.ends(t)
		if _, err := statusOf(t.Context(), a.socket); !errors.Is(err, errNobody) {
			t.Errorf("statusOf() = %v", err)
		}
	})
	t.Run("own rule: Status opens a window that says how the agent stands, in the person's language", func(t *testing.T) {
		s := aDesktop(t)
		said := filepath.Join(s.folder, "said")
		window := "#!/bin/sh\necho OK\nwhile read -r line; do echo \"$line\" >>'" + said + "'; echo OK; done\necho >>'" + said + ".end'\n"
		if err := os.WriteFile(filepath.Join(s.folder, "pinentry"), []byte(window), 0o700); err != nil {
			t.Fatal(err)
		}
		w := s.watch(t)
		s.start(t, program, "DISPLAY=:none", "LANG=cy_GB.UTF-8")
		from := w.icon()
		menu := w.menu(from)
		if menu["Statws"] == 0 || menu["Cau"] == 0 {
			t.Fatalf("the menu says %v", menu)
		}
		w.click(from, menu["Statws"])
		appears(t, said+".end")
		b, err := os.ReadFile(said)
		if err != nil || !strings.Contains(string(b), "Yn aros am dudalen fewngofnodi.") {
			t.Errorf("the window says %s, %v", b, err)
		}
	})
	t.Run("own rule: a tray that comes later is given the icon", func(t *testing.T) {
		s := aDesktop(t)
		s.start(t, program)
		w := s.watch(t)
		// It may come while the agent begins to look out for it, and be missed.
		// Trays come again.
		for range 20 {
			select {
			case from := <-w.items:
				if len(w.menu(from)) != 2 {
					t.Error("the menu is another")
				}
				return
			case <-time.After(time.Second):
				w.goes()
				w.comes()
			}
		}
		t.Error("no program wants an icon")
	})
	for rule, bus := range map[string]string{
		"own rule: without a bus the agent works, and says nothing of it":                     "",
		"own rule: with a bus that is not there the agent works, and says nothing of it":      "unix:path=/nonexistent",
		"own rule: with a bus that would have to be started the agent works, and starts none": "autolaunch:",
	} {
		t.Run(rule, func(t *testing.T) {
			folder := short(t)
			if err := os.Chmod(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "dbus-launch"), []byte("#!/bin/sh\ntouch '"+folder+"/launched'\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			a := desktop{bus: bus, folder: folder}.start(t, program)
			r, err := statusOf(t.Context(), a.socket)
			if err != nil || r.Process != a.cmd.Process.Pid {
				t.Errorf("statusOf() = %+v, %v", r, err)
			}
			if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			a.ends(t)
			if _, err := os.Stat(folder + "/launched"); err == nil {
				t.Error("a bus was started")
			}
		})
	}
	t.Run("own rule: who wants no icon has none", func(t *testing.T) {
		s := aDesktop(t)
		w := s.watch(t)
		config := filepath.Join(s.folder, ".config/lanyard-agent")
		if err := os.MkdirAll(config, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(config, "agent.conf"), []byte("Tray = false\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := s.start(t, program)
		if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		a.ends(t)
		if len(w.items) > 0 {
			t.Error("it wants one")
		}
	})
}

func TestSecondAgent(t *testing.T) {
	t.Run("own rule: an agent that comes second ends without a word of failure, and takes no links away", func(t *testing.T) {
		if _, err := exec.LookPath("xdg-mime"); err != nil {
			t.Skip("no links: xdg-utils is not installed")
		}
		program := filepath.Join(programs(t), "lanyard-agent")
		folder := short(t)
		if err := os.Chmod(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		s := desktop{folder: folder}
		first := s.start(t, program, "XDG_DATA_DIRS="+folder)
		entry := filepath.Join(folder, ".local/share/applications", sessionEntry)
		if _, err := os.Stat(entry); err != nil {
			t.Fatal(err)
		}
		s.start(t, program, "XDG_DATA_DIRS="+folder).ends(t)
		if _, err := os.Stat(entry); err != nil {
			t.Error("the links were taken away")
		}
		if err := first.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		first.ends(t)
		if _, err := os.Stat(entry); err == nil {
			t.Error("the entry was left there")
		}
	})
}

// appears waits for a file.
func appears(t *testing.T, path string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for ctx.Err() == nil {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not appear", path)
}
