package backchannel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
)

const asha = "555000000101"

// applications are clients that answer as a test wants: by host.
type applications map[string]func(*http.Request) (*http.Response, error)

// Do implements Doer.
func (as applications) Do(r *http.Request) (*http.Response, error) {
	answer := as[r.URL.Host]
	if answer == nil {
		return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: errors.New("connection refused")}
	}
	return answer(r)
}

func status(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("words"))}, nil
	}
}

// hang is an application that never answers.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: r.Context().Err()}
}

// lines are of a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// String returns all of them.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

type paper struct{}

func (paper) LogoutToken(c idp.Client, l idp.Logout) (string, error) {
	return c.ID + "." + l.Subject + "." + l.SID, nil
}

// ward is a registry with a client for each application, and who tells them.
type ward struct {
	t      *testing.T
	mu     sync.Mutex
	now    time.Time
	store  *memory.Store
	teller *Teller
	log    lines
	counts map[string]int
}

func aWard(t *testing.T, as applications, more ...directory.Client) *ward {
	t.Helper()
	doc := directory.Document{Clients: more}
	for host := range as {
		doc.Clients = append(doc.Clients, directory.Client{ID: host, BackchannelLogoutURI: "https://" + host + "/out?a=1"})
	}
	store, err := memory.New(doc, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t: t, now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), store: store, counts: map[string]int{}}
	w.teller = &Teller{Queue: store, Clients: store, Signer: paper{}, HTTP: as, Pause: time.Millisecond, Now: w.clock,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Count: func(result string, _ time.Duration) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.counts[result]++
		}}
	return w
}

func (w *ward) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *ward) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// ends ends a session that had tokens of clients.
func (w *ward) ends(sid string, clients ...string) {
	w.t.Helper()
	for _, c := range clients {
		if err := w.store.Record(w.t.Context(), idp.Event{At: w.clock(), Tell: &idp.Watch{SID: sid, Client: c, Subject: asha}}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.store.Record(w.t.Context(), idp.Event{At: w.clock()}, idp.Fence{Kind: idp.SIDFence, Hash: sid}); err != nil {
		w.t.Fatal(err)
	}
}

// runs lets the teller work until stop is called.
func (w *ward) runs() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.teller.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
}

// log returns what the log has, by client.
func (w *ward) logged() map[string]idp.Logout {
	w.t.Helper()
	last, err := w.store.LastLogouts(w.t.Context(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	of := map[string]idp.Logout{}
	for _, l := range last {
		of[l.Client] = l
	}
	return of
}

func (w *ward) until(what string, so func() bool) {
	w.t.Helper()
	for limit := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			w.t.Fatalf("after 20 s still not: %s\n%s", what, w.log.String())
		}
	}
}

func TestAnswers(t *testing.T) {
	as := applications{}
	for _, code := range []int{200, 204, 299, 301, 303, 307, 400, 401, 403, 404, 405, 429, 500, 501, 502, 503, 504} {
		as[fmt.Sprint("a", code)] = status(code)
	}
	as["refuses"] = nil
	as["silent"] = func(*http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Post", URL: "https://silent/out?a=1", Err: context.DeadlineExceeded}
	}
	w := aWard(t, as, directory.Client{ID: "untold"})
	var clients []string
	for host := range as {
		clients = append(clients, host)
	}
	w.ends("s1", append(clients, "untold", "gone")...)
	stop := w.runs()
	w.until("all were tried", func() bool {
		for _, l := range w.logged() {
			if l.SaidAt.IsZero() {
				return false
			}
		}
		return true
	})
	stop()
	t.Run("OIDC Back-Channel Logout §2.8: 2xx is done, 400 and 501 are no for good, all else is tried again", func(t *testing.T) {
		for client, l := range w.logged() {
			want := ""
			switch client {
			case "a200", "a204", "a299":
				want = idp.LogoutTold
			case "a400", "a501":
				want = idp.LogoutRefused
			case "untold", "gone":
				want = idp.LogoutGone
			}
			if l.Result != want || l.Tries != 1 {
				t.Errorf("%s: %q after %d tries, want %q", client, l.Result, l.Tries, want)
			}
			if strings.HasPrefix(client, "a") && l.Said != client[1:] || client == "refuses" && l.Said != "unreachable" || client == "silent" && l.Said != "timeout" {
				t.Errorf("%s: said %q", client, l.Said)
			}
		}
	})
	t.Run("own rule: what is not told is counted, and logged without its address", func(t *testing.T) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.counts[idp.LogoutTold] != 3 || w.counts[idp.LogoutRefused] != 2 || w.counts[idp.LogoutGone] != 2 || w.counts[idp.LogoutAgain] != len(as)-5 {
			t.Errorf("counted %v", w.counts)
		}
		if text := w.log.String(); !strings.Contains(text, "connection refused") || strings.Contains(text, "/out") || strings.Contains(text, asha+".s1") {
			t.Errorf("the log has\n%s", text)
		}
	})
}

func TestToken(t *testing.T) {
	t.Run("OIDC Back-Channel Logout §2.5: the token comes by POST of a form, and nothing beside it", func(t *testing.T) {
		came := make(chan url.Values, 1)
		w := aWard(t, applications{"ward": func(r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/out" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("%s %s, %v", r.Method, r.URL, err)
			}
			came <- r.PostForm
			return status(200)(r)
		}})
		w.ends("s1", "ward")
		defer w.runs()()
		if got := <-came; len(got) != 1 || got.Get("logout_token") != "ward."+asha+".s1" {
			t.Errorf("the application got %v", got)
		}
	})
}

