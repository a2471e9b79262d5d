package cardca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func anAuthority(t testing.TB) *cardca.Authority {
	t.Helper()
	a, err := cardca.New(cardca.Config{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func aRequest(t testing.TB) cardca.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return cardca.Request{
		Key: key.Public(), Serial: "0000101", UID: "555000000101",
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
	}
}

func TestIssue(t *testing.T) {
	a := anAuthority(t)
	c, err := a.Issue(aRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("RFC 5280 §6.1: the path ends at the pool", func(t *testing.T) {
		paths, err := c.Verify(x509.VerifyOptions{
			Roots: a.Pool(), Intermediates: a.Intermediates(), CurrentTime: noon,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil || len(paths) != 1 || len(paths[0]) != 3 {
			t.Errorf("Verify() = %v, %v; want one path of three", paths, err)
		}
	})
	t.Run("own rule: the registry's names of issuer and serial", func(t *testing.T) {
		if got := smartcard.IssuerID(a.Certificates()[0]); got != a.IssuerID() {
			t.Errorf("IssuerID() = %s, the room says %s", a.IssuerID(), got)
		}
		if got := challenge.Serial(c); got != "0101" || c.Subject.CommonName != "555000000101" {
			t.Errorf("serial %s, subject %s", got, c.Subject)
		}
	})
	t.Run("X3: it is for signing in and for nothing else", func(t *testing.T) {
		if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
			t.Errorf("CA %v, key usage %b, extended %v", c.IsCA, c.KeyUsage, c.ExtKeyUsage)
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	a := anAuthority(t)
	for rule, change := range map[string]func(*cardca.Request){
		"RFC 5280 §4.1.2.2: no serial":        func(r *cardca.Request) { r.Serial = "" },
		"RFC 5280 §4.1.2.2: nought":           func(r *cardca.Request) { r.Serial = "00" },
		"RFC 5280 §4.1.2.2: negative":         func(r *cardca.Request) { r.Serial = "-1" },
		"RFC 5280 §4.1.2.2: 21 bytes":         func(r *cardca.Request) { r.Serial = "01" + "0000000000000000000000000000000000000000" },
		"own rule: the serial is hex":         func(r *cardca.Request) { r.Serial = "card" },
		"own rule: the serial has no strokes": func(r *cardca.Request) { r.Serial = "1_0" },
		"own rule: it ends after it begins":   func(r *cardca.Request) { r.NotAfter = r.NotBefore },
		"own rule: there is a key":            func(r *cardca.Request) { r.Key = nil },
	} {
		t.Run(rule, func(t *testing.T) {
			r := aRequest(t)
			change(&r)
			if c, err := a.Issue(r); err == nil {
				t.Errorf("Issue() = %v, want an error", c.Subject)
			}
		})
	}
}
