package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lanyard-id/lanyard/store/conformance/servers"
)

// deskFigures are what a sign-in costs at a desk, with the agent's program as
// people have it and a card in a file.
type deskFigures struct {
	Count     int     `json:"count"`
	P50       float64 `json:"p50_ms"` // from the passcode to the application
	P95       float64 `json:"p95_ms"`
	Server    float64 `json:"server_ms"`           // of it in requests to the server
	ServerCPU float64 `json:"server_cpu_ms"`       // of it of the server's processes
	IdleBytes int64   `json:"agent_idle_bytes"`    // of the agent's memory while it waits
	IdleCPU   float64 `json:"agent_idle_cpu_ms"`   // of the agent, in idleTime
	Program   int64   `json:"agent_program_bytes"` // of the agent, in its file
}

// What a desk may take.
const (
	deskBudget       = 2000.0 // ms from the passcode to the application
	deskServerBudget = 50.0   // ms of it at the server, by the clock and of CPU
	agentIdleBudget  = 20 << 20
	agentBudget      = 12 << 20
	idleTime         = 10 * time.Second
	idleCPUBudget    = 10.0 // ms: what the kernel counts at least
	deskTimes        = 20
)

// write shows the figures to people.
func (d deskFigures) write(out io.Writer) error {
	if d == (deskFigures{}) {
		return nil // it was not measured
	}
	_, err := fmt.Fprintf(out, "\nAt a desk, from the passcode to the application: p50 %.0f ms, p95 %.0f (%s %.0f); of it %.1f ms in requests to the server (%s %.0f)\n"+
		"and %.1f ms of CPU of its processes (%s %.0f). The agent waits with %.1f MiB (%s %d) and %.0f ms of CPU in %s (%s %.0f); its program has %.1f MiB (%s %d).\n",
		d.P50, d.P95, verdict(d.P95 <= deskBudget), deskBudget, d.Server, verdict(d.Server <= deskServerBudget), deskServerBudget,
		d.ServerCPU, verdict(d.ServerCPU <= deskServerBudget), deskServerBudget,
		float64(d.IdleBytes)/(1<<20), verdict(d.IdleBytes < agentIdleBudget), agentIdleBudget>>20, d.IdleCPU, idleTime, verdict(d.IdleCPU <= idleCPUBudget), idleCPUBudget,
		float64(d.Program)/(1<<20), verdict(d.Program < agentBudget), agentBudget>>20)
	return err
}

// place is a desk: the agent, and a passcode window that types when it is told.
type place struct {
	program string
	folder  string
	issuer  string
}

// pinentry asks for a passcode as the desktop's window does. It types what comes
// through a pipe, so that the time is taken from the moment it is typed.
const pinentry = `#!/bin/sh
echo OK
while read -r word rest; do
  case $word in
    GETPIN) read -r typed <"$LANYARD_RIG_KEYS"; echo "D $typed" ;;
    BYE) echo OK; exit ;;
  esac
  echo OK
done
`

func newPlace(program, folder, issuer string) (*place, error) {
	p := &place{program: program, folder: folder, issuer: issuer}
	err := errors.Join(os.MkdirAll(filepath.Join(folder, "bin"), 0o700),
		os.WriteFile(filepath.Join(folder, "bin", "pinentry"), []byte(pinentry), 0o700), syscall.Mkfifo(p.keys(), 0o600))
	return p, err
}

func (p *place) keys() string { return filepath.Join(p.folder, "keys") }

// agent starts the agent with nobody's settings but its own.
func (p *place) agent(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer, error) {
	cmd := exec.CommandContext(ctx, p.program, append([]string{"--issuer", p.issuer, "--origin", p.issuer}, args...)...)
	cmd.Env = []string{"PATH=" + filepath.Join(p.folder, "bin") + ":" + os.Getenv("PATH"), "DISPLAY=:0", "LANYARD_RIG_KEYS=" + p.keys(),
		"HOME=" + p.folder, "XDG_RUNTIME_DIR=" + p.folder, "XDG_CONFIG_HOME=" + p.folder, "XDG_DATA_HOME=" + p.folder}
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, &said, cmd.Start()
}

