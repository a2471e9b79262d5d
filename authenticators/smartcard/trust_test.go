package smartcard_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// link is one certificate of a path that a test may spoil before it is signed.
type link struct {
	template *x509.Certificate
	key      crypto.Signer
}

// chain is root, issuing authority and card.
type chain struct{ root, issuing, leaf link }

func aChain(t *testing.T) *chain {
	t.Helper()
	authority := func(name string, serial int64) link {
		return link{key: ecKey(t, elliptic.P256()), template: &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: noon.AddDate(-5, 0, 0), NotAfter: noon.AddDate(5, 0, 0),
			KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}}
	}
	return &chain{
		root: authority("Root", 1), issuing: authority("Cards", 2),
		leaf: link{key: ecKey(t, elliptic.P256()), template: &x509.Certificate{
			SerialNumber: big.NewInt(0x0101), Subject: pkix.Name{CommonName: holder},
			NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			BasicConstraintsValid: true,
		}},
	}
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// made is a chain as certificates, and a room that trusts its root.
type made struct {
	*world
	root, issuing, leaf *x509.Certificate
}

// make signs the chain and registers the card. weaken, if set, signs the leaf
// again in a way that Go does not.
func (c *chain) make(t *testing.T, weaken func(leaf *x509.Certificate, by crypto.Signer) []byte) made {
	t.Helper()
	m := made{
		root:    signed(t, c.root.template, c.root.template, c.root.key.Public(), c.root.key),
		issuing: signed(t, c.issuing.template, c.root.template, c.issuing.key.Public(), c.root.key),
		leaf:    signed(t, c.leaf.template, c.issuing.template, c.leaf.key.Public(), c.issuing.key),
	}
	if weaken != nil {
		var err error
		if m.leaf, err = x509.ParseCertificate(weaken(m.leaf, c.issuing.key)); err != nil {
			t.Fatal(err)
		}
	}
	m.world = aWorld(t, func(s *smartcard.Config) {
		s.Roots, s.Intermediates = pool(m.root), pool(m.issuing)
	})
	m.register(smartcard.IssuerID(m.issuing), m.leaf, smartcard.Active)
	return m
}

func pool(certificates ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c)
	}
	return p
}

