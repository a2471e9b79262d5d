package passkey_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	_ "github.com/go-webauthn/webauthn/protocol"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// The library believes Apple's and Google's attestations by roots of its own,
// beside the metadata's. In tests our maker's root is one of them.
//
//go:linkname appleRoots github.com/go-webauthn/webauthn/protocol.attAppleHardwareRootsCertPool
var appleRoots *x509.CertPool

//go:linkname androidRoots github.com/go-webauthn/webauthn/protocol.attAndroidKeyHardwareRootsCertPool
var androidRoots *x509.CertPool

func goodFacts() passkey.Facts {
	return passkey.Facts{Format: "packed", Model: model, Verified: true, Chained: true, Stands: true}
}

// TestWorth is the whole table: each thing that AAL3 asks for, missing.
func TestWorth(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(f *passkey.Facts)
		method authenticators.Method
		level  authenticators.Level
	}{
		{"A3: a key that cannot leave its device, with its maker's word", func(*passkey.Facts) {}, authenticators.FIDO2, authenticators.AAL3},
		{"A3: Windows Hello", func(f *passkey.Facts) { f.Format = "tpm" }, authenticators.FIDO2, authenticators.AAL3},
		{"A3: Android", func(f *passkey.Facts) { f.Format = "android-key" }, authenticators.FIDO2, authenticators.AAL3},
		{"A3: Apple", func(f *passkey.Facts) { f.Format = "apple" }, authenticators.Apple, authenticators.AAL3},
		{"A3: a synced key", func(f *passkey.Facts) { f.Eligible = true }, authenticators.Passkey, authenticators.AAL2},
		{"A3: a synced key of Apple's", func(f *passkey.Facts) { f.Format, f.Eligible = "apple", true }, authenticators.Passkey, authenticators.AAL2},
		{"A3: a backed up key", func(f *passkey.Facts) { f.BackedUp = true }, authenticators.Passkey, authenticators.AAL2},
		{"A3: a person who was not verified", func(f *passkey.Facts) { f.Verified = false }, authenticators.Passkey, authenticators.AAL2},
		{"W8: no certificates that lead to a root", func(f *passkey.Facts) { f.Chained = false }, authenticators.Passkey, authenticators.AAL2},
		{"W8: a model that has come to grief", func(f *passkey.Facts) { f.Stands = false }, authenticators.Passkey, authenticators.AAL2},
		{"W8, trap 1: the format none", func(f *passkey.Facts) { f.Format = "none" }, authenticators.Passkey, authenticators.AAL2},
		{"W8, trap 2: a model of zeros", func(f *passkey.Facts) { f.Model = [16]byte{} }, authenticators.Passkey, authenticators.AAL2},
		{"W8: a format of the first generation", func(f *passkey.Facts) { f.Format = "fido-u2f" }, authenticators.Passkey, authenticators.AAL2},
		{"W8: several formats in one", func(f *passkey.Facts) { f.Format = "compound" }, authenticators.Passkey, authenticators.AAL2},
		{"W8: a format that nobody knows", func(f *passkey.Facts) { f.Format = "" }, authenticators.Passkey, authenticators.AAL2},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			f := goodFacts()
			tt.change(&f)
			if method, level := passkey.Worth(f); method != tt.method || level != tt.level {
				t.Errorf("Worth(%+v) = %s, %d; want %s, %d", f, method, level, tt.method, tt.level)
			}
		})
	}
}

// TestFlags signs in with every pair of flags that there can be.
func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		eligible, backedUp, verified bool
		level                        authenticators.Level // 0: refused
	}{
		{false, false, true, 3}, {true, false, true, 2}, {true, true, true, 2}, {false, true, true, 0},
		{false, false, false, 0}, {true, false, false, 0}, {true, true, false, 0}, {false, true, false, 0},
	} {
		t.Run(fmt.Sprintf("A3: BE=%t BS=%t UV=%t", tt.eligible, tt.backedUp, tt.verified), func(t *testing.T) {
			w := aWorld(t, nil)
			k := w.aTrustedKey()
			k.Flags = testkey.UserPresent
			for flag, set := range map[byte]bool{testkey.BackupEligible: tt.eligible, testkey.BackupState: tt.backedUp, testkey.UserVerified: tt.verified} {
				if set {
					k.Flags |= flag
				}
			}
			a, err := w.enrol(holder, k)
			if tt.level == 0 {
				wants(t, err, authenticators.ErrRefused)
				return
			}
			if err != nil || a.Level != tt.level {
				t.Fatalf("FinishEnrolment() = level %d, %v; want %d", a.Level, err, tt.level)
			}
			w.keep(a)
			if e, err := w.signIn(k); err != nil || e.Level != tt.level || e.Method != a.Method {
				t.Errorf("Finish() = %+v, %v; want level %d", e, err, tt.level)
			}
		})
	}
}

