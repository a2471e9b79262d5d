package smartcard_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
)

func policy(t *testing.T, ints ...uint64) x509.OID {
	t.Helper()
	oid, err := x509.OIDFromInts(ints)
	if err != nil {
		t.Fatal(err)
	}
	return oid
}

// TestPolicies has a room that wants the policy 1.2.3.9 or 1.2.3.10.
func TestPolicies(t *testing.T) {
	nine, ten, other, all := policy(t, 1, 2, 3, 9), policy(t, 1, 2, 3, 10), policy(t, 1, 2, 3, 8), policy(t, 2, 5, 29, 32, 0)
	both := func(p ...x509.OID) func(*chain) {
		return func(c *chain) { c.leaf.template.Policies, c.issuing.template.Policies = p, p }
	}
	for _, tt := range []struct {
		rule  string
		spoil func(c *chain)
		want  error
	}{
		{"X3: the policy in every link", both(nine), nil},
		{"X3: another of the policies", both(ten), nil},
		{"X3: the policy among others", both(other, nine), nil},
		{"X3: no policy at all", func(*chain) {}, smartcard.ErrUntrusted},
		{"X3: another policy", both(other), smartcard.ErrUntrusted},
		{"X3: any policy, in the card", both(all), smartcard.ErrUntrusted},
		{"X3: the policy in the card alone", func(c *chain) { c.leaf.template.Policies = []x509.OID{nine} }, smartcard.ErrUntrusted},
		{"X3: the policy in the issuer alone", func(c *chain) { c.issuing.template.Policies = []x509.OID{nine} }, smartcard.ErrUntrusted},
		{"X3: another policy in the issuer", func(c *chain) {
			both(nine)(c)
			c.issuing.template.Policies = []x509.OID{other}
		}, smartcard.ErrUntrusted},
		{"X3: one policy in the card and the other in the issuer", func(c *chain) {
			both(nine)(c)
			c.issuing.template.Policies = []x509.OID{ten}
		}, smartcard.ErrUntrusted},
		{"X3: any policy in the issuer", func(c *chain) {
			both(nine)(c)
			c.issuing.template.Policies = []x509.OID{all}
		}, nil},
		{"X3: any policy in an issuer that may not give any", func(c *chain) {
			both(nine)(c)
			c.issuing.template.Policies = []x509.OID{all}
			c.issuing.template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{2, 1, 0}}} // RFC 5280 §4.2.1.14
		}, smartcard.ErrUntrusted},
		{"X3: a certificate that names no purpose, with the policy", func(c *chain) {
			both(nine)(c)
			c.leaf.template.ExtKeyUsage = nil
		}, nil},
		{"X3: a certificate that names no purpose, without the policy", func(c *chain) { c.leaf.template.ExtKeyUsage = nil }, smartcard.ErrUntrusted},
		{"X3: a certificate for e-mail, with the policy", func(c *chain) {
			both(nine)(c)
			c.leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		}, smartcard.ErrUntrusted},
		{"X3: a certificate for any purpose, with the policy", func(c *chain) {
			both(nine)(c)
			c.leaf.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}, smartcard.ErrUntrusted},
		{"X3: a certificate for a purpose of its own, with the policy", func(c *chain) {
			both(nine)(c)
			c.leaf.template.ExtKeyUsage = nil
			c.leaf.template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}}
		}, smartcard.ErrUntrusted},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := aChain(t)
			tt.spoil(c)
			m := c.make(t, nil)
			s := m.setting
			s.Policies = []x509.OID{nine, ten}
			var err error
			if m.room, err = smartcard.New(s); err != nil {
				t.Fatal(err)
			}
			wants(t, m.room.Inspect(t.Context(), m.leaf), tt.want)
			wants(t, m.answerWith(m.card(c.leaf.key, m.leaf)), tt.want)
		})
	}
}
