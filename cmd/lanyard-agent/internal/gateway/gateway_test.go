package gateway

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// aBridge answers as a gateway does, and remembers what it heard.
type aBridge struct {
	mu    sync.Mutex
	heard []string
	seen  []string // the addresses that were called
	no    string   // the word with which it refuses proofs; "": it gives them
	hangs bool     // it takes calls, and answers none
	says  int      // the number of what it says to sign-outs; 0: all is well
}

// RoundTrip implements http.RoundTripper.
func (b *aBridge) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.heard = append(b.heard, r.URL.Path+" "+string(body))
	b.seen = append(b.seen, r.URL.String())
	n, hangs, says, no := len(b.heard), b.hangs, b.says, b.no
	b.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	answer := "<gpOBJECT></gpOBJECT>"
	switch r.URL.Path {
	case activatePath:
		answer = `<gpOBJECT><gpPARAM name="challenge">AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</gpPARAM><gpPARAM name="signature">c2ln</gpPARAM></gpOBJECT>`
	case validatePath:
		answer = fmt.Sprintf(`<gpOBJECT><gpPARAM name="sso_ticket">ticket-%d</gpPARAM><gpPARAM name="sso_max_session_time">600</gpPARAM><gpPARAM name="nhsjobrole0" id="1">x</gpPARAM></gpOBJECT>`, n)
	case logoutPath:
		if says != 0 {
			answer := fmt.Sprintf(`<gpOBJECT><gpPARAM name="error_code">OLD-%02d</gpPARAM></gpOBJECT>`, says)
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
		}
	case proofPath:
		if answer = `{"proof":"p"}`; no != "" {
			answer = `{"error":"` + no + `"}`
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

// set changes how it answers.
func (b *aBridge) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// last is the last that it heard.
func (b *aBridge) last() (heard string) {
	b.set(func() { heard = b.heard[len(b.heard)-1] })
	return heard
}

func (b *aBridge) calls() (n int) {
	b.set(func() { n = len(b.heard) })
	return n
}

func (b *aBridge) logouts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, h := range b.heard {
		if strings.HasPrefix(h, logoutPath) {
			n++
		}
	}
	return n
}

func cardOf(t *testing.T, uid string) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: uid}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// shows opens a session by somebody's card, which is there until gone returns.
func shows(t *testing.T, g *Gateway, uid string, gone func(context.Context)) {
	t.Helper()
	c, key := cardOf(t, uid)
	o, err := g.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Sign(c, key); err != nil {
		t.Fatal(err)
	}
	before := g.newest().ticket
	o.Finish(Card{Holder: uid, Gone: gone, Alone: func(context.Context) bool { return true }})
	waitFor(t, func() bool { return g.newest().ticket != before })
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !what(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}

func stays(ctx context.Context) { <-ctx.Done() }

func TestHeld(t *testing.T) {
	opened := func(t *testing.T, now func() time.Time) (*Gateway, *aBridge) {
		t.Helper()
		b := &aBridge{}
		g := New(Config{Base: "https://gas.example", HTTP: &http.Client{Transport: b}, Version: "0.1.0", Now: now})
		t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
		return g, b
	}
	t.Run("own rule: a session ends when its card is taken out", func(t *testing.T) {
		g, b := opened(t, time.Now)
		out := make(chan struct{})
		shows(t, g, "555000000101", func(ctx context.Context) {
			select {
			case <-out:
			case <-ctx.Done():
			}
		})
		close(out)
		waitFor(t, func() bool { return !g.Holds() && b.logouts() == 1 })
	})
	t.Run("own rule: another person's card ends what was held, and one person holds a few", func(t *testing.T) {
		g, b := opened(t, time.Now)
		for range mostHeld + 1 {
			shows(t, g, "555000000101", stays)
		}
		waitFor(t, func() bool { return b.logouts() == 1 })
		shows(t, g, "555000000102", stays)
		waitFor(t, func() bool { return b.logouts() == 1+mostHeld })
		if len(g.held) != 1 {
			t.Errorf("%d are held", len(g.held))
		}
	})
	t.Run("own rule: another person's card ends what was held by being shown, whatever becomes of it", func(t *testing.T) {
		for _, other := range []string{"555000000102", "Dr Asha Smith"} {
			g, b := opened(t, time.Now)
			shows(t, g, "555000000101", stays)
			own, _ := cardOf(t, "555000000101")
			if g.Meets(own); !g.Holds() {
				t.Error("it ended with the card that opened it")
			}
			c, _ := cardOf(t, other)
			if g.Meets(c); g.Holds() {
				t.Errorf("it is held after %s", other)
			}
			waitFor(t, func() bool { return b.logouts() == 1 })
		}
	})
	t.Run("own rule: a sign-in waits for the bridge for less than two seconds, and where it was silent not again for a minute", func(t *testing.T) {
		now := time.Now()
		g, b := opened(t, func() time.Time { return now })
		shows(t, g, "555000000101", stays)
		waitFor(t, func() bool { return strings.Contains(b.last(), "selectedRoleUid") })
		b.set(func() { b.hangs = true })
		dpop := func(string) (string, error) { return "dpop", nil }
		gone, leave := context.WithCancel(t.Context())
		leave()
		if g.Proof(gone, dpop) != "" || !g.Holds() { // who turns away says nothing of the bridge
			t.Error("it is let alone")
		}
		began := time.Now()
		if g.Proof(t.Context(), dpop) != "" || time.Since(began) > 3*time.Second || g.Holds() {
			t.Errorf("after %v; it holds %t", time.Since(began), g.Holds())
		}
		n := b.calls()
		c, _ := cardOf(t, "555000000101")
		if _, err := g.Open(t.Context(), c); err == nil || g.Proof(t.Context(), dpop) != "" || b.calls() != n {
			t.Error("it is asked again at once")
		}
		b.set(func() { b.hangs = false })
		now = now.Add(time.Minute)
		if proof := g.Proof(t.Context(), dpop); proof != "p" || !g.Holds() {
			t.Errorf("a minute later Proof() = %q", proof)
		}
	})
	t.Run("own rule: by a session that the bridge calls over nobody asks again, and by one that a request does not take the next one does", func(t *testing.T) {
		g, b := opened(t, time.Now)
		shows(t, g, "555000000101", stays)
		dpop := func(string) (string, error) { return "dpop", nil }
		b.set(func() { b.no = "no_session" })
		if g.Proof(t.Context(), dpop) != "" || !g.Holds() {
			t.Error("it gave up what another request may take")
		}
		b.set(func() { b.no = "session_over" })
		if g.Proof(t.Context(), dpop) != "" || g.Holds() {
			t.Error("it asks on")
		}
		waitFor(t, func() bool { return strings.Contains(b.last(), "sso_ticket") })
		n := b.calls()
		if _, ok := g.Enters(t.Context()); ok || g.Proof(t.Context(), dpop) != "" || b.calls() != n || b.logouts() != 0 {
			t.Errorf("it asked again, or ended what was entered: %d calls, %d ends", b.calls()-n, b.logouts())
		}
		if g.End(t.Context()) != nil || b.logouts() != 1 {
			t.Error("it is not ended with its card")
		}
		b.set(func() { b.no = "" })
		shows(t, g, "555000000101", stays)
		if g.Proof(t.Context(), dpop) != "p" {
			t.Error("the next card's is not shown")
		}
	})
	t.Run("own rule: a session lets in only while its card is the only one at the desk", func(t *testing.T) {
		g, _ := opened(t, time.Now)
		c, key := cardOf(t, "555000000101")
		o, err := g.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Sign(c, key); err != nil {
			t.Fatal(err)
		}
		alone := true
		o.Finish(Card{Holder: "Asha", Gone: stays, Alone: func(context.Context) bool { return alone }})
		waitFor(t, g.Holds)
		if holder, ok := g.Enters(t.Context()); !ok || holder != "Asha" {
			t.Errorf("Enters() = %q, %t", holder, ok)
		}
		if alone = false; !g.Holds() {
			t.Error("it is held no more")
		}
		if _, ok := g.Enters(t.Context()); ok {
			t.Error("it lets in")
		}
	})
	t.Run("own rule: who signs out is told whether the bridge has ended it", func(t *testing.T) {
		for says, want := range map[int]bool{0: true, 3: true, 4: false} { // OLD-03: it was over already
			g, b := opened(t, time.Now)
			shows(t, g, "555000000101", stays)
			b.set(func() { b.says = says })
			if err := g.End(t.Context()); (err == nil) != want || g.Holds() {
				t.Errorf("told OLD-%02d, End() = %v", says, err)
			}
		}
	})
	t.Run("own rule: no SSO token stands in an address", func(t *testing.T) {
		g, b := opened(t, time.Now)
		shows(t, g, "555000000101", stays)
		waitFor(t, func() bool { return strings.Contains(b.last(), "selectedRoleUid") })
		_ = g.Proof(t.Context(), func(string) (string, error) { return "dpop", nil })
		b.set(func() {
			if seen := strings.Join(b.seen, " "); strings.Contains(seen, "ticket-") || !strings.Contains(seen, rolePath) {
				t.Errorf("it called %s", seen)
			}
		})
	})
	t.Run("own rule: what has lived as long as the gateway gave it is shown no more", func(t *testing.T) {
		now := time.Now()
		g, b := opened(t, func() time.Time { return now })
		shows(t, g, "555000000101", stays)
		if proof := g.Proof(t.Context(), func(string) (string, error) { return "dpop", nil }); proof != "p" {
			t.Errorf("Proof() = %q", proof)
		}
		now = now.Add(10 * time.Hour)
		n := len(b.heard)
		if g.Holds() || g.Proof(t.Context(), func(string) (string, error) { return "dpop", nil }) != "" || len(b.heard) != n {
			t.Error("it is shown")
		}
	})
	t.Run("own rule: a card that names nobody opens nothing", func(t *testing.T) {
		g, b := opened(t, time.Now)
		c, _ := cardOf(t, "Dr Asha Smith")
		if _, err := g.Open(t.Context(), c); err == nil || len(b.heard) != 0 {
			t.Errorf("Open() = %v after %v", err, b.heard)
		}
	})
}

func FuzzReadObject(f *testing.F) {
	f.Add([]byte(`<gpOBJECT><gpPARAM name="nhsjobrole0" id="1">x</gpPARAM></gpOBJECT>`))
	f.Add([]byte(`<?xml version="1.0"?><gpOBJECT/>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := readObject(raw)
		if err == nil && o.XMLName.Local != "gpOBJECT" {
			t.Errorf("%q is %s", raw, o.XMLName.Local)
		}
		_, _ = o.get("challenge"), o.roles()
	})
}
