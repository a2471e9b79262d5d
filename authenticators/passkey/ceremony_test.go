package passkey_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// client sets a member of the client data.
func client(name string, value any) func(*testkey.Key) {
	return func(k *testkey.Key) { k.Client = func(d map[string]any) { d[name] = value } }
}

func flags(f byte) func(*testkey.Key) { return func(k *testkey.Key) { k.Flags = f } }

func same(*testkey.Key) {}

const verified = testkey.UserPresent | testkey.UserVerified

// TestBoth is what holds of an enrolment and of a sign-in alike: what is
// refused, and beside it what differs in that alone and is taken.
func TestBoth(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		bad, twin func(*testkey.Key)
		want      error
	}{
		{"W1: the other ceremony", func(k *testkey.Key) {
			k.Client = func(d map[string]any) {
				d["type"] = map[any]string{"webauthn.create": "webauthn.get", "webauthn.get": "webauthn.create"}[d["type"]]
			}
		}, same, passkey.ErrKey},
		{"W1: no ceremony", client("type", ""), same, passkey.ErrKey},
		{"W2: another challenge", client("challenge", strings.Repeat("A", 43)), same, passkey.ErrKey},
		{"W2: no challenge", client("challenge", ""), same, passkey.ErrKey},
		{"W2: the challenge spelt with padding", func(k *testkey.Key) {
			k.Client = func(d map[string]any) { d["challenge"] = d["challenge"].(string) + "=" }
		}, same, passkey.ErrKey},
		{"W3: a sub-domain", client("origin", "https://www.id.example"), client("origin", origin), passkey.ErrOrigin},
		{"W3: http", client("origin", "http://id.example"), client("origin", origin), passkey.ErrOrigin},
		{"W3: a port", client("origin", "https://id.example:8443"), client("origin", origin), passkey.ErrOrigin},
		{"W3: the usual port in so many letters", client("origin", "https://id.example:443"), client("origin", origin), passkey.ErrOrigin},
		{"W3: a path", client("origin", "https://id.example/login"), client("origin", origin), passkey.ErrOrigin},
		{"W3: a user", client("origin", "https://id.example@evil.example"), client("origin", origin), passkey.ErrOrigin},
		{"W3: capitals", client("origin", "https://ID.example"), client("origin", origin), passkey.ErrOrigin},
		{"W3: in a frame of another site", client("crossOrigin", true), client("crossOrigin", false), passkey.ErrOrigin},
		{"W3: under another site", client("topOrigin", "https://evil.example"), same, passkey.ErrOrigin},
		{"W3: under our own page, in a frame", func(k *testkey.Key) {
			k.Client = func(d map[string]any) { d["crossOrigin"], d["topOrigin"] = true, origin }
		}, same, passkey.ErrOrigin},
		{"A4: what was signed for another site is worth nothing here", client("origin", "https://1d.example"), same, passkey.ErrOrigin},
		{"W5: nobody was there", flags(testkey.UserVerified), flags(verified), passkey.ErrKey},
		{"W5: nobody was verified", flags(testkey.UserPresent), flags(verified), passkey.ErrUnverified},
		{"W6: backed up, though it cannot be", flags(verified | testkey.BackupState), flags(verified), passkey.ErrKey},
		{"W12: bytes after the data", func(k *testkey.Key) { k.Trailing = []byte{0xa0} }, same, passkey.ErrKey},
		{"W12: extensions announced and absent", flags(verified | testkey.Extended), func(k *testkey.Key) {
			k.Flags, k.Extensions = verified|testkey.Extended, []byte("\xa1\x63xyz\x01") // {"xyz": 1}: nobody knows it
		}, passkey.ErrKey},
		{"W12: extensions that are no map", func(k *testkey.Key) {
			k.Flags, k.Extensions = verified|testkey.Extended, []byte{0x01}
		}, same, passkey.ErrKey},
		{"W12: extensions that never end", func(k *testkey.Key) {
			k.Flags, k.Extensions = verified|testkey.Extended, bytes.Repeat([]byte{0x81}, 10_000)
		}, same, passkey.ErrKey},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aWorld(t, nil)
			k := aKey(t)
			tt.bad(k)
			_, err := w.enrol(holder, k)
			wants(t, err, tt.want)
			quiet(t, err, origin)

			k = aKey(t)
			tt.twin(k)
			w.add(holder, k)
			k.Client, k.Extensions, k.Flags = nil, nil, verified
			tt.bad(k)
			_, err = w.signIn(k)
			wants(t, err, tt.want)
			quiet(t, err, origin)

			k.Client, k.Trailing, k.Extensions, k.Flags = nil, nil, nil, verified
			tt.twin(k)
			if _, err := w.signIn(k); err != nil {
				t.Errorf("Finish() of the twin = %v", err)
			}
		})
	}
}

func quiet(t *testing.T, err error, part string) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), part) {
		t.Errorf("%v repeats what came", err)
	}
}

