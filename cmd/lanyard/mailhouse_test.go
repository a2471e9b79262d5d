package main

import (
	"encoding/pem"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/post/mailbox"
)

// withMail adds a mail server to settings.
func withMail(t *testing.T, settings map[string]string) *mailbox.Server {
	t.Helper()
	box, err := mailbox.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	settings["smtp.address"], settings["smtp.from"] = box.Address(), "no-reply@hospital.example"
	settings["smtp.ca_file"] = written(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: box.Root.Raw})))
	return box
}

// tellAt writes mails to n people as a server would, at at.
func tellAt(t *testing.T, settings map[string]string, at time.Time, n int) {
	t.Helper()
	store, done, err := openProduction(t.Context(), settledOf(t, settings), discard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for i := range n {
		err := store.Tell(t.Context(), idp.Act{Event: idp.Event{At: at, Kind: idp.AuthenticatorAdded},
			Mails: []idp.Mail{{To: string(rune('a'+i)) + "@riverside.example", Lang: "en", Text: "mail.added", Args: map[string]string{"name": "Ward key"}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestServersCarryMails(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	box := withMail(t, settings)
	t.Run("own rule: servers carry mails, each once, and one that is killed stops none", func(t *testing.T) {
		both := []*serving{serveOn(t, settings), serveOn(t, settings)}
		tellAt(t, settings, time.Now(), 10)
		until(t, "half of them came", func() bool { return len(box.Letters()) >= 5 })
		both[0].signal(t, syscall.SIGKILL)
		tellAt(t, settings, time.Now(), 10)
		until(t, "nearly all came", func() bool { return len(box.Letters()) >= 19 }) // the dead one may have held one
		to := map[string]int{}
		for _, m := range box.Letters() {
			if id := m.Header.Get("Message-Id"); to[id] > 0 {
				t.Errorf("%s came twice", id)
			} else {
				to[id]++
			}
		}
		if log := both[1].logged(t); strings.Contains(log, "riverside") {
			t.Errorf("the log has an address:\n%s", log)
		}
	})
	t.Run("own rule: a doctor asks the mail server whether it takes our mails", func(t *testing.T) {
		if got := lanyard(t, settings, "doctor"); !strings.Contains(got.out, "ok    smtp: it answers") || !strings.Contains(got.out, "ok    outbox: ") {
			t.Errorf("it says\n%s", got.out)
		}
		if got := lanyard(t, withSetting(settings, "smtp.ca_file", settings["smartcard.trust_files"]), "doctor"); !strings.Contains(got.out, "warn  smtp: the mail server: ") {
			t.Errorf("of one that does not prove who it is it says\n%s", got.out)
		}
	})
}

func TestOutboxWithoutMailServer(t *testing.T) {
	t.Run("own rule: without a mail server mails wait for a day, and a doctor says so", func(t *testing.T) {
		settings := aProduction(t)
		tellAt(t, settings, time.Now().Add(-25*time.Hour), 3)
		tellAt(t, settings, time.Now(), 2)
		p, err := wireProduction(t.Context(), settledOf(t, settings), discard())
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		for range 2 {
			if err := p.keepOutbox(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		events := lanyard(t, settings, "audit", "export").out
		if n := count(t, settings["postgres.url"], "SELECT count(*) FROM outbox"); n != 2 || strings.Count(events, "mail.added: expired") != 3 {
			t.Errorf("%d wait, and the journal has\n%s", n, events)
		}
		if got := lanyard(t, settings, "doctor"); !strings.Contains(got.out, "warn  smtp: no mail server is named") || !strings.Contains(got.out, "ok    outbox: 2 mails wait") ||
			!strings.Contains(got.out, "warn  webauthn.metadata_file: there is none") {
			t.Errorf("it says\n%s", got.out)
		}
	})
}

func TestDoctorOnWays(t *testing.T) {
	t.Parallel()
	w := aKeyWorld(t)
	w.settings["federated.issuer"], w.settings["federated.client_id"], w.settings["federated.client_secret_file"] = "http://localhost:1/upstream", "lanyard", written(t, "Xk29dLqPw")
	for rule, tt := range map[string]struct {
		in   time.Duration
		want string
	}{
		"metadata in time":               {30 * 24 * time.Hour, "ok    webauthn.metadata_file: number 1, of 1 models; the next is due on "},
		"metadata a week before its day": {6 * 24 * time.Hour, "warn  webauthn.metadata_file: number 1"},
		"metadata past its day":          {-24 * time.Hour, ", which is past; fetch the next one"},
	} {
		t.Run("own rule: a doctor sees "+rule, func(t *testing.T) {
			w.publish(t, 1, tt.in)
			got := lanyard(t, w.settings, "doctor")
			if !strings.Contains(got.out, tt.want) || !strings.Contains(got.out, "warn  federated.issuer: it does not answer") || strings.Contains(got.out+got.errors, "Xk29dLqPw") {
				t.Errorf("it says\n%s", got.out)
			}
		})
	}
}
