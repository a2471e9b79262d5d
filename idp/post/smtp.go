package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// step bounds each of two: to reach the mail server and prove who both are, and
// to hand over a mail. Together they are well within a lease.
const step = 10 * time.Second

// Server is the mail server that takes our mails.
type Server struct {
	Address  string // host:port
	Username string // empty: it asks for none
	Password string
	From     string         // the address that mails come from
	TLS      string         // StartTLS, Implicit or None
	Roots    *x509.CertPool // of its certificate; nil means the machine's
}

// How the mail server is talked to. None is for this computer alone.
const (
	StartTLS = "starttls"
	Implicit = "implicit"
	None     = "none"
)

// LogValue hides all of it, for the password's sake.
func (Server) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// Check says whether the mail server answers, proves who it is and knows us.
// It hands over nothing.
func (s Server) Check(ctx context.Context) error {
	l, err := s.call(ctx)
	if err != nil {
		return err
	}
	l.hangUp()
	return nil
}

// line is a connection to the mail server, ready to take a mail.
type line struct {
	client *mail.Client
	talk   *smtp.Client
	conn   net.Conn
	forget func() bool
}

// call reaches the mail server. Nothing is said to one that does not prove who
// it is, and TLS is never optional.
func (s Server) call(ctx context.Context) (*line, error) {
	host, number, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, errors.New("the mail server has no address")
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", number)
	if err != nil {
		return nil, errors.New("the mail server has no port")
	}
	dialling, cancel := context.WithTimeout(ctx, step)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(dialling, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("reach the mail server: %w", err)
	}
	forget := context.AfterFunc(ctx, func() { _ = conn.Close() }) // who leaves does not wait for it
	l, err := s.greet(dialling, conn, host)
	if err != nil {
		forget()
		_ = conn.Close()
		return nil, fmt.Errorf("the mail server: %w", err)
	}
	l.forget = forget
	return l, nil
}

func (s Server) greet(ctx context.Context, conn net.Conn, host string) (*line, error) {
	config := &tls.Config{ServerName: host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	with := []mail.Option{mail.WithTimeout(step), mail.WithTLSConfig(config), mail.WithoutNoop(), mail.WithoutRset(),
		mail.WithTLSPolicy(mail.TLSMandatory)}
	if s.TLS != StartTLS {
		with = append(with, mail.WithTLSPolicy(mail.NoTLS)) // there is nothing more to ask for
	}
	if s.TLS == Implicit {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	if s.Username != "" {
		with = append(with, mail.WithUsername(s.Username), mail.WithPassword(s.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	with = append(with, mail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }))
	client, err := mail.NewClient(host, with...)
	if err != nil {
		return nil, err
	}
	talk, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return &line{client: client, talk: talk, conn: conn}, nil
}

// fate is what became of a mail that was handed over.
type fate int

const (
	unknown  fate = iota // it may have been taken
	taken                // it is the mail server's now
	notTaken             // it is not, and may be another time
	refused              // and never will be
)

// answer is what the mail server said, without its words: there may be an
// address in them.
type answer struct {
	fate fate
	at   string // the step at which it was said
	code int    // 0: nothing was said
}

// hand hands over a mail.
func (l *line) hand(m *mail.Msg) answer {
	err := l.client.SendWithSMTPClient(l.talk, m)
	if err == nil || m.IsDelivered() {
		return answer{fate: taken}
	}
	said, ok := errors.AsType[*mail.SendError](err)
	if !ok {
		return answer{fate: unknown, at: "nowhere known"}
	}
	a := answer{fate: notTaken, at: said.Reason.String(), code: said.ErrorCode()}
	aboutIt := said.Reason == mail.ErrSMTPRcptTo || said.Reason == mail.ErrSMTPDataClose
	switch {
	case said.Reason == mail.ErrSMTPDataClose && a.code == 0:
		a.fate = unknown // RFC 5321 §4.5.3.2.6: all of it was sent, and no answer came
	case aboutIt && a.code >= 500:
		a.fate = refused // RFC 5321 §4.2.1; at other steps it is about us, and may be mended
	}
	return a
}

// hangUp ends the connection. What was taken stays taken, whatever is said now.
func (l *line) hangUp() {
	defer l.forget()
	_ = l.conn.SetDeadline(time.Now().Add(time.Second)) //nolint:forbidigo // a connection's own clock
	_ = l.talk.Quit()
	_ = l.conn.Close()
}