func TestRetries(t *testing.T) {
	t.Run("P16: who does not answer is tried six times within a quarter of an hour, ever more slowly, and the journal has it", func(t *testing.T) {
		var tries atomic.Int64
		w := aWard(t, applications{"ward": func(r *http.Request) (*http.Response, error) { tries.Add(1); return status(503)(r) }})
		w.ends("s1", "ward")
		stop := w.runs()
		defer stop()
		took := time.Duration(0)
		for n := range int64(6) {
			w.until("it was tried", func() bool { return tries.Load() == n+1 && !w.logged()["ward"].SaidAt.Before(w.clock()) })
			for w.logged()["ward"].Result == "" && tries.Load() == n+1 && took < time.Hour {
				w.pass(time.Second / 4)
				took += time.Second / 4
				time.Sleep(100 * time.Microsecond) // so that the teller sees the clock move on
			}
		}
		w.until("it was given up", func() bool { return w.logged()["ward"].Result == idp.LogoutGivenUp })
		if took < 9*time.Minute || took > 17*time.Minute || tries.Load() != 6 {
			t.Errorf("%d tries in %v", tries.Load(), took)
		}
		events := w.store.Events()
		if e := events[len(events)-1]; e.Kind != idp.LogoutFailed || e.Client != "ward" || e.Session != "s1" || e.Reason != "given_up: 503" {
			t.Errorf("the journal ends with %+v", e)
		}
	})
	t.Run("P16: an application that answers again is told", func(t *testing.T) {
		var up atomic.Bool
		w := aWard(t, applications{"ward": func(r *http.Request) (*http.Response, error) {
			if up.Load() {
				return status(200)(r)
			}
			return nil, io.ErrUnexpectedEOF
		}})
		for i := range 100 {
			w.ends(fmt.Sprint("s", i), "ward")
		}
		defer w.runs()()
		w.until("one was tried", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.counts[idp.LogoutAgain] > 0 })
		up.Store(true)
		w.until("all were told", func() bool {
			w.pass(time.Second) // and again, for a try that was under way and waits from now on
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.counts[idp.LogoutTold] == 100
		})
		last, err := w.store.LastLogouts(t.Context(), 1000)
		if err != nil || slices.ContainsFunc(last, func(l idp.Logout) bool { return l.Tries > 2 }) {
			t.Errorf("what was not tried was counted: %+v, %v", last, err)
		}
	})
}

func TestIsolation(t *testing.T) {
	t.Run("P16: applications that hang hold up nobody else, and themselves by one at a time", func(t *testing.T) {
		var at, most atomic.Int64
		as := applications{}
		var clients []string
		for i := range 50 {
			as[fmt.Sprint("good", i)] = status(200)
		}
		for i := range 20 {
			as[fmt.Sprint("hangs", i)] = func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "hangs0" {
					most.Store(max(most.Load(), at.Add(1)))
					defer at.Add(-1)
				}
				return hang(r)
			}
		}
		for host := range as {
			clients = append(clients, host)
		}
		w := aWard(t, as)
		for i := range 20 {
			w.ends(fmt.Sprint("s", i), clients...)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = w.teller.Run(ctx) }() // it comes to an end later than this test need wait
		defer cancel()
		began := time.Now()
		w.until("the others were told", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.counts[idp.LogoutTold] == 50*20 })
		if took := time.Since(began); took > patience || most.Load() != 1 {
			t.Errorf("it took %v, and one that hangs was called %d times at once", took, most.Load())
		}
	})
}

func TestLeaving(t *testing.T) {
	t.Run("own rule: a server that leaves brings to an end what is in hand, and leaves the rest to others", func(t *testing.T) {
		entered, answer := make(chan struct{}), make(chan struct{})
		w := aWard(t, applications{"ward": func(r *http.Request) (*http.Response, error) {
			close(entered)
			<-answer
			return status(200)(r)
		}})
		for i := range 5 {
			w.ends(fmt.Sprint("s", i), "ward")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.teller.Run(ctx) }()
		<-entered
		cancel()
		close(answer)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		last, err := w.store.LastLogouts(t.Context(), 10)
		told := 0
		for _, l := range last {
			if l.Result == idp.LogoutTold {
				told++
			} else if l.Tries != 0 {
				t.Errorf("%s was not tried, and counts %d", l.SID, l.Tries)
			}
		}
		w.pass(patience)
		next, err2 := w.store.TakeLogouts(t.Context(), idp.LogoutTaking{Now: w.clock(), Until: w.clock().Add(lease), Clients: 1, Each: 10})
		if errors.Join(err, err2) != nil || told != 1 || len(next) != 4 {
			t.Errorf("%d were told, and %d can be taken, %v", told, len(next), errors.Join(err, err2))
		}
	})
}

// stubborn is a signer that panics.
type stubborn struct{}

func (stubborn) LogoutToken(idp.Client, idp.Logout) (string, error) { panic("a bug") }

func TestPanic(t *testing.T) {
	t.Run("own rule: a fault in telling one application ends nothing else", func(t *testing.T) {
		w := aWard(t, applications{"ward": status(200)})
		w.teller.Signer = stubborn{}
		w.ends("s1", "ward")
		stop := w.runs()
		w.until("it is noted", func() bool { return strings.Contains(w.log.String(), "a bug") })
		stop()
	})
}