// types waits until the window asks, and returns what types the passcode.
func (p *place) types(ctx context.Context) (pipe *os.File, err error) {
	err = until(ctx, func() error {
		pipe, err = os.OpenFile(p.keys(), os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails as long as nobody reads
		return err
	})
	return pipe, err
}

// desk measures sign-ins at a desk, and the agent at rest.
func (b *bench) desk(ctx context.Context, program string) (deskFigures, error) {
	b.say("passcode to application, with the agent's program")
	d := deskFigures{Count: deskTimes}
	file, err := os.Stat(program)
	if err != nil {
		return d, err
	}
	d.Program = file.Size()
	p, err := newPlace(program, b.world.file("desk"), b.world.issuer.String())
	if err != nil {
		return d, err
	}
	var took []time.Duration
	for n := range deskTimes + 1 {
		one, err := b.atDesk(ctx, p, n)
		if err != nil {
			return d, fmt.Errorf("sign in at a desk: %w", err)
		}
		if n == 0 {
			continue // so that nothing is new
		}
		took = append(took, one.took)
		d.Server += ms(one.server) / deskTimes
		d.ServerCPU += ms(one.cpu) / deskTimes
	}
	slices.Sort(took)
	d.P50, d.P95 = ms(took[len(took)/2]), ms(took[len(took)*95/100])
	b.say("the agent at rest")
	d.IdleBytes, d.IdleCPU, err = p.rests(ctx)
	return d, err
}

// rests starts an agent that waits for links, and looks at it.
func (p *place) rests(ctx context.Context) (memory int64, cpu float64, err error) {
	cmd, _, err := p.agent(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	wait(ctx, 3*time.Second)
	before, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return 0, 0, fmt.Errorf("the agent does not wait: %w", err)
	}
	wait(ctx, idleTime)
	after, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return 0, 0, fmt.Errorf("the agent does not wait: %w", err)
	}
	tree, err := servers.Tree(cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range tree {
		used, err := memoryOf(pid)
		if err != nil {
			return 0, 0, err
		}
		memory += used
	}
	return memory, ms(after - before), nil
}

// deskRun is one sign-in at a desk, from the passcode on.
type deskRun struct {
	took   time.Duration
	server time.Duration // in requests
	cpu    time.Duration
}

// atDesk signs in once as a browser with scripts does, which listens for news of
// its desk.
func (b *bench) atDesk(ctx context.Context, p *place, n int) (deskRun, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f := b.world.flow(n, b.world.client("ES256", nil))
	card := filepath.Join(p.folder, "card")
	if err := os.WriteFile(card, f.holder.file, 0o600); err != nil {
		return deskRun{}, err
	}
	request := f.client.request()
	ways, err := f.person.open(ctx, http.MethodGet, request.address(nil), nil)
	if err != nil {
		return deskRun{}, err
	}
	way, err := formTo(ways.body, "/login/smartcard/begin")
	if err != nil {
		return deskRun{}, err
	}
	page, err := f.person.submit(ctx, way, nil)
	if err != nil {
		return deskRun{}, err
	}
	f.waits = link(page.body, "/login/smartcard?")
	ended, err := f.person.listens(ctx, f.waits)
	if err != nil {
		return deskRun{}, err
	}
	agent, said, err := p.agent(ctx, "--virtual-card", card, "open", link(page.body, "lanyard-desk:"))
	if err != nil {
		return deskRun{}, err
	}
	run, err := b.afterPasscode(ctx, p, f, request, ended)
	if err != nil {
		cancel()
	}
	if gone := agent.Wait(); err == nil {
		err = gone
	}
	if err != nil {
		err = fmt.Errorf("%w; the agent said: %s", err, said.String())
	}
	return run, err
}

// afterPasscode goes from the typed passcode to the application.
func (b *bench) afterPasscode(ctx context.Context, p *place, f *flow, request request, ended <-chan error) (deskRun, error) {
	pipe, err := p.types(ctx)
	if err != nil {
		return deskRun{}, err
	}
	defer func() { _ = pipe.Close() }()
	cpuBefore, err1 := times(b.procs)
	servedBefore, err2 := b.served(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return deskRun{}, err
	}
	began := time.Now()
	if _, err := pipe.WriteString(f.holder.passcode + "\n"); err != nil {
		return deskRun{}, err
	}
	if err := <-ended; err != nil {
		return deskRun{}, err
	}
	back, err := f.returns(ctx)
	if err != nil {
		return deskRun{}, err
	}
	a, err := f.person.open(ctx, http.MethodGet, back, nil)
	if err == nil {
		a, err = f.goOn(ctx, a)
	}
	if err == nil {
		_, err = request.code(f.person.site, a.location)
	}
	if err != nil {
		return deskRun{}, err
	}
	run := deskRun{took: time.Since(began)}
	servedAfter, err1 := b.served(ctx)
	cpuAfter, err2 := times(b.procs)
	for i := range cpuAfter {
		run.cpu += cpuAfter[i] - cpuBefore[i]
	}
	run.server = servedAfter - servedBefore
	return run, errors.Join(err1, err2)
}

// returns goes to the page that waited, and from there to the agent, which says
// where the browser goes.
func (f *flow) returns(ctx context.Context) (string, error) {
	a, err := f.person.open(ctx, http.MethodGet, f.waits, nil)
	if err != nil {
		return "", err
	}
	for _, form := range forms(a.body) {
		if !strings.HasPrefix(form.action, "http://127.0.0.1:") {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, form.action, strings.NewReader(form.fields.Encode()))
		if err != nil {
			return "", err
		}
		req.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {f.person.site.issuer.String()}}
		resp, err := f.person.site.trip.RoundTrip(req)
		if err != nil {
			return "", err
		}
		_ = resp.Body.Close()
		return resp.Header.Get("Location"), nil
	}
	return "", problem("return to the desk", a)
}

// listens hears the news of the desk whose page is at waits, as scripts do: the
// channel gets nil when the page has to be loaded again.
func (p *person) listens(ctx context.Context, waits string) (<-chan error, error) {
	at, err := url.Parse(waits)
	if err != nil {
		return nil, err
	}
	events := p.site.issuer.JoinPath("/desk/v1/events")
	events.RawQuery = url.Values{"tx": {at.Query().Get("tx")}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, events.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Cookie": p.cookieLine(), "Accept": {"text/event-stream"}}
	resp, err := p.site.trip.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		defer func() { _ = resp.Body.Close() }()
		last := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if last = lines.Text(); strings.Contains(last, `"ended":true`) {
				ended <- nil
				return
			}
		}
		ended <- fmt.Errorf("the news of the desk ended with %q", last)
	}()
	return ended, nil
}

// served is the time that the server has spent in requests, but for news, which
// wait.
func (b *bench) served(ctx context.Context) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.world.servers[0].ops+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := b.world.trip.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var all float64
	found := false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "lanyard_http_request_seconds_sum{") || strings.Contains(name, "/desk/v1/events") {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		all, found = all+seconds, true
	}
	if !found {
		return 0, errors.New("the server does not tell how long its requests take")
	}
	return time.Duration(all * float64(time.Second)), nil
}