func signed(t *testing.T, template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// certificateRules spoil one thing in a chain that is good without it.
var certificateRules = []struct {
	rule  string
	spoil func(t *testing.T, c *chain)
	want  error
}{
	{"X1: a path to a configured root", nil, nil},

	{"X2: a card's certificate that has ended", func(_ *testing.T, c *chain) { c.leaf.template.NotAfter = noon.Add(-time.Second) }, smartcard.ErrExpired},
	{"X2: a card's certificate in its last second", func(_ *testing.T, c *chain) { c.leaf.template.NotAfter = noon }, nil},
	{"X2: a card's certificate that has not begun", func(_ *testing.T, c *chain) { c.leaf.template.NotBefore = noon.Add(time.Second) }, smartcard.ErrNotYetValid},
	{"X2: a card's certificate in its first second", func(_ *testing.T, c *chain) { c.leaf.template.NotBefore = noon }, nil},
	{"X2: an issuer that has ended", func(_ *testing.T, c *chain) { c.issuing.template.NotAfter = noon.Add(-time.Second) }, smartcard.ErrExpired},
	{"X2: an issuer that has not begun", func(_ *testing.T, c *chain) { c.issuing.template.NotBefore = noon.Add(time.Second) }, smartcard.ErrNotYetValid},
	{"X2: a root that has ended", func(_ *testing.T, c *chain) { c.root.template.NotAfter = noon.Add(-time.Second) }, smartcard.ErrExpired},
	{"X2: an ended certificate that was dated back before its issuer", func(_ *testing.T, c *chain) {
		c.leaf.template.NotBefore = c.issuing.template.NotBefore.Add(-time.Hour)
		c.leaf.template.NotAfter = noon.Add(-time.Second)
	}, smartcard.ErrExpired},
	{"X2: an ended certificate for another purpose", func(_ *testing.T, c *chain) {
		c.leaf.template.NotAfter = noon.Add(-time.Second)
		c.leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	}, smartcard.ErrUntrusted},

	{"X3: an issuer that is no CA", func(_ *testing.T, c *chain) { c.issuing.template.IsCA = false }, smartcard.ErrUntrusted},
	{"X3: an issuer that may not sign certificates", func(_ *testing.T, c *chain) { c.issuing.template.KeyUsage = x509.KeyUsageDigitalSignature }, smartcard.ErrUntrusted},
	{"X3: an issuer that names no key usage", func(_ *testing.T, c *chain) { c.issuing.template.KeyUsage = 0 }, smartcard.ErrUntrusted},
	{"X3: a root with no room for an issuer", func(_ *testing.T, c *chain) { c.root.template.MaxPathLenZero = true }, smartcard.ErrUntrusted},
	{"X3: an issuer with room for cards only", func(_ *testing.T, c *chain) { c.issuing.template.MaxPathLenZero = true }, nil},
	{"X3: an issuer for other purposes", func(_ *testing.T, c *chain) {
		c.issuing.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	}, smartcard.ErrUntrusted},
	{"X3: a card that is a CA", func(_ *testing.T, c *chain) { c.leaf.template.IsCA = true }, smartcard.ErrUntrusted},
	{"X3: a card that may sign certificates", func(_ *testing.T, c *chain) { c.leaf.template.KeyUsage |= x509.KeyUsageCertSign }, smartcard.ErrUntrusted},
	{"X3: a key for encryption only", func(_ *testing.T, c *chain) { c.leaf.template.KeyUsage = x509.KeyUsageKeyEncipherment }, smartcard.ErrUntrusted},
	{"X3: a key for document signing only", func(_ *testing.T, c *chain) { c.leaf.template.KeyUsage = x509.KeyUsageContentCommitment }, smartcard.ErrUntrusted},
	{"X3: a key that names no usage", func(_ *testing.T, c *chain) { c.leaf.template.KeyUsage = 0 }, smartcard.ErrUntrusted},
	{"X3: a certificate for e-mail", func(_ *testing.T, c *chain) {
		c.leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	}, smartcard.ErrUntrusted},
	{"X3: a certificate for any purpose", func(_ *testing.T, c *chain) { c.leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, smartcard.ErrUntrusted},
	{"X3: a certificate that names no purpose", func(_ *testing.T, c *chain) { c.leaf.template.ExtKeyUsage = nil }, smartcard.ErrUntrusted},
	{"X3: a certificate for e-mail too", func(_ *testing.T, c *chain) {
		c.leaf.template.ExtKeyUsage = append(c.leaf.template.ExtKeyUsage, x509.ExtKeyUsageEmailProtection)
	}, nil},

	{"X4: a name outside the issuer's", func(_ *testing.T, c *chain) {
		c.issuing.template.PermittedEmailAddresses = []string{"riverside.example"}
		c.leaf.template.EmailAddresses = []string{"asha@evil.example"}
	}, smartcard.ErrUntrusted},
	{"X4: a name inside the issuer's", func(_ *testing.T, c *chain) {
		c.issuing.template.PermittedEmailAddresses = []string{"riverside.example"}
		c.leaf.template.EmailAddresses = []string{"asha@riverside.example"}
	}, nil},
	{"X4: an unknown critical extension of the card", func(_ *testing.T, c *chain) { c.leaf.template.ExtraExtensions = odd(true) }, smartcard.ErrUntrusted},
	{"X4: an unknown critical extension of the issuer", func(_ *testing.T, c *chain) { c.issuing.template.ExtraExtensions = odd(true) }, smartcard.ErrUntrusted},
	{"X4: an unknown critical extension of the root", func(_ *testing.T, c *chain) { c.root.template.ExtraExtensions = odd(true) }, smartcard.ErrUntrusted},
	{"X4: an unknown extension that is not critical", func(_ *testing.T, c *chain) { c.leaf.template.ExtraExtensions = odd(false) }, nil},

	{"X5: RSA of 2048 bits", func(t *testing.T, c *chain) { c.leaf.key = rsaKey(t, 2048) }, nil},
	{"X5: RSA of 2047 bits", func(t *testing.T, c *chain) { c.leaf.key = rsaKey(t, 2047) }, smartcard.ErrUntrusted},
	{"X5: RSA of 1024 bits in the issuer", func(t *testing.T, c *chain) { c.issuing.key = rsaKey(t, 1024) }, smartcard.ErrUntrusted},
	{"X5: RSA of 1024 bits in the root", func(t *testing.T, c *chain) { c.root.key = rsaKey(t, 1024) }, smartcard.ErrUntrusted},
	{"X5: P-384", func(t *testing.T, c *chain) { c.leaf.key = ecKey(t, elliptic.P384()) }, nil},
	{"X5: P-224", func(t *testing.T, c *chain) { c.leaf.key = ecKey(t, elliptic.P224()) }, smartcard.ErrUntrusted},
	{"X5: P-521", func(t *testing.T, c *chain) { c.leaf.key = ecKey(t, elliptic.P521()) }, smartcard.ErrUntrusted},
	{"X5: SHA-256 by RSA", func(t *testing.T, c *chain) { c.issuing.key = rsaKey(t, 2048) }, nil},
	{"X5: SHA-1 on the card", func(t *testing.T, c *chain) { c.leaf.template.SignatureAlgorithm = x509.ECDSAWithSHA1 }, smartcard.ErrUntrusted},
	{"X5: SHA-1 on the issuer", func(t *testing.T, c *chain) { c.issuing.template.SignatureAlgorithm = x509.ECDSAWithSHA1 }, smartcard.ErrUntrusted},
	{"X5: SHA-1 on the root", func(t *testing.T, c *chain) { c.root.template.SignatureAlgorithm = x509.ECDSAWithSHA1 }, smartcard.ErrUntrusted},
}

func odd(critical bool) []pkix.Extension {
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: critical, Value: []byte{5, 0}}}
}

