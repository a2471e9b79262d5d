package smartcard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

func TestNewTrust(t *testing.T) {
	t.Run("X1: without roots the machine's own are not taken", func(t *testing.T) {
		if newTrust(nil, nil, nil).roots == nil {
			t.Error("crypto/x509 would take the machine's roots")
		}
	})
}

func TestProven(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	card := func(n byte) []*x509.Certificate {
		leaf := &x509.Certificate{Raw: []byte{n}, NotBefore: noon, NotAfter: noon.AddDate(0, 0, 2)}
		return []*x509.Certificate{leaf, {NotBefore: noon.AddDate(0, 0, -2), NotAfter: noon.AddDate(0, 0, 1)}}
	}
	known := newTrust(nil, nil, nil).proven
	known.add(card(1))
	for rule, tt := range map[string]struct {
		der  byte
		at   time.Time
		want bool
	}{
		"own rule: a path that was proved is known again":                 {1, noon.AddDate(0, 0, 1), true},
		"own rule: of another certificate nothing is known":               {2, noon, false},
		"own rule: what was proved is judged anew before it begins":       {1, noon.Add(-time.Second), false},
		"own rule: what was proved is judged anew when a link of it ends": {1, noon.AddDate(0, 0, 1).Add(time.Second), false},
	} {
		t.Run(rule, func(t *testing.T) {
			if got := known.path([]byte{tt.der}, tt.at) != nil; got != tt.want {
				t.Errorf("known: %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("own rule: so many certificates are remembered and no more", func(t *testing.T) {
		for n := range maxProven + 10 {
			path := card(0)
			path[0].Raw = big.NewInt(int64(n) + 1<<32).Bytes()
			known.add(path)
		}
		if len(known.of) != maxProven {
			t.Errorf("%d are remembered, want %d", len(known.of), maxProven)
		}
	})
}

// FuzzCertificate changes the certificate of a card: what is still taken is
// what its issuer signed.
func FuzzCertificate(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Cards"}, NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	sign := func(c *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, root, key.Public(), key)
		if err != nil {
			f.Fatal(err)
		}
		return der
	}
	issuer, err := x509.ParseCertificate(sign(root))
	if err != nil {
		f.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(issuer)
	rules := newTrust(pool, nil, nil)

	card := x509.Certificate{
		SerialNumber: big.NewInt(0x0101), NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	f.Add(sign(&card))
	card.OCSPServer, card.CRLDistributionPoints = []string{"http://ocsp.example"}, []string{"http://crl.example"}
	card.PermittedEmailAddresses = []string{"riverside.example"}
	f.Add(sign(&card))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := parseLeaf([][]byte{der})
		if err != nil {
			return
		}
		if _, err := rules.judge(leaf, noon.Add(time.Hour)); err == nil && leaf.CheckSignatureFrom(issuer) != nil {
			t.Errorf("%x is taken", der)
		}
	})
}
