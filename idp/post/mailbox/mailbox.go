// Package mailbox is a mail server in software, for tests: it speaks SMTP with
// TLS by an authority of its own, keeps what it takes, and can be made to fail
// at each step. It delivers nothing.
package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"
)

// Fault is what the server does with a letter instead of taking it. One that is
// not among those below is what it answers to the text.
type Fault string

// The faults beside answers.
const (
	None    Fault = ""
	Lose    Fault = "lose the letter and cut the line before the answer"
	CutLast Fault = "take the letter and cut the line before the answer"
	Stall   Fault = "take the text and say nothing, until the line is cut"
)

// Server is a mail server. Set what should differ before the first letter.
type Server struct {
	Root   *x509.Certificate // of its certificate
	NoTLS  bool              // it offers none
	Fault  func(to, id string) Fault
	Refuse func(to string) string // what it answers to an address; "" is yes
	User   string                 // whom it takes letters from alone, with Password
	Pass   string

	listener net.Listener
	implicit bool
	config   *tls.Config

	mu      sync.Mutex
	letters []*mail.Message
	bodies  []string
	stalled int
	lines   map[net.Conn]struct{}
	all     sync.WaitGroup
}

// Start starts one on this computer. With implicit it speaks TLS from the first
// byte.
func Start(ctx context.Context, implicit bool) (*Server, error) {
	return StartAt(ctx, "127.0.0.1:0", implicit)
}

// StartAt is Start at an address.
func StartAt(ctx context.Context, address string, implicit bool) (*Server, error) {
	s := &Server{implicit: implicit, lines: map[net.Conn]struct{}{}}
	if err := s.certify(); err != nil {
		return nil, err
	}
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.all.Go(s.accept)
	return s, nil
}

// certify makes an authority and a certificate for this computer.
func (s *Server) certify() error {
	rootKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("make keys: %w, %w", err1, err2)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Mail Root"}, NotBefore: firstDay, NotAfter: lastDay,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	if s.Root, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail"}, NotBefore: firstDay, NotAfter: lastDay,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err = x509.CreateCertificate(rand.Reader, leaf, s.Root, key.Public(), rootKey)
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	s.config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return nil
}

// The days of its certificates are wide: clients look at the real clock.
var (
	firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends it, and every line to it.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.Cut()
	s.all.Wait()
}

// Cut cuts every line to it.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.lines {
		_ = c.Close()
	}
}

// Letters are those that it took, in their order.
func (s *Server) Letters() []*mail.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*mail.Message(nil), s.letters...)
}

// Texts are the same letters as they came.
func (s *Server) Texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

// Stalled counts the letters at which it has fallen silent.
func (s *Server) Stalled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.lines[c] = struct{}{}
		s.mu.Unlock()
		s.all.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.lines, c)
				s.mu.Unlock()
			}()
			spoken := c
			if s.implicit {
				spoken = tls.Server(c, s.config)
			}
			(&talk{s: s, secured: s.implicit}).serve(spoken)
		})
	}
}

// talk is one line.
type talk struct {
	s       *Server
	c       net.Conn
	r       *bufio.Reader
	secured bool
	known   bool
	to      string
}

func (t *talk) say(format string, args ...any) { _, _ = fmt.Fprintf(t.c, format+"\r\n", args...) }

func (t *talk) on(c net.Conn) { t.c, t.r = c, bufio.NewReader(c) }

func (t *talk) serve(c net.Conn) {
	t.on(c)
	t.say("220 mailbox")
	for {
		line, err := t.r.ReadString('\n')
		if err != nil || !t.obey(strings.TrimSpace(line)) {
			return
		}
	}
}

// obey answers one command, and says whether the line goes on.
func (t *talk) obey(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		t.say("250-mailbox")
		if !t.secured && !t.s.NoTLS {
			t.say("250-STARTTLS")
		}
		if t.secured && t.s.User != "" {
			t.say("250-AUTH PLAIN")
		}
		t.say("250 8BITMIME")
	case "STARTTLS":
		t.say("220 go on")
		secured := tls.Server(t.c, t.s.config)
		if secured.HandshakeContext(context.Background()) != nil {
			return false
		}
		t.on(secured)
		t.secured = true
	case "AUTH":
		want := base64.StdEncoding.EncodeToString([]byte("\x00" + t.s.User + "\x00" + t.s.Pass))
		if t.known = rest == "PLAIN "+want; !t.known {
			t.say("535 no")
			return true
		}
		t.say("235 yes")
	case "MAIL":
		if t.s.User != "" && !t.known {
			t.say("530 who are you")
			return true
		}
		t.say("250 yes")
	case "RCPT":
		_, t.to, _ = strings.Cut(rest, "<")
		t.to, _, _ = strings.Cut(t.to, ">")
		if t.s.Refuse != nil && t.s.Refuse(t.to) != "" {
			t.say("%s", t.s.Refuse(t.to))
			return true
		}
		t.say("250 yes")
	case "DATA":
		return t.take()
	case "QUIT":
		t.say("221 farewell")
		return false
	default:
		t.say("250 yes")
	}
	return true
}

// take reads a letter, and keeps it or fails as it should.
func (t *talk) take() bool {
	t.say("354 go on")
	var text bytes.Buffer
	for {
		line, err := t.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := mail.ReadMessage(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.say("554 that is no letter")
		return true
	}
	fault := None
	if t.s.Fault != nil {
		fault = t.s.Fault(t.to, m.Header.Get("Message-ID"))
	}
	switch fault {
	case None, CutLast:
		t.s.mu.Lock()
		t.s.letters, t.s.bodies = append(t.s.letters, m), append(t.s.bodies, text.String())
		t.s.mu.Unlock()
		if fault == CutLast {
			return false
		}
		t.say("250 taken")
	case Lose:
		return false
	case Stall:
		t.s.mu.Lock()
		t.s.stalled++
		t.s.mu.Unlock()
		_, _ = t.r.ReadByte() // nobody says anything: the line is cut
		return false
	default:
		t.say("%s", fault)
	}
	return true
}
