package gateway

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
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
}

// RoundTrip implements http.RoundTripper.
func (b *aBridge) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.heard = append(b.heard, r.URL.Path+" "+string(body))
	n := len(b.heard)
	b.mu.Unlock()
	answer := "<gpOBJECT></gpOBJECT>"
	switch r.URL.Path {
	case activatePath:
		answer = `<gpOBJECT><gpPARAM name="challenge">AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</gpPARAM><gpPARAM name="signature">c2ln</gpPARAM></gpOBJECT>`
	case validatePath:
		answer = fmt.Sprintf(`<gpOBJECT><gpPARAM name="sso_ticket">ticket-%d</gpPARAM><gpPARAM name="sso_max_session_time">600</gpPARAM></gpOBJECT>`, n)
	case proofPath:
		answer = `{"proof":"p"}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
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
	key, err := rsa.GenerateKey(rand.Reader, 2048)
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
	before := g.newest()
	o.Finish(gone)
	waitFor(t, func() bool { return g.newest() != before })
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
