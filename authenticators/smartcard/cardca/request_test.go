package cardca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// aCSR is a request as the tool of a card writes it.
func aCSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "whoever"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

const csrKind = "CERTIFICATE REQUEST"

func TestReadCSR(t *testing.T) {
	for _, kind := range []virtualcard.KeyType{virtualcard.P256, virtualcard.P384, virtualcard.RSA2048} {
		t.Run("own rule: a card's own key asks, "+string(kind), func(t *testing.T) {
			key, err := virtualcard.GenerateKey(kind)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cardca.ReadCSR("\n" + inPEM(csrKind, aCSR(t, key)) + "\n")
			if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); err != nil || !ok || !public.Equal(got) {
				t.Errorf("ReadCSR() = %T, %v", got, err)
			}
		})
	}
	card, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		t.Fatal(err)
	}
	good := aCSR(t, card)
	changed := append([]byte(nil), good...)
	changed[len(changed)-1] ^= 1
	long, err1 := rsa.GenerateKey(rand.Reader, 3072)
	p224, err2 := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	_, edwards, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule, text string
		want       error
	}{
		{"own rule: nothing is no request", "", cardca.ErrNoCSR},
		{"own rule: words are no request", "please", cardca.ErrNoCSR},
		{"own rule: a request that its key did not sign", inPEM(csrKind, changed), cardca.ErrNoCSR},
		{"own rule: something else in PEM", inPEM("CERTIFICATE", good), cardca.ErrNoCSR},
		{"own rule: two requests", inPEM(csrKind, good) + inPEM(csrKind, good), cardca.ErrNoCSR},
		{"own rule: a request of any length", inPEM(csrKind, good) + strings.Repeat(" ", 16<<10), cardca.ErrNoCSR},
		{"own rule: RSA-3072 is on no card of ours", inPEM(csrKind, aCSR(t, long)), cardca.ErrKey},
		{"own rule: P-224 is too weak", inPEM(csrKind, aCSR(t, p224)), cardca.ErrKey},
		{"own rule: Ed25519 is on no card", inPEM(csrKind, aCSR(t, edwards)), cardca.ErrKey},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if key, err := cardca.ReadCSR(tt.text); !errors.Is(err, tt.want) || key != nil {
				t.Errorf("ReadCSR() = %v, %v; want %v", key, err, tt.want)
			}
		})
	}
}

// FuzzReadCSR holds whatever comes to this: it is read or refused, and what is
// read is a key that a card can have.
func FuzzReadCSR(f *testing.F) {
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		f.Fatal(err)
	}
	der := aCSR(f, key)
	f.Add(der)
	f.Add(der[:len(der)/2])
	certificate, err := anAuthority(f).Issue(aRequest(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(certificate.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, text := range []string{string(der), inPEM(csrKind, der)} {
			if key, err := cardca.ReadCSR(text); (key == nil) == (err == nil) || err != nil && !errors.Is(err, cardca.ErrNoCSR) && !errors.Is(err, cardca.ErrKey) {
				t.Errorf("ReadCSR() = %v, %v", key, err)
			}
		}
		for _, text := range []string{string(der), inPEM("CERTIFICATE", der)} {
			if c, err := cardca.ReadCertificate(text); (c == nil) == (err == nil) || err != nil && !errors.Is(err, cardca.ErrNoCertificate) {
				t.Errorf("ReadCertificate() = %v, %v", c, err)
			}
		}
	})
}
