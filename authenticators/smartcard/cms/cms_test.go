package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cms"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

var content = bytes.Repeat([]byte("challenge "), 3)

// signer is a card's key with its certificate.
type signer struct {
	key crypto.Signer
	c   *x509.Certificate
}

func aSigner(t testing.TB, kind virtualcard.KeyType, serial string) signer {
	t.Helper()
	now := time.Now()
	ca, err := cardca.New(cardca.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	key, err := virtualcard.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue(cardca.Request{Key: key.Public(), Serial: serial, UID: "555000000101", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, c}
}

// sign makes a message with another implementation than reads it here.
func sign(t testing.TB, digest asn1.ObjectIdentifier, bare, detached bool, by ...signer) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(content)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(digest)
	for _, s := range by {
		if bare {
			err = sd.SignWithoutAttr(s.c, s.key, pkcs7.SignerInfoConfig{})
		} else {
			err = sd.AddSigner(s.c, s.key, pkcs7.SignerInfoConfig{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if detached {
		sd.Detach()
	}
	der, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestVerify(t *testing.T) {
	rsaCard, ecCard, other := aSigner(t, virtualcard.RSA2048, "01"), aSigner(t, virtualcard.P256, "02"), aSigner(t, virtualcard.RSA2048, "03")
	for _, tt := range []struct {
		rule string
		raw  []byte
		by   signer
		err  error
		good bool
	}{
		{"own rule: with signed attributes", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false, rsaCard), rsaCard, nil, true},
		{"own rule: without", sign(t, pkcs7.OIDDigestAlgorithmSHA256, true, false, rsaCard), rsaCard, nil, true},
		{"own rule: with the content left out", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, true, rsaCard), rsaCard, nil, true},
		{"own rule: by a card with a key on P-256", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false, ecCard), ecCard, nil, true},
		{"own rule: SHA-1 is told", sign(t, pkcs7.OIDDigestAlgorithmSHA1, false, false, rsaCard), rsaCard, cms.ErrSHA1, true},
		{"own rule: by another key", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false, signer{other.key, rsaCard.c}), rsaCard, nil, false},
		{"own rule: two signers", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false, rsaCard, other), rsaCard, cms.ErrMessage, false},
		{"own rule: none", sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false), rsaCard, cms.ErrMessage, false},
		{"own rule: nothing", nil, rsaCard, cms.ErrMessage, false},
		{"own rule: values in one another without end", bytes.Repeat([]byte{0x30, 0x82, 0x10, 0x00}, 4000), rsaCard, cms.ErrMessage, false},
		{"own rule: a length that is not said", append([]byte{0x30, 0x80}, sign(t, pkcs7.OIDDigestAlgorithmSHA256, false, false, rsaCard)...), rsaCard, cms.ErrMessage, false},
		{"own rule: more than is read", make([]byte, cms.MaxMessage+1), rsaCard, cms.ErrMessage, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m, err := cms.Parse(tt.raw)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("Parse() = %v, want %v", err, tt.err)
			}
			if err != nil && !errors.Is(err, cms.ErrSHA1) {
				return
			}
			if got := m.Verify(tt.by.c, []byte("something else"), content); got != tt.good {
				t.Errorf("Verify() = %v, want %v", got, tt.good)
			}
			if m.Verify(tt.by.c, []byte("something else")) {
				t.Error("it is a signature on something else too")
			}
			if m.Verify(other.c, content) {
				t.Error("it is another's too")
			}
		})
	}
	t.Run("own rule: no bit of a message can be changed that counts", func(t *testing.T) {
		raw := sign(t, pkcs7.OIDDigestAlgorithmSHA256, true, false, rsaCard)
		at := bytes.Index(raw, content)
		for _, i := range []int{at, at + len(content) - 1, len(raw) - 1, len(raw) - 200} {
			changed := bytes.Clone(raw)
			changed[i] ^= 1
			if m, err := cms.Parse(changed); err == nil && m.Verify(rsaCard.c, content) {
				t.Errorf("byte %d", i)
			}
		}
		if _, ok := rsaCard.c.PublicKey.(*rsa.PublicKey); !ok {
			t.Error("the card is none of RSA")
		}
	})
}

func FuzzParse(f *testing.F) {
	card := aSigner(f, virtualcard.P256, "01")
	for _, digest := range []asn1.ObjectIdentifier{pkcs7.OIDDigestAlgorithmSHA256, pkcs7.OIDDigestAlgorithmSHA1} {
		if digest.Equal(pkcs7.OIDDigestAlgorithmSHA1) {
			card = aSigner(f, virtualcard.RSA2048, "02")
		}
		for _, bare := range []bool{true, false} {
			f.Add(sign(f, digest, bare, false, card))
		}
	}
	f.Add([]byte("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nMAA=\r\n"))
	f.Add([]byte{0x30, 0x80, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := cms.Parse(raw)
		if err != nil && !errors.Is(err, cms.ErrSHA1) {
			return
		}
		leaf, err := x509.ParseCertificate(m.Certificate)
		if err != nil {
			t.Fatalf("the certificate of a good message is none: %v", err)
		}
		m.Verify(leaf, content)
	})
}
