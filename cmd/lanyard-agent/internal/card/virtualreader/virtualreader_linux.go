package virtualreader

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// firstPort is where the reader of the package's own settings listens; its
// second slot is the next one.
const firstPort = 35963

// settings is the file by which pcscd knows the virtual reader.
const settings = "/etc/reader.conf.d/vpcd"

// patience is how long pcscd and its reader may take.
const patience = 20 * time.Second

// begin is what runs in the namespaces: pcscd's place is a folder of the test's,
// so that the test sees its socket.
const begin = `set -e
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
mount --bind "$1" /run/pcscd
ip link set lo up
shift
exec pcscd --foreground "$@"`

// Reader is a virtual reader with two slots.
type Reader struct {
	// Socket is that of its pcscd.
	Socket string

	place string
	pid   string
	pull  func()

	mu    sync.Mutex
	cards map[int]Heard // by slot
}

// Heard is what a card in a slot was asked since it was put there.
type Heard struct {
	Looks    int  // how often the reader looked whether it is there
	Commands int  // how many programs gave
	Trusts   bool // it has seen its passcode and was not reset since: whoever asks it next could sign
}

// Start starts a pcscd for t alone.
func Start(t testing.TB) *Reader {
	t.Helper()
	if err := everywhere(); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"pcscd", "unshare", "nsenter", "ip", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no virtual reader: %s is not installed", program)
		}
	}
	if _, err := os.Stat(settings); err != nil {
		t.Skip("no virtual reader: vsmartcard-vpcd is not installed")
	}
	if err := exec.CommandContext(t.Context(), "unshare", "-Urmn", "true").Run(); err != nil {
		t.Skip("no virtual reader: this system makes no namespaces for us")
	}
	place, err := os.MkdirTemp("", "pcscd") // a test's own folder may have too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(place) })

	r := &Reader{Socket: filepath.Join(place, "pcscd.comm"), place: place, cards: map[int]Heard{}}
	r.Plug(t)
	return r
}

// everywhere has programs looked for where pcscd and ip are, too, which not
// everybody does.
var everywhere = sync.OnceValue(func() error { return os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") })

// Plug plugs the reader in again, after Pull.
func (r *Reader) Plug(t testing.TB) {
	t.Helper()
	_ = os.Remove(r.Socket) // of one that had no time to
	var said bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", append([]string{"-Urmn", "sh", "-c", begin, "sh", r.place}, options(t)...)...) //nolint:gosec // of this file
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.pid = strconv.Itoa(cmd.Process.Pid)
	r.pull = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		r.pull()
		if t.Failed() {
			t.Logf("pcscd said: %s", said.String())
		}
	})
	r.await(t, firstPort)
}

// Pull takes the reader away from the computer, with its service, and with the
// cards in it.
func (r *Reader) Pull() { r.pull() }

// options are what pcscd has to be told here: one that asks another service who
// may use cards would find none.
func options(t testing.TB) []string {
	help, _ := exec.CommandContext(t.Context(), "pcscd", "--help").CombinedOutput()
	if bytes.Contains(help, []byte("--disable-polkit")) {
		return []string{"--disable-polkit"}
	}
	return nil
}

// await waits until a slot waits for a card.
func (r *Reader) await(t testing.TB, port int) {
	t.Helper()
	listening := fmt.Sprintf(":%04X 00000000:0000 0A", port)
	for waited := time.Duration(0); waited < patience; waited += 10 * time.Millisecond {
		table, _ := os.ReadFile("/proc/" + r.pid + "/net/tcp")
		if _, err := os.Stat(r.Socket); err == nil && strings.Contains(string(table), listening) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the virtual reader does not listen on port %d", port)
}

// Insert puts a card into a slot, 0 or 1, until takeOut is called or the test
// ends.
func (r *Reader) Insert(t testing.TB, slot int, card *virtualcard.Card) (takeOut func()) {
	t.Helper()
	port := firstPort + slot
	r.await(t, port)
	cable, err := r.dial(port)
	if err != nil {
		t.Fatal(err)
	}
	r.hear(slot, func(h *Heard) { *h = Heard{} })
	heard := &listener{cable: cable, hear: func(what func(*Heard)) { r.hear(slot, what) }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = card.Insert(ctx, heard) // a reader that goes away takes its card along
	}()
	takeOut = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(takeOut)
	return takeOut
}

// Heard returns what the card in a slot was asked.
func (r *Reader) Heard(slot int) Heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cards[slot]
}

func (r *Reader) hear(slot int, what func(*Heard)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.cards[slot]
	what(&h)
	r.cards[slot] = h
}

// cable is a connection from inside the namespaces, which a shell makes there.
type cable struct {
	io.Reader
	io.Writer
	cmd  *exec.Cmd
	once sync.Once
}

func (r *Reader) dial(port int) (*cable, error) {
	script := fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d && { cat <&3 & exec cat >&3; }", port)
	cmd := exec.CommandContext(context.Background(), "nsenter", "-t", r.pid, "-U", "-n", "--preserve-credentials", "bash", "-c", script) //nolint:gosec // of this file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &cable{Reader: out, Writer: in, cmd: cmd}, cmd.Start()
}

// Close ends the connection, with all that hold it.
func (c *cable) Close() error {
	c.once.Do(func() {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		_ = c.cmd.Wait()
	})
	return nil
}