// TestSite is what a page of another site gets, though it has our question.
func TestSite(t *testing.T) {
	w := aWorld(t, nil)
	k := w.aTrustedKey()
	w.add(holder, k)
	t.Run("W4, A4: a key that was asked for another domain", func(t *testing.T) {
		relayed := bytes.ReplaceAll(w.question(), []byte(`"rpId":"id.example"`), []byte(`"rpId":"evil.example"`))
		_, err := w.room.Finish(t.Context(), aLogin(), must(k.Get(relayed, origin))(t))
		wants(t, err, passkey.ErrKey)
		relayed = bytes.ReplaceAll(must(w.room.BeginEnrolment(t.Context(), w.anEnrolment("555000000102")))(t), []byte(`"id":"id.example"`), []byte(`"id":"evil.example"`))
		_, err = w.room.FinishEnrolment(t.Context(), w.anEnrolment("555000000102"), must(aKey(t).Create(relayed, origin))(t))
		wants(t, err, passkey.ErrKey)
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() for ours = %v", err)
		}
	})
	t.Run("A4: a page of another site relays our question and the key says so", func(t *testing.T) {
		_, err := w.room.Finish(t.Context(), aLogin(), must(k.Get(w.question(), "https://evil.example"))(t))
		wants(t, err, passkey.ErrOrigin)
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() at our own page = %v", err)
		}
	})
	t.Run("W2: another login's challenge", func(t *testing.T) {
		theirs, ours := must(k.Get(w.question(), origin))(t), w.question()
		var a, q map[string]json.RawMessage
		if json.Unmarshal(theirs, &a) != nil || json.Unmarshal(ours, &q) != nil {
			t.Fatal("no JSON")
		}
		a["question"] = q["question"]
		_, err := w.room.Finish(t.Context(), aLogin(), must(json.Marshal(a))(t))
		wants(t, err, passkey.ErrKey)
	})
}

