package passkey_test

import (
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/lanyard-id/lanyard/authenticators"
)

// TestOtherKey has a software key that other people wrote answer us, so that
// ours and its room cannot agree on a mistake.
func TestOtherKey(t *testing.T) {
	for _, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		t.Run("own rule: a key of other people's making is added and signs in, "+string(kind), func(t *testing.T) {
			w := aWorld(t, nil)
			party := virtualwebauthn.RelyingParty{Name: "Lanyard", ID: "id.example", Origin: origin}
			device, key := virtualwebauthn.NewAuthenticator(), otherKey(kind)

			question := must(w.room.BeginEnrolment(t.Context(), w.anEnrolment(holder)))(t)
			creation := must(virtualwebauthn.ParseAttestationOptions(string(question)))(t)
			raw := answered(t, question, virtualwebauthn.CreateAttestationResponse(party, device, key, *creation))
			a := must(w.room.FinishEnrolment(t.Context(), w.anEnrolment(holder), raw))(t)
			if a.Level != authenticators.AAL2 || a.Method != authenticators.Passkey {
				t.Errorf("FinishEnrolment() = %s, %d; it attests itself alone", a.Method, a.Level)
			}
			w.keep(a)

			user := []byte(creation.UserID)
			device.Options.UserHandle = user
			question = w.question()
			request := must(virtualwebauthn.ParseAssertionOptions(string(question)))(t)
			key.Counter++
			raw = answered(t, question, virtualwebauthn.CreateAssertionResponse(party, device, key, *request))
			if e, err := w.room.Finish(t.Context(), aLogin(), raw); err != nil || e.Subject != holder {
				t.Errorf("Finish() = %+v, %v", e, err)
			}
		})
	}
}

// otherKey makes a key. Of an EC key those people leave out the zeros that a
// coordinate begins with, and one time in 128 there are some: RFC 9053 §7.1.1 wants
// them, and such a key is refused.
func otherKey(kind virtualwebauthn.KeyType) virtualwebauthn.Credential {
	const whole = 77 // bytes of CBOR, with two coordinates of 32
	for {
		key := virtualwebauthn.NewCredential(kind)
		if kind != virtualwebauthn.KeyTypeEC2 || len(key.Key.AttestationData()) == whole {
			return key
		}
	}
}

func answered(t *testing.T, question json.RawMessage, credential string) json.RawMessage {
	t.Helper()
	var q struct{ Question string }
	if err := json.Unmarshal(question, &q); err != nil {
		t.Fatal(err)
	}
	return must(json.Marshal(map[string]any{"question": q.Question, "credential": json.RawMessage(credential)}))(t)
}