var longAgo = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)

// attested is a key that is about to be attested.
type attested struct {
	w     *world
	k     *testkey.Key
	other *testkey.Maker // of whom nothing is known
}

// TestAttestation adds keys with every kind of statement, good and forged.
func TestAttestation(t *testing.T) {
	const two, three, refused = authenticators.AAL2, authenticators.AAL3, authenticators.Level(0)
	for _, tt := range []struct {
		rule   string
		change func(a attested)
		level  authenticators.Level
	}{
		{"W8: packed, by the model's maker", func(a attested) { a.k.Attest = a.w.maker.Packed }, three},
		{"W8: TPM, by the model's maker", func(a attested) { a.k.Attest = a.w.maker.TPM }, three},
		{"W8: Android, by the model's maker", func(a attested) { a.k.Attest = a.w.maker.AndroidKey }, three},
		{"W8: Apple, by the model's maker", func(a attested) { a.k.Attest = a.w.maker.Apple }, three},
		{"W8, trap 1: none", func(a attested) { a.k.Attest = testkey.None }, two},
		{"W8, trap 3: self, though it names a model that may be AAL3", func(a attested) { a.k.Attest = testkey.Self }, two},
		{"W8: U2F names no model", func(a attested) { a.k.Model, a.k.Attest = [16]byte{}, a.w.maker.U2F }, two},
		{"W8, trap 2: a model of zeros, by a maker who is known", func(a attested) { a.k.Model, a.k.Attest = [16]byte{}, a.w.maker.Packed }, two},
		{"W8: a model of which nothing is known", func(a attested) { a.k.Model[3], a.k.Attest = 9, a.w.maker.Packed }, two},
		{"W8: packed, by another root", func(a attested) { a.k.Attest = a.other.Packed }, two},
		{"W8: TPM, by another root", func(a attested) { a.k.Attest = a.other.TPM }, two},
		{"W8: Android, by another root", func(a attested) { a.k.Attest = a.other.AndroidKey }, refused},
		{"W8: Apple, by another root", func(a attested) { a.k.Attest = a.other.Apple }, refused},
		{"W8: packed, by a certificate that has ended", func(a attested) { a.w.maker.Ends, a.k.Attest = longAgo, a.w.maker.Packed }, refused},
		{"W8: TPM, by a certificate that has ended", func(a attested) { a.w.maker.Ends, a.k.Attest = longAgo, a.w.maker.TPM }, refused},
		{"W8: Android, by a certificate that has ended", func(a attested) { a.w.maker.Ends, a.k.Attest = longAgo, a.w.maker.AndroidKey }, two},
		{"W8: Apple, by a certificate that has ended", func(a attested) { a.w.maker.Ends, a.k.Attest = longAgo, a.w.maker.Apple }, two},
		{"W8: packed, by a certificate that ended this year", func(a attested) {
			a.w.maker.Ends, a.k.Attest = noon.Add(-time.Hour), a.w.maker.Packed
		}, two},
		{"W8: packed, by a certificate for another model", func(a attested) { a.w.maker.Names, a.k.Attest = &[16]byte{9}, a.w.maker.Packed }, refused},
		{"W8: TPM, by a certificate for another model", func(a attested) { a.w.maker.Names, a.k.Attest = &[16]byte{9}, a.w.maker.TPM }, refused},
		{"W8: packed, signed for another key", forged("packed"), refused},
		{"W8: TPM, signed for another key", forged("tpm"), refused},
		{"W8: Android, signed for another key", forged("android-key"), refused},
		{"W8: Apple, signed for another key", forged("apple"), refused},
		{"W8: none, with a statement all the same", func(a attested) {
			a.k.Attest = func(*testkey.Key, []byte, [32]byte) (string, map[string]any, error) {
				return "none", map[string]any{"sig": []byte{1}}, nil
			}
		}, refused},
		{"W8: a format that nobody knows", func(a attested) {
			a.k.Attest = func(*testkey.Key, []byte, [32]byte) (string, map[string]any, error) {
				return "sworn", map[string]any{}, nil
			}
		}, refused},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			a := attested{w: aWorld(t, nil), k: aKey(t), other: must(testkey.NewMaker())(t)}
			appleRoots.AddCert(a.w.maker.Root)
			androidRoots.AddCert(a.w.maker.Root)
			tt.change(a)
			made, err := a.w.enrol(holder, a.k)
			if tt.level == refused {
				wants(t, err, passkey.ErrKey)
				return
			}
			if err != nil || made.Level != tt.level {
				t.Fatalf("FinishEnrolment() = level %d, %v; want %d", made.Level, err, tt.level)
			}
			a.w.keep(made)
			if e, err := a.w.signIn(a.k); err != nil || e.Level != tt.level || e.Method != made.Method {
				t.Errorf("Finish() = %+v, %v; want level %d", e, err, tt.level)
			}
			if method, level, err := a.w.room.Recheck(t.Context(), a.w.held[0]); err != nil || method != made.Method || level != tt.level {
				t.Errorf("Recheck() = %s, %d, %v; want level %d", method, level, err, tt.level)
			}
		})
	}
}