func TestCertificates(t *testing.T) {
	for _, tt := range certificateRules {
		t.Run(tt.rule, func(t *testing.T) {
			c := aChain(t)
			if tt.spoil != nil {
				tt.spoil(t, c)
			}
			m := c.make(t, nil)
			wants(t, m.room.Inspect(t.Context(), m.leaf), tt.want)
			if _, err := challenge.AlgFor(c.leaf.key.Public()); err == nil {
				wants(t, m.answerWith(m.card(c.leaf.key, m.leaf)), tt.want)
			}
		})
	}
}

func TestMD5(t *testing.T) {
	for rule, want := range map[string]error{"X5: signed with SHA-256": nil, "X5: signed with MD5": smartcard.ErrUntrusted} {
		t.Run(rule, func(t *testing.T) {
			c := aChain(t)
			c.issuing.key = rsaKey(t, 2048)
			var weaken func(*x509.Certificate, crypto.Signer) []byte
			if want != nil {
				weaken = func(leaf *x509.Certificate, by crypto.Signer) []byte { return withMD5(t, leaf, by) }
			}
			m := c.make(t, weaken)
			wants(t, m.room.Inspect(t.Context(), m.leaf), want)
		})
	}
}

// withMD5 signs c again with md5WithRSAEncryption, whose identifier differs
// from sha256WithRSAEncryption in the last byte only (RFC 8017 A.2.4).
func withMD5(t *testing.T, c *x509.Certificate, by crypto.Signer) []byte {
	t.Helper()
	var outer struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	sha256, err := asn1.Marshal(outer.Algorithm)
	if err != nil {
		t.Fatal(err)
	}
	outer.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	md, err := asn1.Marshal(outer.Algorithm)
	if err != nil {
		t.Fatal(err)
	}
	outer.TBS.FullBytes = bytes.Replace(outer.TBS.FullBytes, sha256, md, 1)
	sum := md5.Sum(outer.TBS.FullBytes)
	signature, err := by.Sign(rand.Reader, sum[:], crypto.MD5)
	if err != nil {
		t.Fatal(err)
	}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestRoots(t *testing.T) {
	roomWith := func(t *testing.T, m made, roots, intermediates *x509.CertPool) *smartcard.Room {
		t.Helper()
		c := m.setting
		c.Roots, c.Intermediates = roots, intermediates
		room, err := smartcard.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return room
	}
	m := aChain(t).make(t, nil)
	other := aChain(t).make(t, nil)
	for _, tt := range []struct {
		rule                 string
		roots, intermediates *x509.CertPool
		want                 error
	}{
		{"X1: the card's own root", pool(m.root), pool(m.issuing), nil},
		{"X1: no pool of roots refuses all", nil, pool(m.issuing), smartcard.ErrUntrusted},
		{"X1: an empty pool refuses all", pool(), pool(m.issuing), smartcard.ErrUntrusted},
		{"X1: another root of the same name", pool(other.root), pool(m.issuing), smartcard.ErrUntrusted},
		{"X1: a root among the intermediates is none", pool(other.root), pool(m.issuing, m.root), smartcard.ErrUntrusted},
		{"X1: an issuer that is not configured", pool(m.root), nil, smartcard.ErrUntrusted},
		{"X1: an issuer configured as a root", pool(m.issuing), nil, nil},
		{"X1: the card itself among the roots", pool(m.leaf), nil, smartcard.ErrUntrusted},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			wants(t, roomWith(t, m, tt.roots, tt.intermediates).Inspect(t.Context(), m.leaf), tt.want)
		})
	}
	t.Run("X1: an issuer that the agent brings is not trusted", func(t *testing.T) {
		c := aChain(t)
		m := c.make(t, nil)
		m.room = roomWith(t, m, pool(m.root), nil)
		card := m.card(c.leaf.key, m.leaf)
		p := m.asked(card)
		_, err := m.room.Respond(t.Context(), caller(p.Transaction), m.sign(p, card), [][]byte{m.leaf.Raw, m.issuing.Raw})
		wants(t, err, smartcard.ErrUntrusted)
	})
}

