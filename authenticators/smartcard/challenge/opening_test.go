package challenge

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
)

func anOpening() Opening {
	return Opening{Version: 1, Gateway: "https://gas.example", Nonce: digestOf('s'), AgentKey: digestOf('k')}
}

func TestOpening(t *testing.T) {
	for _, kind := range []string{"P-256", "P-384", "RSA"} {
		t.Run("own rule: a card with a key of "+kind+" opens a session at the gateway", func(t *testing.T) {
			key := aKey(t, kind)
			cert := aCertificate(t, key)
			jws, err := SignOpening(anOpening(), cert, key)
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseOpening(jws)
			if err != nil || m.Opening != anOpening() || m.Header.Certificate != CertificateThumbprint(cert) || m.Verify(cert.PublicKey, usual) != nil {
				t.Errorf("read back %+v, %v", m, err)
			}
			if err := m.Verify(aKey(t, kind).Public(), usual); !errors.Is(err, ErrSignature) {
				t.Errorf("by another key: %v", err)
			}
		})
	}
	key := aKey(t, "RSA")
	cert := aCertificate(t, key)
	jws, err := SignOpening(anOpening(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("X9: neither message passes for the other", func(t *testing.T) {
		if _, err := Parse(jws); !errors.Is(err, ErrMalformed) {
			t.Errorf("Parse() = %v", err)
		}
		login, err := Sign(aPayload(), cert, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseOpening(login); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseOpening() = %v", err)
		}
	})
	t.Run("own rule: what an old agent has a card sign of the very bytes is no opening", func(t *testing.T) {
		input := jws[:strings.LastIndexByte(string(jws), '.')]
		digest := sha256.Sum256(input)
		old, err := rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseOpening(slices.Concat(input, []byte("."), []byte(encode(old))))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(cert.PublicKey, usual); !errors.Is(err, ErrSignature) {
			t.Errorf("Verify() = %v", err)
		}
	})
	t.Run("X9: what is not written exactly so is refused", func(t *testing.T) {
		header, payload := `{"alg":"PS256","typ":"desk-gateway+jws","x5t#S256":"`+digestOf('x')+`"}`, `{"v":1,"gateway":"https://gas.example","sn":"`+digestOf('s')+`","epk":"`+digestOf('k')+`"}`
		if _, err := ParseOpening([]byte(compact(header, payload))); err != nil {
			t.Fatal(err)
		}
		for _, change := range [][2]string{{`"v":1`, `"v":2`}, {`"v":1`, `"v":1,"v":1`}, {`"v":1`, `"v":1,"x":1`}, {`"gateway":"https://gas.example",`, ``}, {digestOf('k'), ""}, {digestOf('s'), "c2hvcnQ"}} {
			if _, err := ParseOpening([]byte(compact(header, strings.Replace(payload, change[0], change[1], 1)))); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v: %v", change, err)
			}
		}
		if _, err := SignOpening(Opening{}, cert, key); !errors.Is(err, ErrMalformed) {
			t.Errorf("SignOpening() = %v", err)
		}
	})
}

func FuzzParseOpening(f *testing.F) {
	header := `{"alg":"ES256","typ":"desk-gateway+jws","x5t#S256":"` + digestOf('x') + `"}`
	f.Add(`{"v":1,"gateway":"https://gas.example","sn":"` + digestOf('s') + `","epk":"` + digestOf('k') + `"}`)
	f.Add(`{"v":1.0}`)
	f.Fuzz(func(t *testing.T, in string) {
		for _, jws := range []string{in, compact(header, in)} {
			m, err := ParseOpening([]byte(jws))
			if err != nil && !errors.Is(err, ErrMalformed) || err == nil && m.Opening.check() != nil {
				t.Errorf("%q: %+v, %v", jws, m.Opening, err)
			}
		}
	})
}