// forged has the good maker vouch for data that is not the key's.
func forged(format string) func(a attested) {
	return func(a attested) {
		by := map[string]testkey.Attest{"packed": a.w.maker.Packed, "tpm": a.w.maker.TPM, "android-key": a.w.maker.AndroidKey, "apple": a.w.maker.Apple}[format]
		a.k.Attest = func(k *testkey.Key, data []byte, client [32]byte) (string, map[string]any, error) {
			client[0] ^= 1
			return by(k, data, client)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		policy passkey.Policy
		change func(m *testkey.Model)
		level  authenticators.Level
	}{
		{"W8: a model that policy names", passkey.Policy{Models: []string{"AA000000-0000-0000-0000-000000000001"}}, nil, 3},
		{"W8: a model that it does not name", passkey.Policy{Models: []string{"aa000000-0000-0000-0000-000000000002"}}, nil, 2},
		{"W8, trap 2: the model of zeros, named", passkey.Policy{Models: []string{"00000000-0000-0000-0000-000000000000"}}, nil, 2},
		{"W8: a certification that is enough", passkey.Policy{Certified: "FIDO_CERTIFIED_L1"}, nil, 3},
		{"W8: one that is not", passkey.Policy{Certified: "FIDO_CERTIFIED_L2"}, nil, 2},
		{"W8: a better one", passkey.Policy{Certified: "FIDO_CERTIFIED_L2"}, func(m *testkey.Model) { m.Status = []string{"FIDO_CERTIFIED_L3", "UPDATE_AVAILABLE"} }, 3},
		{"W8: no certification, where none is asked for", passkey.Policy{}, func(m *testkey.Model) { m.Status = []string{"NOT_FIDO_CERTIFIED"} }, 3},
		{"W8: no certification, where one is", passkey.Policy{Certified: "FIDO_CERTIFIED"}, func(m *testkey.Model) { m.Status = []string{"NOT_FIDO_CERTIFIED"} }, 2},
		{"W8: no word about it", passkey.Policy{}, func(m *testkey.Model) { m.Status = nil }, 2},
		{"W8: revoked", passkey.Policy{}, func(m *testkey.Model) { m.Status = append(m.Status, "REVOKED") }, 2},
		{"W8: its verification can be passed by", passkey.Policy{}, func(m *testkey.Model) { m.Status = append(m.Status, "USER_VERIFICATION_BYPASS") }, 2},
		{"W8: its maker's key is known, and it was certified again", passkey.Policy{}, func(m *testkey.Model) {
			m.Status = []string{"ATTESTATION_KEY_COMPROMISE", "FIDO_CERTIFIED_L1"}
		}, 2},
		{"W8, trap 3: self attestation, which the model says it makes", passkey.Policy{}, func(m *testkey.Model) { m.Types = []string{"basic_surrogate"} }, 2},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aWorld(t, func(c *passkey.Config) { c.Policy = tt.policy })
			if tt.change != nil {
				m := w.model()
				tt.change(&m)
				w.publish(8, noon.AddDate(0, 1, 0), m)
				if changed, err := w.setting.Metadata.Reload(); err != nil || !changed {
					t.Fatalf("Reload() = %t, %v", changed, err)
				}
			}
			a, err := w.enrol(holder, w.aTrustedKey())
			if err != nil || a.Level != tt.level {
				t.Errorf("FinishEnrolment() = level %d, %v; want %d", a.Level, err, tt.level)
			}
		})
	}
	t.Run("W8: no metadata, no AAL3", func(t *testing.T) {
		w := aWorld(t, func(c *passkey.Config) { c.Metadata = nil })
		k := w.aTrustedKey()
		if a := w.add(holder, k); a.Level != authenticators.AAL2 || a.Method != authenticators.Passkey || a.Model != "" {
			t.Errorf("FinishEnrolment() = %+v", a)
		}
		w.held[0].Method, w.held[0].Level = authenticators.FIDO2, authenticators.AAL3 // as another server judged it
		if e, err := w.signIn(k); err != nil || e.Level != authenticators.AAL2 || e.Method != authenticators.Passkey {
			t.Errorf("Finish() = %+v, %v", e, err)
		}
	})
}

