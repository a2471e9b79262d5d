package passkey_test

import (
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// zeros makes every question the same one, so that what was an answer once is
// one again, and what differs from it by a byte comes as far as that byte.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func predictable(c *passkey.Config) { c.Rand = zeros{} }

// judged checks what is true of every answer: it is taken, or it is refused in
// a few words.
func judged(t *testing.T, err error) {
	t.Helper()
	if err != nil && (!errors.Is(err, authenticators.ErrRefused) || len(err.Error()) > 100) {
		t.Errorf("error %v, want a short refusal", err)
	}
}

// spoil puts other bytes into an answer: in the place of as many as drop says,
// or of all of it.
func spoil(answer, with []byte, at uint16, drop uint8) []byte {
	if drop == 255 {
		return with
	}
	from := int(at) % len(answer)
	return slices.Concat(answer[:from], with, answer[min(from+int(drop), len(answer)):])
}

// FuzzFinish spoils the answer of a sign-in in any way. Whoever is signed in
// has the one key that there is.
func FuzzFinish(f *testing.F) {
	w := aWorld(f, predictable)
	k := w.aTrustedKey()
	k.Flags, k.Extensions = verified|testkey.Extended, []byte("\xa1\x63xyz\x01")
	w.add(holder, k)
	good := must(k.Get(w.question(), origin))(f)
	f.Add([]byte{}, uint16(0), uint8(0))
	f.Add([]byte("A"), uint16(400), uint8(1))
	f.Add([]byte(good), uint16(0), uint8(255))
	f.Add([]byte(`{"question":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","credential":{"response":{}}}`), uint16(0), uint8(255))
	f.Fuzz(func(t *testing.T, with []byte, at uint16, drop uint8) {
		if _, err := w.room.Begin(t.Context(), aLogin()); err != nil {
			t.Fatal(err)
		}
		e, err := w.room.Finish(t.Context(), aLogin(), spoil(good, with, at, drop))
		judged(t, err)
		if err == nil && e.Subject != holder {
			t.Errorf("%q at %d for %d signed in %s", with, at, drop, e.Subject)
		}
	})
}

// FuzzFinishEnrolment spoils the answer of an enrolment in any way. No key
// that is added is of a model that nobody vouched for.
func FuzzFinishEnrolment(f *testing.F) {
	w := aWorld(f, predictable)
	e := w.anEnrolment(holder)
	question := must(w.room.BeginEnrolment(f.Context(), e))(f)
	var good [][]byte
	for i, attest := range []testkey.Attest{testkey.None, testkey.Self, w.maker.Packed, w.maker.TPM, w.maker.AndroidKey, w.maker.Apple, w.maker.U2F} {
		k := aKey(f)
		k.Attest = attest
		k.ID = []byte{byte(i), 1, 2, 3}
		raw := must(k.Create(question, origin))(f)
		good = append(good, raw)
		f.Add(uint8(i), []byte{}, uint16(0), uint8(0))
		f.Add(uint8(i), []byte("A"), uint16(300), uint8(1))
		f.Add(uint8(i), []byte(raw), uint16(0), uint8(255))
	}
	vouched := base64.RawURLEncoding.EncodeToString([]byte{2, 1, 2, 3}) + base64.RawURLEncoding.EncodeToString([]byte{3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, which uint8, with []byte, at uint16, drop uint8) {
		if _, err := w.room.BeginEnrolment(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		raw := spoil(good[int(which)%len(good)], with, at, drop)
		a, err := w.room.FinishEnrolment(t.Context(), e, raw)
		judged(t, err)
		if err == nil && a.Level > authenticators.AAL2 && !strings.Contains(vouched, a.Handle) {
			t.Errorf("%q added a key worth %d", raw, a.Level)
		}
	})
}

// FuzzMetadata gives what an administrator's file may hold after its signature
// was found good any bytes: also those who sign make mistakes.
func FuzzMetadata(f *testing.F) {
	w := aWorld(f, nil)
	f.Add([]byte(`{"no":8,"nextUpdate":"2030-02-01","entries":[{"aaguid":"` + named + `","timeOfLastStatusChange":"2022-01-01","statusReports":[{"status":"REVOKED"}]}]}`))
	f.Add([]byte(`{"no":8,"nextUpdate":"2030-02-01","entries":[null,{},[],{"aaguid":"` + named + `","metadataStatement":{"attestationRootCertificates":["AAAA"]}}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if err := os.WriteFile(w.file, must(w.alliance.Sign(payload))(t), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := passkey.Load(passkey.Source{File: w.file, Root: w.alliance.Root, Now: func() time.Time { return noon }})
		if (m == nil) == (err == nil) {
			t.Errorf("Load() = %v, %v", m, err)
		}
	})
}