func TestCards(t *testing.T) {
	for state, want := range map[smartcard.State]error{
		smartcard.Active: nil, smartcard.Suspended: smartcard.ErrSuspended,
		smartcard.Blocked: smartcard.ErrBlocked, smartcard.Revoked: smartcard.ErrRevoked,
	} {
		t.Run("own rule: a card that is "+string(state), func(t *testing.T) {
			w := aWorld(t, nil)
			card := w.issue(virtualcard.P256, "0101", state, nil)
			wants(t, w.room.Inspect(t.Context(), card.Certificate()), want)
			wants(t, w.answerWith(card), want)
		})
	}
	t.Run("own rule: a state that nobody knows lets nobody in", func(t *testing.T) {
		w := aWorld(t, nil)
		if err := w.answerWith(w.issue(virtualcard.P256, "0101", "", nil)); err == nil {
			t.Error("the card was accepted")
		}
	})
	t.Run("own rule: a card that nobody holds", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		w.cards[[2]string{w.ca.IssuerID(), "0101"}] = smartcard.Card{Serial: "0101", State: smartcard.Active}
		wants(t, w.answerWith(card), smartcard.ErrNotRegistered)
	})
	t.Run("X6: a card that is not registered", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		clear(w.cards)
		wants(t, w.room.Inspect(t.Context(), card.Certificate()), smartcard.ErrNotRegistered)
		wants(t, w.answerWith(card), smartcard.ErrNotRegistered)
	})
	t.Run("X6: the same name and serial from another accepted issuer", func(t *testing.T) {
		mine, theirs := aChain(t), aChain(t)
		m, other := mine.make(t, nil), theirs.make(t, nil)
		c := m.setting
		c.Roots, c.Intermediates = pool(m.root, other.root), pool(m.issuing, other.issuing)
		var err error
		if m.room, err = smartcard.New(c); err != nil {
			t.Fatal(err)
		}
		wants(t, m.answerWith(m.card(mine.leaf.key, m.leaf)), nil)
		wants(t, m.answerWith(m.card(theirs.leaf.key, other.leaf)), smartcard.ErrNotRegistered)
	})
	t.Run("X6: the same name with another serial", func(t *testing.T) {
		c := aChain(t)
		m := c.make(t, nil)
		c.leaf.template.SerialNumber = big.NewInt(0x0102)
		again := signed(t, c.leaf.template, c.issuing.template, c.leaf.key.Public(), c.issuing.key)
		wants(t, m.answerWith(m.card(c.leaf.key, again)), smartcard.ErrNotRegistered)
	})
	t.Run("X6: another name with the registered issuer and serial is the same card", func(t *testing.T) {
		c := aChain(t)
		c.leaf.template.Subject = pkix.Name{CommonName: "555000000999\x00"}
		m := c.make(t, nil)
		wants(t, m.answerWith(m.card(c.leaf.key, m.leaf)), nil)
	})
}
