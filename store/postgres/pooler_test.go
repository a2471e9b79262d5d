package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

// TestPooler puts before one of two servers what some put before PostgreSQL.
func TestPooler(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		via   func(client, server net.Conn)
		hears bool
	}{
		{"own rule: behind a pooler that lends another session each time, PostgreSQL is asked", elsewhere, false},
		{"own rule: behind a pooler that lends the same session each time, PostgreSQL is asked", lent, false},
		{"own rule: a pooler that keeps a session for each client is no hindrance", through, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			direct := aDatabase(t)
			a, b := openAt(t, pooled(t, direct, tt.via)), listening(t, openAt(t, direct))
			if tt.hears {
				listening(t, a)
			}
			stands(t, a, session("s"), false)
			end(t, b, session("s"))
			eventually(t, soon, "it is known that the session ended", func() bool {
				ended, err := a.Stands(t.Context(), session("s"))
				return err == nil && ended
			})
			if !tt.hears {
				if err := deafness(t, a); !errors.Is(err, errDeaf) || a.feed.fresh() {
					t.Errorf("the feed says %v, fresh %v; want %v", err, a.feed.fresh(), errDeaf)
				}
			}
		})
	}
	t.Run("own rule: a connection that goes deaf is given up", func(t *testing.T) {
		var deaf atomic.Bool
		a := listening(t, openAt(t, pooled(t, aDatabase(t), func(client, server net.Conn) { filter(client, server, deaf.Load) })))
		deaf.Store(true)
		eventually(t, soon, "the feed is not fresh", func() bool { return !a.feed.fresh() })
		stands(t, a, idp.Fence{Kind: idp.SessionFence, Hash: "s"}, false)
		deaf.Store(false)
		listening(t, a)
	})
}

// deafness returns what a feed like that of s says of its connection.
func deafness(t *testing.T, s *Store) error {
	t.Helper()
	f := &feed{config: s.pool.Config().ConnConfig, now: s.now, log: silent}
	_, err := f.listen(t.Context())
	return err
}

// pooled returns the URL of a pooler before the PostgreSQL at direct.
func pooled(t *testing.T, direct string, via func(client, server net.Conn)) string {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	behind := u.Host
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", behind)
				if err != nil {
					return
				}
				defer func() { _ = server.Close() }()
				via(client, server)
			}()
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

// through passes everything on.
func through(client, server net.Conn) { filter(client, server, func() bool { return false }) }

// elsewhere lets LISTEN fall on a session that nobody reads.
func elsewhere(client, server net.Conn) {
	go func() { _, _ = io.Copy(client, server) }()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if _, err := server.Write(bytes.ReplaceAll(b[:n], []byte("LISTEN lanyard"), []byte("LISTEN nobodys"))); err != nil {
			return
		}
	}
}

// lent lends the session while a question is on its way, and drops what comes
// between questions.
func lent(client, server net.Conn) {
	var mu sync.Mutex
	asking := true
	set := func(to bool) { mu.Lock(); asking = to; mu.Unlock() }
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := client.Read(b)
			if err != nil {
				_ = server.Close()
				return
			}
			set(true)
			if _, err := server.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	answers(client, server, func(kind byte) bool {
		mu.Lock()
		defer mu.Unlock()
		return kind != 'A' || asking
	}, func() { set(false) })
}

// filter passes everything on but notifications while deaf says so.
func filter(client, server net.Conn, deaf func() bool) {
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	answers(client, server, func(kind byte) bool { return kind != 'A' || !deaf() }, func() {})
}

// answers passes on those messages of server that may pass, and tells when it
// is ready for the next question.
func answers(client, server net.Conn, pass func(kind byte) bool, ready func()) {
	head := make([]byte, 5) // the kind, and the length with itself
	for {
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'Z' {
			ready()
		}
		if !pass(head[0]) {
			continue
		}
		if _, err := client.Write(append(head[:5:5], body...)); err != nil {
			return
		}
	}
}