func TestAssertion(t *testing.T) {
	setUp := func(t *testing.T, flags byte) (*world, *testkey.Key) {
		w, k := aWorld(t, nil), aKey(t)
		k.Flags = flags
		w.add(holder, k)
		return w, k
	}
	t.Run("W6: whether it may be copied never changes", func(t *testing.T) {
		w, k := setUp(t, verified)
		k.Flags |= testkey.BackupEligible
		_, err := w.signIn(k)
		wants(t, err, passkey.ErrKey)
		w, k = setUp(t, verified|testkey.BackupEligible)
		k.Flags = verified
		_, err = w.signIn(k)
		wants(t, err, passkey.ErrKey)
		k.Flags = verified | testkey.BackupEligible | testkey.BackupState // it was copied since, as it may
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
	t.Run("W10: the handle of another person, or none", func(t *testing.T) {
		w, k := setUp(t, verified)
		other := aKey(t)
		w.add("555000000102", other)
		for _, user := range [][]byte{other.User, nil, k.User[:31]} {
			was := k.User
			k.User = user
			_, err := w.signIn(k)
			wants(t, err, passkey.ErrKey)
			k.User = was
		}
		if e, err := w.signIn(k); err != nil || e.Subject != holder {
			t.Errorf("Finish() = %+v, %v", e, err)
		}
	})
	t.Run("W10: the ID of another person's key", func(t *testing.T) {
		w, k := setUp(t, verified)
		other := aKey(t)
		w.add("555000000102", other)
		was := k.ID
		k.ID = other.ID
		_, err := w.signIn(k)
		wants(t, err, passkey.ErrKey)
		k.ID = was
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
	t.Run("W11: a signature that is not the key's", func(t *testing.T) {
		w, k := setUp(t, verified)
		for _, part := range []string{"signature", "authenticatorData"} {
			k.Answer = func(r map[string]any) {
				b, _ := base64.RawURLEncoding.DecodeString(r[part].(string))
				b[len(b)-1] ^= 1
				r[part] = base64.RawURLEncoding.EncodeToString(b)
			}
			_, err := w.signIn(k)
			wants(t, err, passkey.ErrKey)
		}
		k.Answer = nil
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
	for _, alg := range []int{testkey.ES256, testkey.EdDSA, testkey.RS256} {
		t.Run("W11: each algorithm that is offered signs in", func(t *testing.T) {
			w := aWorld(t, nil)
			k := must(testkey.New(alg))(t)
			w.add(holder, k)
			if _, err := w.signIn(k); err != nil {
				t.Errorf("Finish() with %d = %v", alg, err)
			}
		})
	}
}

// TestCounter is trap 5: the library remarks on a counter that goes back, and
// goes on.
func TestCounter(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		flags     byte
		last, now uint32
		want      error
	}{
		{"W11: of a device-bound key it goes up", verified, 5, 6, nil},
		{"W11: or is not kept at all", verified, 0, 0, nil},
		{"W11, trap 5: of a device-bound key it never goes back", verified, 5, 4, passkey.ErrCounter},
		{"W11, trap 5: nor stands still", verified, 5, 5, passkey.ErrCounter},
		{"W11, trap 5: nor begins anew", verified, 5, 0, passkey.ErrCounter},
		{"W11, trap 5: of a synced key it says nothing", verified | testkey.BackupEligible | testkey.BackupState, 5, 4, nil},
		{"W11, trap 5: and is mostly not kept", verified | testkey.BackupEligible, 0, 0, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w, k := aWorld(t, nil), aKey(t)
			k.Flags, k.Count, k.Step = tt.flags, tt.last, 0
			w.add(holder, k)
			k.Count = tt.now
			_, err := w.signIn(k)
			if tt.want != nil {
				wants(t, err, tt.want)
				k.Count = tt.last + 1
				_, err = w.signIn(k)
			}
			if err != nil {
				t.Errorf("Finish() = %v", err)
			}
		})
	}
	t.Run("W11: the mark of the last sign-in counts, not that of the enrolment", func(t *testing.T) {
		w, k := aWorld(t, nil), aKey(t)
		w.add(holder, k)
		k.Count = 10
		if _, err := w.signIn(k); err != nil {
			t.Fatal(err)
		}
		k.Count = 3
		_, err := w.signIn(k)
		wants(t, err, passkey.ErrCounter)
	})
}

// TestVerifiedNow is trap 4: what the library keeps of a key says "verified"
// for ever once it was. We ask of this answer.
func TestVerifiedNow(t *testing.T) {
	t.Run("W5, trap 4: a key that verified its person before must do so now", func(t *testing.T) {
		w := aWorld(t, nil)
		k := w.aTrustedKey()
		w.add(holder, k)
		if _, err := w.signIn(k); err != nil {
			t.Fatal(err)
		}
		k.Flags = testkey.UserPresent
		_, err := w.signIn(k)
		wants(t, err, passkey.ErrUnverified)
		k.Flags = verified
		if _, err := w.signIn(k); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
}

func TestRegistration(t *testing.T) {
	weak := must(rsa.GenerateKey(rand.Reader, 1024))(t)
	cose := func(alg int, change func(key map[int]any)) func(*testkey.Key) {
		return func(k *testkey.Key) {
			fresh, err := testkey.New(alg)
			if err == nil {
				*k = *fresh
			}
			k.COSE = change
		}
	}
	for _, tt := range []struct {
		rule      string
		bad, twin func(*testkey.Key)
	}{
		{"W7: ES256K", cose(testkey.ES256, func(k map[int]any) { k[3], k[-1] = -47, 8 }), same},
		{"W7: another algorithm's number", cose(testkey.ES256, func(k map[int]any) { k[3] = testkey.EdDSA }), same},
		{"W7: another curve's number", cose(testkey.ES256, func(k map[int]any) { k[-1] = 2 }), same},
		{"W7: RSA of 1024 bits", cose(testkey.RS256, func(k map[int]any) { k[-1] = weak.N.Bytes() }), cose(testkey.RS256, nil)},
		{"W7: RSA of 8192 bits", cose(testkey.RS256, func(k map[int]any) { k[-1] = bytes.Repeat([]byte{0xff}, 1024) }), cose(testkey.RS256, nil)},
		{"W7: a point off the curve", cose(testkey.ES256, func(k map[int]any) { k[-3] = bytes.Repeat([]byte{1}, 32) }), same},
		{"W7: a short point", cose(testkey.EdDSA, func(k map[int]any) { k[-2] = []byte{1} }), cose(testkey.EdDSA, nil)},
		{"W9: a name of 1024 bytes", func(k *testkey.Key) { k.ID = bytes.Repeat([]byte{1}, 1024) }, func(k *testkey.Key) { k.ID = bytes.Repeat([]byte{1}, 1023) }},
		{"W9: no name", func(k *testkey.Key) { k.ID = nil }, func(k *testkey.Key) { k.ID = []byte{1, 2, 3, 4, 5, 6} }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w, k := aWorld(t, nil), aKey(t)
			tt.bad(k)
			_, err := w.enrol(holder, k)
			wants(t, err, passkey.ErrKey)
			k = aKey(t)
			tt.twin(k)
			w.add(holder, k)
			if _, err := w.signIn(k); err != nil {
				t.Errorf("Finish() of the twin = %v", err)
			}
		})
	}
	t.Run("W9: a key that somebody has, whoever it is", func(t *testing.T) {
		w, k := aWorld(t, nil), aKey(t)
		w.add(holder, k)
		thief := aKey(t)
		thief.ID = k.ID
		_, err := w.enrol("555000000102", thief)
		wants(t, err, passkey.ErrKnown)
		w.held[0].State = authenticators.Suspended
		_, err = w.enrol("555000000102", thief)
		wants(t, err, passkey.ErrKnown)
		if _, err := w.enrol("555000000102", aKey(t)); err != nil {
			t.Errorf("FinishEnrolment() of another = %v", err)
		}
	})
	t.Run("W9: a registry that does not answer is an outage", func(t *testing.T) {
		w := aWorld(t, nil)
		e := w.anEnrolment(holder)
		made := must(aKey(t).Create(must(w.room.BeginEnrolment(t.Context(), e))(t), origin))(t)
		w.broken = true
		_, err := w.room.FinishEnrolment(t.Context(), e, made)
		wants(t, err, errOutage)
	})
}
