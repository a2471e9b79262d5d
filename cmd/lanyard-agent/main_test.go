package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A person of the demo directory.
const (
	uid      = "555000000101"
	holder   = "Dr Asha Smith"
	passcode = "123456"
)

// windowSocket is where this program, run as a window of an agent under test,
// finds who looks at it.
const windowSocket = "LANYARD_TEST_WINDOW"

// What this program does for a test that wants somebody else to: it comes for a
// completion code, or hands over a link.
const (
	knocks = "LANYARD_TEST_KNOCKS"
	hands  = "LANYARD_TEST_HANDS"
)

// TestMain runs the tests, or is a program that they start.
func TestMain(m *testing.M) {
	if socket := os.Getenv(windowSocket); socket != "" {
		window(socket, os.Stdin, os.Stdout)
		os.Exit(0)
	}
	if at := os.Getenv(knocks); at != "" {
		fmt.Println(knocked(at, os.Getenv("TX"), os.Getenv("ORIGIN")))
		os.Exit(0)
	}
	if at := os.Getenv(hands); at != "" {
		err := handOver(context.Background(), at, "lanyard-desk:stranger")
		fmt.Println(map[bool]string{true: "nobody", false: fmt.Sprint("somebody: ", err)}[errors.Is(err, errNobody)])
		os.Exit(0)
	}
	// Most tests wait for programs that they start, and do nothing meanwhile.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if folder, err := built(); err == nil {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// knocked comes for a completion code as a browser does, and returns the status.
func knocked(at, tx, origin string) string {
	req, err := http.NewRequest(http.MethodPost, at, strings.NewReader(url.Values{"tx": {tx}}.Encode()))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", origin)
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	return strconv.Itoa(resp.StatusCode)
}

var (
	build   sync.Once
	folder  string
	unbuilt error
)

func built() (string, error) { return folder, unbuilt }

// programs returns a folder with the server and the agent, built once.
func programs(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		if folder, unbuilt = os.MkdirTemp("", "lanyard-agent-test"); unbuilt != nil {
			return
		}
		// As `make build` does, which has made most of it then.
		var making sync.WaitGroup
		problems := make([]error, 2)
		for i, how := range [][]string{{"lanyard", "../lanyard"}, {"lanyard-agent", ".", "-ldflags=-s -w"}} {
			making.Go(func() {
				cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", filepath.Join(folder, how[0])}, append(how[2:], how[1])...)...)
				if cmd.Env = os.Environ(); how[1] == "." {
					cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
				}
				if out, err := cmd.CombinedOutput(); err != nil {
					problems[i] = fmt.Errorf("build %s: %w\n%s", how[0], err, out)
				}
			})
		}
		making.Wait()
		unbuilt = errors.Join(problems...)
	})
	if unbuilt != nil {
		t.Fatal(unbuilt)
	}
	return folder
}

// shown is what a window shows: a question, words to read, or a choice.
type shown struct{ Kind, Text string }

// window speaks as pinentry does, and does what the test says at the other end
// of a socket. It is open until that answers or the program is ended.
func window(socket string, in io.Reader, out io.Writer) {
	var text string
	_, _ = fmt.Fprintln(out, "OK")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		command, rest, _ := strings.Cut(lines.Text(), " ")
		answer := "OK"
		switch command {
		case "SETDESC":
			text, _ = url.PathUnescape(rest)
		case "SETERROR":
			wrong, _ := url.PathUnescape(rest)
			text += "\n" + wrong
		case "GETPIN":
			answer = looked(socket, shown{"passcode", text})
		case "CONFIRM":
			answer = looked(socket, shown{"choice", text})
		case "MESSAGE":
			answer = looked(socket, shown{"words", text})
		case "BYE":
			return
		}
		_, _ = fmt.Fprintln(out, answer)
	}
}

// looked shows a window to the test, and returns what the program says then.
func looked(socket string, s shown) string {
	const cancelled = "ERR 83886179 cancelled"
	c, err := net.Dial("unix", socket)
	if err != nil {
		return cancelled
	}
	defer c.Close()
	if json.NewEncoder(c).Encode(s) != nil {
		return cancelled
	}
	answer, err := io.ReadAll(c)
	if err != nil || len(answer) == 0 {
		return cancelled
	}
	return strings.TrimSpace(string(answer))
}

// person looks at the windows of an agent under test.
type person struct {
	socket  string
	windows chan *openWindow
}

// openWindow is a window that is open until closed is closed.
type openWindow struct {
	shown
	conn   net.Conn
	closed chan struct{}
}

// newPerson sits down before windows whose programs are given env.
func newPerson(t *testing.T, folder string) *person {
	t.Helper()
	p := &person{socket: filepath.Join(folder, "windows"), windows: make(chan *openWindow, 100)}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w := &openWindow{conn: c, closed: make(chan struct{})}
			d := json.NewDecoder(c)
			if d.Decode(&w.shown) != nil {
				_ = c.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				close(w.closed)
			}()
			p.windows <- w
		}
	}()
	return p
}

// types answers a window with a passcode.
func (w *openWindow) types(passcode string) {
	_, _ = fmt.Fprintf(w.conn, "D %s\nOK\n", passcode)
	_ = w.conn.(*net.UnixConn).CloseWrite()
}