// TestRecheck is what becomes of keys that are held when the metadata changes.
func TestRecheck(t *testing.T) {
	setUp := func(t *testing.T) (*world, *testkey.Key, func(number int, next time.Time, models ...testkey.Model)) {
		w := aWorld(t, nil)
		k := w.aTrustedKey()
		w.add(holder, k)
		return w, k, func(number int, next time.Time, models ...testkey.Model) {
			t.Helper()
			w.publish(number, next, models...)
			if _, err := w.setting.Metadata.Reload(); err != nil {
				t.Fatal(err)
			}
		}
	}
	level := func(t *testing.T, w *world, k *testkey.Key) (signIn, recheck authenticators.Level) {
		t.Helper()
		e, err1 := w.signIn(k)
		_, recheck, err2 := w.room.Recheck(t.Context(), w.held[0])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return e.Level, recheck
	}
	t.Run("A3: a revoked model loses AAL3 at the next sign-in", func(t *testing.T) {
		w, k, publish := setUp(t)
		m := w.model()
		m.Status = append(m.Status, "REVOKED")
		publish(8, noon.AddDate(0, 1, 0), m)
		if a, b := level(t, w, k); a != 2 || b != 2 {
			t.Errorf("levels %d and %d", a, b)
		}
	})
	t.Run("A3: a model that is gone does too", func(t *testing.T) {
		w, k, publish := setUp(t)
		publish(8, noon.AddDate(0, 1, 0))
		if a, b := level(t, w, k); a != 2 || b != 2 {
			t.Errorf("levels %d and %d", a, b)
		}
	})
	t.Run("A3: a root that is gone is found at night", func(t *testing.T) {
		w, _, publish := setUp(t)
		m := w.model()
		m.Roots = []*x509.Certificate{must(testkey.NewMaker())(t).Root}
		publish(8, noon.AddDate(0, 1, 0), m)
		if method, l, err := w.room.Recheck(t.Context(), w.held[0]); err != nil || l != 2 || method != authenticators.Passkey {
			t.Errorf("Recheck() = %s, %d, %v", method, l, err)
		}
	})
	t.Run("A3: metadata past its day is believed for the grace, and no longer", func(t *testing.T) {
		w, k, _ := setUp(t)
		due := w.setting.Metadata.NextUpdate()
		w.advance(due.Add(30 * 24 * time.Hour).Sub(noon))
		if a, b := level(t, w, k); a != 3 || b != 3 {
			t.Errorf("levels %d and %d within the grace", a, b)
		}
		w.advance(time.Second)
		if a, b := level(t, w, k); a != 2 || b != 2 {
			t.Errorf("levels %d and %d after the grace", a, b)
		}
		if a, err := w.enrol(holder, w.aTrustedKey()); err != nil || a.Level != 2 {
			t.Errorf("FinishEnrolment() = level %d, %v", a.Level, err)
		}
	})
	t.Run("A3: a certificate that ended since the enrolment was good then", func(t *testing.T) {
		w := aWorld(t, nil)
		w.maker.Ends = noon.Add(time.Hour)
		k := w.aTrustedKey()
		w.add(holder, k)
		w.advance(2 * time.Hour)
		if a, b := level(t, w, k); a != 3 || b != 3 {
			t.Errorf("levels %d and %d", a, b)
		}
	})
	t.Run("A3: nothing raises a key, though its model is better now", func(t *testing.T) {
		w, k, _ := setUp(t)
		w.held[0].Method, w.held[0].Level = authenticators.Passkey, authenticators.AAL2
		if a, b := level(t, w, k); a != 2 || b != 2 {
			t.Errorf("levels %d and %d", a, b)
		}
	})
}
