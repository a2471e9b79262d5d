package post_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/post"
	"github.com/lanyard-id/lanyard/idp/post/mailbox"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/web"
)

var (
	server    *servers.Postgres
	databases atomic.Int64
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = servers.StartPostgres(context.Background(), false); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Stop() }()
		return m.Run()
	}())
}

// paper seals by naming what it was sealed for.
type paper struct{}

func (paper) Seal(plain, of []byte) ([]byte, error) { return append(append(of, 0), plain...), nil }

func (paper) Unseal(sealed, of []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, append(of, 0))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return plain, nil
}

// world is an outbox with a mail server beside it.
type world struct {
	t      *testing.T
	store  *postgres.Store
	box    *mailbox.Server
	server post.Server
	words  *web.Site

	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	counted map[string]int
}

func aWorld(t *testing.T, change func(*mailbox.Server)) *world {
	t.Helper()
	return aWorldWith(t, post.StartTLS, change)
}

func aWorldWith(t *testing.T, how string, change func(*mailbox.Server)) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Microsecond), counted: map[string]int{}}
	url, err := server.Create(t.Context(), fmt.Sprintf("test_%d", databases.Add(1)), "template1")
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), url, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if w.store, err = postgres.Open(t.Context(), postgres.Config{URL: url, Now: w.clock, Sealer: paper{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	if w.box, err = mailbox.Start(t.Context(), how == post.Implicit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.box.Close)
	if change != nil {
		change(w.box)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.box.Root)
	w.server = post.Server{Address: w.box.Address(), From: "no-reply@hospital.example", TLS: how, Roots: roots}
	if w.words, err = web.New(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) count(result string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted[result]++
}

// Write makes the world what is logged to.
func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *world) post(outbox post.Outbox) *post.Post {
	return &post.Post{Outbox: outbox, Words: w.words, Server: w.server, Count: w.count, Now: w.clock, Log: slog.New(slog.NewTextHandler(w, nil))}
}

// tell puts mails into the outbox.
func (w *world) tell(mails ...idp.Mail) {
	w.t.Helper()
	for _, m := range mails {
		act := idp.Act{Event: idp.Event{At: w.clock(), Kind: idp.AuthenticatorAdded, Subject: "555000000101"}, Mails: []idp.Mail{m}}
		if err := w.store.Tell(w.t.Context(), act); err != nil {
			w.t.Fatal(err)
		}
	}
}

func added(to string) idp.Mail {
	return idp.Mail{To: to, Lang: "en", Text: "mail.added", Args: map[string]string{"name": "My {text} ward key"}}
}

const asha = "asha.smith@riverside.example"

// drain carries what is due until nothing is.
func (w *world) drain(p *post.Post) error {
	w.t.Helper()
	for {
		found, err := p.One(w.t.Context())
		if !found || err != nil {
			return err
		}
	}
}

func (w *world) waiting() int {
	w.t.Helper()
	n, err := w.store.MailsWaiting(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// text is what the letter at i says.
func (w *world) text(i int) (subject, body string) {
	w.t.Helper()
	m := w.box.Letters()[i]
	subject, err1 := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	b, err2 := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err := errors.Join(err1, err2); err != nil {
		w.t.Fatal(err)
	}
	return subject, string(b)
}

func TestPost(t *testing.T) {
	for _, how := range []string{post.StartTLS, post.Implicit} {
		t.Run("own rule: a mail comes once, in words, and nothing of it is kept ("+how+")", func(t *testing.T) {
			w := aWorldWith(t, how, func(s *mailbox.Server) { s.User, s.Pass = "lanyard", "Xk29dLq" })
			w.server.Username, w.server.Password = "lanyard", "Xk29dLq"
			w.tell(added(asha))
			if err := w.drain(w.post(w.store)); err != nil {
				t.Fatal(err)
			}
			subject, body := w.text(0)
			if len(w.box.Letters()) != 1 || subject != "A new way to sign in was added" || !strings.Contains(body, "My {text} ward key") || !strings.Contains(body, "Lanyard sent this mail") {
				t.Errorf("%d letters; %s\n%s", len(w.box.Letters()), subject, body)
			}
			m := w.box.Letters()[0]
			if m.Header.Get("To") != "<"+asha+">" || m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(m.Header.Get("Message-Id"), "@hospital.example>") {
				t.Errorf("%v", m.Header)
			}
			if w.waiting() != 0 || w.counted["sent"] != 1 {
				t.Errorf("%d wait, %v", w.waiting(), w.counted)
			}
		})
	}
	t.Run("own rule: a mail is in the language of its person", func(t *testing.T) {
		w := aWorld(t, nil)
		m := added(asha)
		m.Lang = "cy"
		w.tell(m)
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		if subject, body := w.text(0); subject != "Ychwanegwyd ffordd newydd o fewngofnodi" || !strings.Contains(body, "cysylltwch â'ch Awdurdod Cofrestru") {
			t.Errorf("%s\n%s", subject, body)
		}
	})
	for _, tt := range []struct {
		rule   string
		change func(*world)
	}{
		{"a mail server that offers no TLS", func(w *world) { w.box.NoTLS = true }},
		{"a mail server that does not prove who it is", func(w *world) { w.server.Roots = x509.NewCertPool() }},
		{"a mail server that does not know us", func(w *world) { w.box.User, w.server.Username, w.server.Password = "lanyard", "lanyard", "Xk29dLq" }},
		{"a mail server that is gone", func(w *world) { w.box.Close() }},
	} {
		t.Run("own rule: nothing is handed to "+tt.rule+", and the mail waits", func(t *testing.T) {
			w := aWorld(t, nil)
			tt.change(w)
			w.tell(added(asha))
			_, err := w.post(w.store).One(t.Context())
			if err == nil || strings.Contains(err.Error(), "Xk29dLq") || len(w.box.Letters()) != 0 || w.waiting() != 1 {
				t.Errorf("%v; %d letters, %d wait", err, len(w.box.Letters()), w.waiting())
			}
		})
	}
	t.Run("own rule: a mail that is for nobody goes nowhere, and nothing is told of it", func(t *testing.T) {
		w := aWorld(t, func(s *mailbox.Server) { s.Close() }) // nor does it wait for a mail server
		w.tell(idp.Mail{To: "---------------", Lang: "cy", Text: "mail.none", Args: map[string]string{"code": "ABCD-EFGH"}})
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		var journal bytes.Buffer
		if err := w.store.Export(t.Context(), &journal, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if w.waiting() != 0 || len(w.counted) > 0 || w.log.Len() > 0 || strings.Contains(journal.String(), string(idp.MailFailed)) {
			t.Errorf("%d wait, %v, the log has %s and the journal\n%s", w.waiting(), w.counted, w.log.String(), journal.String())
		}
	})
	t.Run("own rule: no log and no journal has an address or a text", func(t *testing.T) {
		w := aWorld(t, func(s *mailbox.Server) {
			s.Refuse = func(to string) string {
				return map[bool]string{true: "550 no such user " + to}[strings.HasPrefix(to, "nobody")]
			}
			s.Fault = func(string, string) mailbox.Fault { return "451 later, " + asha }
		})
		w.tell(added(asha), added("nobody@riverside.example"), idp.Mail{To: "x", Text: "mail.added"})
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		var journal bytes.Buffer
		if err := w.store.Export(t.Context(), &journal, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		for _, told := range []string{w.log.String(), journal.String()} {
			if strings.Contains(told, "riverside") || strings.Contains(told, "ward key") || told == "" {
				t.Errorf("it says\n%s", told)
			}
		}
		if w.counted["refused"] != 1 || w.counted["retried"] != 1 || w.counted["unreadable"] != 1 || strings.Count(journal.String(), "mail_failed") != 2 {
			t.Errorf("%v\n%s", w.counted, journal.String())
		}
	})
}

func TestTries(t *testing.T) {
	t.Run("own rule: a mail is tried again, ever more slowly, for a day", func(t *testing.T) {
		w := aWorld(t, func(s *mailbox.Server) { s.Fault = func(string, string) mailbox.Fault { return "451 later" } })
		w.tell(added(asha))
		p := w.post(w.store)
		for range 26 * 60 {
			if err := w.drain(p); err != nil {
				t.Fatal(err)
			}
			w.advance(time.Minute)
		}
		if n := w.counted["retried"]; n < 60 || n > 200 || w.counted["expired"] != 1 || w.waiting() != 0 {
			t.Errorf("%v, %d wait", w.counted, w.waiting())
		}
	})
	t.Run("own rule: a code is not sent when it is worth nothing any more", func(t *testing.T) {
		w := aWorld(t, nil)
		w.tell(idp.Mail{To: asha, Lang: "en", Text: "mail.code", Args: map[string]string{"code": "ABCD-EFGH"}}, added(asha))
		w.advance(idp.MailCodeLife)
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		if len(w.box.Letters()) != 1 || w.counted["expired"] != 1 || w.waiting() != 0 {
			t.Errorf("%d letters, %v", len(w.box.Letters()), w.counted)
		}
	})
	for fault, want := range map[mailbox.Fault]int{mailbox.CutLast: 2, mailbox.Lose: 0} {
		t.Run("own rule: what may have been taken is handed over once more and not again: "+string(fault), func(t *testing.T) {
			w := aWorld(t, func(s *mailbox.Server) { s.Fault = func(string, string) mailbox.Fault { return fault } })
			w.tell(added(asha))
			for range 10 {
				if err := w.drain(w.post(w.store)); err != nil {
					t.Fatal(err)
				}
				w.advance(20 * time.Minute)
			}
			letters := w.box.Letters()
			if len(letters) != want || w.counted["retried"] != 2 || w.counted["unanswered"] != 1 || w.waiting() != 0 {
				t.Errorf("%d letters, %v", len(letters), w.counted)
			}
			if want == 2 && letters[0].Header.Get("Message-Id") != letters[1].Header.Get("Message-Id") {
				t.Error("the two are not called the same")
			}
		})
	}
	t.Run("own rule: a mail server that said no in between does not count as silence", func(t *testing.T) {
		var asked atomic.Int64
		w := aWorld(t, func(s *mailbox.Server) {
			s.Fault = func(string, string) mailbox.Fault {
				return []mailbox.Fault{"451 later", "451 later", "451 later", mailbox.None}[min(asked.Add(1)-1, 3)]
			}
		})
		w.tell(added(asha))
		for range 8 {
			if err := w.drain(w.post(w.store)); err != nil {
				t.Fatal(err)
			}
			w.advance(20 * time.Minute)
		}
		if len(w.box.Letters()) != 1 || w.counted["sent"] != 1 {
			t.Errorf("%d letters, %v", len(w.box.Letters()), w.counted)
		}
	})
}

// mortal is an outbox whose server can be killed: it then writes nothing more.
type mortal struct {
	post.Outbox
	dead atomic.Bool
}

var errDead = errors.New("killed")

func (m *mortal) PutBackMail(ctx context.Context, o idp.Outgoing, next time.Time) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Outbox.PutBackMail(ctx, o, next)
}

func (m *mortal) EndMail(ctx context.Context, o idp.Outgoing, why string) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Outbox.EndMail(ctx, o, why)
}

func TestServersTogether(t *testing.T) {
	mails := func(n int) []idp.Mail {
		var all []idp.Mail
		for i := range n {
			all = append(all, added(fmt.Sprintf("person%d@riverside.example", i)))
		}
		return all
	}
	once := func(t *testing.T, w *world, n int) {
		t.Helper()
		seen := map[string]int{}
		for _, m := range w.box.Letters() {
			seen[m.Header.Get("To")]++
		}
		if len(seen) != n || len(w.box.Letters()) != n || w.waiting() != 0 {
			t.Errorf("%d letters to %d people, %d wait, want %d", len(w.box.Letters()), len(seen), w.waiting(), n)
		}
	}
	t.Run("own rule: of many servers each mail is one's: each comes once, none is lost", func(t *testing.T) {
		w := aWorld(t, nil)
		w.tell(mails(40)...)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := w.drain(w.post(w.store)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		once(t, w, 40)
	})
	t.Run("own rule: a server that is killed with a mail in hand leaves it to the next: once, and not lost", func(t *testing.T) {
		var live atomic.Bool
		w := aWorld(t, func(s *mailbox.Server) {
			s.Fault = func(to, _ string) mailbox.Fault {
				if strings.HasPrefix(to, "person3@") && !live.Load() {
					return mailbox.Stall
				}
				return mailbox.None
			}
		})
		w.tell(mails(6)...)
		victim, killed := &mortal{Outbox: w.store}, make(chan struct{})
		ctx, kill := context.WithCancel(t.Context())
		go func() {
			defer close(killed)
			_ = w.post(victim).Run(ctx)
		}()
		deadline := time.After(20 * time.Second)
		for w.box.Stalled() == 0 {
			select {
			case <-deadline:
				t.Fatal("no mail is in hand")
			case <-time.After(5 * time.Millisecond):
			}
		}
		victim.dead.Store(true)
		kill()
		<-killed
		live.Store(true)
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		if n := w.waiting(); n != 1 {
			t.Errorf("%d wait while the dead one's time runs", n)
		}
		w.advance(time.Minute)
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		once(t, w, 6)
	})
	t.Run("own rule: who was too slow hands nothing over, for another has the mail", func(t *testing.T) {
		w := aWorld(t, nil)
		w.tell(added(asha))
		slow := &late{Outbox: w.store, meanwhile: func() {
			w.advance(time.Minute)
			if o, err := w.store.TakeMail(t.Context(), w.clock(), w.clock().Add(time.Minute)); err != nil || o.Mail.To != asha {
				t.Errorf("the other took %v, %v", o.ID, err)
			}
		}}
		if _, err := w.post(slow).One(t.Context()); err != nil || len(w.box.Letters()) != 0 {
			t.Errorf("%v, %d letters", err, len(w.box.Letters()))
		}
		w.advance(time.Minute)
		if err := w.drain(w.post(w.store)); err != nil {
			t.Fatal(err)
		}
		once(t, w, 1)
	})
}

// late is an outbox whose server is held up before it hands a mail over.
type late struct {
	post.Outbox
	meanwhile func()
}

func (l *late) HandMail(ctx context.Context, o idp.Outgoing) error {
	l.meanwhile()
	return l.Outbox.HandMail(ctx, o)
}
