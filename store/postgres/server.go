package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Target is what a URL says of the way to a PostgreSQL.
type Target struct {
	Password string // from the URL; hidden wherever it is printed
	Far      bool   // some host of it is another computer
	Plain    bool   // it may talk without TLS to another computer
	Unproved bool   // it may talk to another computer without asking who that is
}

// ReadTarget reads a URL. The error holds nothing of it: there may be a
// password in it.
func ReadTarget(url string) (Target, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return Target{}, errors.New("not a URL of PostgreSQL")
	}
	t := Target{Password: c.Password}
	look := func(host string, encrypted *tls.Config) {
		if near(host) {
			return
		}
		t.Far = true
		t.Plain = t.Plain || encrypted == nil
		t.Unproved = t.Unproved || encrypted != nil && encrypted.InsecureSkipVerify && encrypted.VerifyPeerCertificate == nil && encrypted.VerifyConnection == nil
	}
	look(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		look(f.Host, f.TLSConfig)
	}
	return t, nil
}

// near says whether host is this computer: a socket of it, or its own network.
func near(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// Server is what a PostgreSQL says of itself.
type Server struct {
	Version           int // as server_version_num: 150004 is 15.4
	SynchronousCommit string
	FSync             bool
	FullPageWrites    bool
	InRecovery        bool          // a replica, which takes no writes
	TLS               bool          // of this connection
	Ahead             time.Duration // of its clock before ours
}

// Inspect asks the PostgreSQL at url about itself. now is our clock, which the
// server's is compared with and nothing more.
func Inspect(ctx context.Context, url string, now func() time.Time) (Server, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return Server{}, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var s Server
	var at time.Time
	asked := now()
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'),
		current_setting('fsync')::bool, current_setting('full_page_writes')::bool, pg_is_in_recovery(),
		coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), clock_timestamp()`).
		Scan(&s.Version, &s.SynchronousCommit, &s.FSync, &s.FullPageWrites, &s.InRecovery, &s.TLS, &at)
	if err != nil {
		return Server{}, fmt.Errorf("ask PostgreSQL about itself: %w", err)
	}
	s.Ahead = at.Sub(middle(asked, now()))
	return s, nil
}

// middle is when the server looked at its clock, as near as we can know.
func middle(asked, answered time.Time) time.Time { return asked.Add(answered.Sub(asked) / 2) }
