package passkey_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

func TestMetadata(t *testing.T) {
	w := aWorld(t, nil)
	m := w.setting.Metadata
	due := noon.AddDate(0, 1, 0).Truncate(24 * time.Hour)
	t.Run("own rule: metadata says which it is and when the next is due", func(t *testing.T) {
		if known, unread := m.Models(); m.Number() != 7 || !m.NextUpdate().Equal(due) || known != 1 || unread != 0 || m.Stale() != noon.Sub(due) {
			t.Errorf("number %d, next %s, %d known, %d unread, stale %s", m.Number(), m.NextUpdate(), known, unread, m.Stale())
		}
	})
	t.Run("own rule: a file that did not change is not read again", func(t *testing.T) {
		if changed, err := m.Reload(); changed || err != nil {
			t.Errorf("Reload() = %t, %v", changed, err)
		}
	})
	t.Run("own rule: an older edition does not replace a newer one", func(t *testing.T) {
		w.publish(6, due, w.model())
		if changed, err := m.Reload(); changed || err == nil || m.Number() != 7 {
			t.Errorf("Reload() = %t, %v; number %d", changed, err, m.Number())
		}
		w.publish(8, due, w.model())
		if changed, err := m.Reload(); !changed || err != nil || m.Number() != 8 {
			t.Errorf("Reload() = %t, %v; number %d", changed, err, m.Number())
		}
	})
	t.Run("own rule: a file that is gone or spoilt leaves what was read", func(t *testing.T) {
		w.write([]byte("spoilt"))
		if _, err := m.Reload(); err == nil || m.Number() != 8 {
			t.Errorf("Reload() = %v; number %d", err, m.Number())
		}
		if err := os.Remove(w.file); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Reload(); err == nil || m.Number() != 8 {
			t.Errorf("Reload() = %v; number %d", err, m.Number())
		}
	})
	t.Run("own rule: no metadata knows nothing", func(t *testing.T) {
		var none *passkey.Metadata
		if known, _ := none.Models(); none.Number() != 0 || !none.NextUpdate().IsZero() || known != 0 || none.Stale() != 0 {
			t.Error("it does")
		}
	})
}

// TestMetadataTrust is whom we believe.
func TestMetadataTrust(t *testing.T) {
	due := noon.AddDate(0, 1, 0)
	for _, tt := range []struct {
		rule   string
		change func(w *world)
	}{
		{"another root", func(w *world) {
			w.write(must(must(testkey.NewAlliance())(w.t).Publish(8, due, w.model()))(w.t))
		}},
		{"another customer of the same root", func(w *world) {
			w.alliance.Signer = "evil.example"
			w.publish(8, due, w.model())
		}},
		{"a signer whose certificate has ended", func(w *world) {
			w.alliance.Ends = noon.Add(-time.Hour)
			w.publish(8, due, w.model())
		}},
		{"a wrong signature", func(w *world) {
			raw := must(w.alliance.Publish(8, due, w.model()))(w.t)
			dot := bytes.LastIndexByte(raw, '.')
			raw[dot+1] ^= 1
			w.write(raw)
		}},
		{"no signature", func(w *world) { w.write([]byte("eyJhbGciOiJub25lIn0.e30.")) }},
		{"no certificates", func(w *world) { w.write([]byte("eyJhbGciOiJFUzI1NiJ9.e30.AAAA")) }},
		{"no number", func(w *world) { w.write(must(w.alliance.Sign([]byte(`{"nextUpdate":"2030-02-01"}`)))(w.t)) }},
		{"no day", func(w *world) { w.write(must(w.alliance.Sign([]byte(`{"no":8}`)))(w.t)) }},
		{"no JSON", func(w *world) { w.write(must(w.alliance.Sign([]byte(`8`)))(w.t)) }},
		{"nothing", func(w *world) { w.write(nil) }},
	} {
		t.Run("own rule: metadata is not believed with "+tt.rule, func(t *testing.T) {
			w := aWorld(t, nil)
			tt.change(w)
			if _, err := passkey.Load(passkey.Source{File: w.file, Root: w.alliance.Root, Now: w.clock}); err == nil {
				t.Error("Load() took it")
			}
		})
	}
	t.Run("own rule: metadata is the FIDO Alliance's where nothing else is said", func(t *testing.T) {
		w := aWorld(t, nil)
		if _, err := passkey.Load(passkey.Source{File: w.file, Now: w.clock}); err == nil {
			t.Error("Load() took a stranger's")
		}
	})
	t.Run("own rule: nothing is asked of the network, though a certificate says where", func(t *testing.T) {
		asked := false
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
		w := aWorld(t, nil)
		w.alliance.Sources = server.URL
		w.publish(8, due, w.model())
		w.load()
		server.Close()
		if asked {
			t.Error("it was")
		}
	})
	t.Run("own rule: an entry that cannot be read costs its own model alone", func(t *testing.T) {
		w := aWorld(t, nil)
		w.write(must(w.alliance.Sign([]byte(`{"no":8,"nextUpdate":"2030-02-01","entries":[
			{"aaguid":"` + named + `","statusReports":7},
			{"aaguid":"no aaguid","timeOfLastStatusChange":"2022-01-01"},
			{"aaid":"1234#5678"},
			{"aaguid":"bb000000-0000-0000-0000-000000000001","timeOfLastStatusChange":"2022-01-01"}]}`)))(t))
		if known, unread := w.load().Models(); known != 1 || unread != 2 {
			t.Errorf("%d known, %d unread", known, unread)
		}
	})
	t.Run("own rule: what is said of a model twice counts twice", func(t *testing.T) {
		w := aWorld(t, nil)
		revoked := w.model()
		revoked.Status = []string{"REVOKED"}
		w.publish(8, due, w.model(), revoked)
		if _, err := w.setting.Metadata.Reload(); err != nil {
			t.Fatal(err)
		}
		if a, err := w.enrol(holder, w.aTrustedKey()); err != nil || a.Level != 2 {
			t.Errorf("FinishEnrolment() = level %d, %v", a.Level, err)
		}
	})
}
