package challenge

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func aPayload() Payload {
	return Payload{
		Version: 1, Act: Login, Issuer: "https://id.example", Origin: "https://id.example",
		ClientID: "demo-rp", Transaction: "tx-1",
		ServerNonce: digestOf('s'), ClientNonce: digestOf('c'), Browser: digestOf('b'), AgentKey: digestOf('k'),
		IssuedAt: 1790000000, Expires: 1790000300,
		Agent:  Agent{Name: "lanyard-agent", Version: "0.1.0", OS: "linux"},
		Reader: "Virtual PCD 00 00",
		Card:   Card{GUID: strings.Repeat("0A", 16), Series: 9, ATR: "3B88", Serial: "01AF"},
		PIN:    Host,
	}
}

func digestOf(b byte) string { return encode(bytes.Repeat([]byte{b}, 32)) }

func aKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func aCertificate(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(0x1AF), NotAfter: time.Unix(1800000000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var usual = []Alg{ES256, ES384, PS256}

func TestSign(t *testing.T) {
	for kind, alg := range map[string]Alg{"P-256": ES256, "P-384": ES384, "RSA": PS256} {
		t.Run("RFC 7518 §3.1: "+kind+" signs with "+string(alg), func(t *testing.T) {
			key := aKey(t, kind)
			cert := aCertificate(t, key)
			for range 20 { // r and s of all lengths
				jws, err := Sign(aPayload(), cert, key)
				if err != nil {
					t.Fatal(err)
				}
				m, err := Parse(jws)
				if err != nil {
					t.Fatal(err)
				}
				if m.Header != (Header{Alg: alg, Type: Type, Certificate: CertificateThumbprint(cert)}) || m.Payload != aPayload() {
					t.Fatalf("read back %+v", m)
				}
				if err := m.Verify(cert.PublicKey, usual); err != nil {
					t.Fatalf("Verify() = %v", err)
				}
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	key := aKey(t, "P-256")
	cert := aCertificate(t, key)
	t.Run("X9: nothing is signed that Parse would not read", func(t *testing.T) {
		for name, change := range map[string]func(*Payload){
			"act":   func(p *Payload) { p.Act = "prescribe" },
			"nonce": func(p *Payload) { p.ServerNonce = "short" },
			"empty": func(p *Payload) { *p = Payload{} },
		} {
			p := aPayload()
			change(&p)
			if _, err := Sign(p, cert, untouchable{key.Public(), t}); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: Sign() = %v, want ErrMalformed", name, err)
			}
		}
	})
	t.Run("own rule: the key is the certificate's", func(t *testing.T) {
		if _, err := Sign(aPayload(), cert, aKey(t, "P-256")); !errors.Is(err, ErrSignature) {
			t.Errorf("Sign() = %v, want ErrSignature", err)
		}
	})
	t.Run("own rule: P-521 has no algorithm", func(t *testing.T) {
		odd := aKey(t, "P-521")
		if _, err := Sign(aPayload(), aCertificate(t, odd), odd); !errors.Is(err, ErrSignature) {
			t.Errorf("Sign() = %v, want ErrSignature", err)
		}
	})
	t.Run("own rule: what the card says is told", func(t *testing.T) {
		out := errors.New("card pulled")
		if _, err := Sign(aPayload(), cert, broken{key.Public(), nil, out}); !errors.Is(err, out) {
			t.Errorf("Sign() = %v, want the card's error", err)
		}
		if _, err := Sign(aPayload(), cert, broken{key.Public(), []byte("no DER"), nil}); !errors.Is(err, ErrSignature) {
			t.Errorf("Sign() = %v, want ErrSignature", err)
		}
	})
}

func TestVerify(t *testing.T) {
	ec, other, rsaKey := aKey(t, "P-256"), aKey(t, "P-256"), aKey(t, "RSA")
	p384 := aKey(t, "P-384")
	for _, tt := range []struct {
		rule    string
		alg     Alg
		signer  crypto.Signer
		opts    crypto.SignerOpts
		key     crypto.PublicKey
		allowed []Alg
		good    bool
	}{
		{"own rule: the right key", ES256, ec, nil, ec.Public(), usual, true},
		{"own rule: another key", ES256, ec, nil, other.Public(), usual, false},
		{"RFC 8725 §3.1: the algorithm must be allowed", ES256, ec, nil, ec.Public(), []Alg{PS256}, false},
		{"RFC 8725 §3.1: the algorithm fits the key: ES256 by P-384", ES256, p384, nil, p384.Public(), usual, false},
		{"RFC 8725 §3.1: the algorithm fits the key: PS256 by P-256", PS256, ec, nil, ec.Public(), usual, false},
		{"RFC 8725 §3.1: the algorithm fits the key: ES256 by RSA", ES256, rsaKey, pss, rsaKey.Public(), usual, false},
		{"RFC 7518 §3.5: PS256", PS256, rsaKey, pss, rsaKey.Public(), usual, true},
		{"RFC 7518 §3.5: PS256 salt of another length", PS256, rsaKey, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}, rsaKey.Public(), usual, false},
		{"RFC 7518 §3.3: RS256 where it is allowed", RS256, rsaKey, crypto.SHA256, rsaKey.Public(), []Alg{RS256}, true},
		{"RFC 7518 §3.3: RS256 where it is not", RS256, rsaKey, crypto.SHA256, rsaKey.Public(), usual, false},
		{"RFC 7518 §3.3: PKCS#1 does not pass for PSS", PS256, rsaKey, crypto.SHA256, rsaKey.Public(), append(usual, RS256), false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := signedAs(t, tt.alg, tt.signer, tt.opts)
			if err := m.Verify(tt.key, tt.allowed); (err == nil) != tt.good || err != nil && !errors.Is(err, ErrSignature) {
				t.Errorf("Verify() = %v, want good %v", err, tt.good)
			}
		})
	}
	t.Run("own rule: a changed bit", func(t *testing.T) {
		m := signedAs(t, ES256, ec, nil)
		m.input[len(m.input)/2] ^= 1
		if err := m.Verify(ec.Public(), usual); !errors.Is(err, ErrSignature) {
			t.Errorf("Verify() = %v, want ErrSignature", err)
		}
	})
	t.Run("RFC 7518 §3.4: r and s, not DER", func(t *testing.T) {
		m := signedAs(t, ES256, ec, nil)
		der, err := ec.Sign(rand.Reader, ES256.digest(m.input), crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		r, s := m.signature[:32], m.signature[32:]
		for _, s := range [][]byte{der, r, m.signature[1:], slices.Concat(r, []byte{0}, s), make([]byte, 64)} {
			m.signature = s
			if err := m.Verify(ec.Public(), usual); !errors.Is(err, ErrSignature) {
				t.Errorf("Verify() = %v, want ErrSignature", err)
			}
		}
	})
}

// signedAs signs by signer what claims to be signed with alg. opts chooses the
// RSA padding.
func signedAs(t *testing.T, alg Alg, signer crypto.Signer, opts crypto.SignerOpts) Message {
	t.Helper()
	header, err := json.Marshal(Header{Alg: alg, Type: Type, Certificate: digestOf('x')})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(aPayload())
	if err != nil {
		t.Fatal(err)
	}
	input := []byte(encode(header) + "." + encode(payload))
	var signature []byte
	if opts != nil {
		signature, err = signer.Sign(rand.Reader, alg.digest(input), opts)
	} else {
		own, _ := AlgFor(signer.Public())
		signature, err = sign(own, signer, input)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse([]byte(string(input) + "." + encode(signature)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestKeyThumbprint(t *testing.T) {
	t.Run("RFC 7638 §3: the key of RFC 7515 A.3", func(t *testing.T) {
		x, _ := decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
		y, _ := decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			t.Fatal(err)
		}
		const want = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
		if got, err := KeyThumbprint(key); got != want || err != nil {
			t.Errorf("KeyThumbprint() = %q, %v; want %q", got, err, want)
		}
	})
	t.Run("own rule: P-256 only", func(t *testing.T) {
		if _, err := KeyThumbprint(aKey(t, "P-384").Public().(*ecdsa.PublicKey)); !errors.Is(err, ErrSignature) {
			t.Errorf("KeyThumbprint() = %v, want ErrSignature", err)
		}
	})
}

func TestSerial(t *testing.T) {
	for in, want := range map[int64]string{0x1AF: "01AF", 0xAB: "AB", 0x80: "80", 1: "01"} {
		if got := Serial(&x509.Certificate{SerialNumber: big.NewInt(in)}); got != want {
			t.Errorf("Serial(%x) = %q, want %q", in, got, want)
		}
	}
}

// untouchable is a card that must not be asked to sign.
type untouchable struct {
	key crypto.PublicKey
	t   *testing.T
}

func (u untouchable) Public() crypto.PublicKey { return u.key }

func (u untouchable) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	u.t.Error("the card was asked to sign")
	return nil, errors.New("must not sign")
}

// broken is a card that answers as it was told.
type broken struct {
	key       crypto.PublicKey
	signature []byte
	err       error
}

func (b broken) Public() crypto.PublicKey { return b.key }

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return b.signature, b.err
}
