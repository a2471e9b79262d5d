package desk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// FuzzDecode gives every message that agents send any bytes. What is read must
// be what other readers of JSON read, and can be kept.
func FuzzDecode(f *testing.F) {
	const key = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	for _, seed := range []string{
		`{"h":"x","agent":{"name":"a","version":"1","build":"b","os":"linux"},"epk":` + key + `,"port":40000}`,
		`{"state":"pin_wrong","left":2}`, `{"state":"wait_card"}`, `{"jws":"a.b.c","x5c":["MIIB"]}`, `{"h":1}`, `{"H":"x"}`, `{"h":"x","h":"y"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var q redemption
		var p progress
		var a response
		for _, v := range []any{&q, &p, &a} {
			if !decode(raw, v) {
				continue
			}
			members := map[string]json.RawMessage{}
			if err := json.Unmarshal(raw, &members); err != nil {
				t.Fatalf("%q was read, and is no object: %v", raw, err)
			}
			for name := range members {
				if strings.ToLower(name) != name {
					t.Errorf("%q was read with the member %q", raw, name)
				}
			}
		}
		if agent, ok := q.agent(); ok && (!challenge.IsDigest(agent.KeyThumbprint) || agent.Name == "" || agent.Port < firstPort) {
			t.Errorf("%q gave the agent %+v", raw, agent)
		}
		if r, ok := p.report(); ok && (r.TriesLeft != 0 && r.Doing != smartcard.PINWrong || r.Doing == smartcard.Refused) {
			t.Errorf("%q gave the report %+v", raw, r)
		}
	})
}

// FuzzProof gives the reader of proofs any bytes. One that it takes is by the
// key that it names, and of this call.
func FuzzProof(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"jti":"j","htm":"POST","htu":"https://id.example/x","iat":1800000000,"tx":"t"}`))
	if err != nil {
		f.Fatal(err)
	}
	good, err := signed.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	if c, err := check(good, "POST", "https://id.example:443/x", now); err != nil || c.Transaction != "t" || c.Once != "j" {
		f.Fatalf("check() = %+v, %v", c, err)
	}
	for _, seed := range []string{good, strings.Replace(good, ".", "..", 1), "a.b.c", "{}", "e30.e30.e30"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		c, err := check(proof, "POST", "https://id.example/x", now)
		if err == nil && (c.Transaction != "t" || c.Once != "j" || !challenge.IsDigest(c.KeyThumbprint)) {
			t.Errorf("%q was taken for %+v", proof, c)
		}
		if err != nil && len(proof) > 8 && bytes.Contains([]byte(err.Error()), []byte(proof)) {
			t.Errorf("the error repeats what came: %v", err)
		}
	})
}

func TestSameURI(t *testing.T) {
	t.Run("RFC 9449 §4.3: what is the same address", func(t *testing.T) {
		for got, want := range map[string]bool{
			"https://id.example/desk/v1/progress":      true,
			"https://ID.example:443/desk/v1/progress":  true,
			"HTTPS://id.example/desk/v1/progress?x#y":  true,
			"http://id.example/desk/v1/progress":       false,
			"https://id.example:8443/desk/v1/progress": false,
			"https://id.example/desk/v1/progress/":     false,
			"https://id.example/desk/v1/Progress":      false,
			"https://u@id.example/desk/v1/progress":    false,
			"/desk/v1/progress":                        false,
			"":                                         false,
			"%":                                        false,
		} {
			if sameURI(got, "https://id.example/desk/v1/progress") != want {
				t.Errorf("%q: want %v", got, want)
			}
		}
	})
}
