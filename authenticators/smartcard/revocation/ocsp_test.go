package revocation_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// delegate makes w's issuer give somebody a certificate for signing responses,
// which change may spoil.
func (w *world) delegate(by signer, change func(*x509.Certificate)) signer {
	w.t.Helper()
	return aSigner(w.t, &by, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.KeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, x509.KeyUsageDigitalSignature
		if change != nil {
			change(c)
		}
	})
}

// signedBy makes the response of a responder that brings its certificate.
func signedBy(by func(w *world) signer) func(*world, *reply) {
	return func(w *world, r *reply) {
		r.by = by(w)
		r.certs = []signer{r.by}
	}
}

func delegated(change func(*x509.Certificate)) func(*world, *reply) {
	return signedBy(func(w *world) signer { return w.delegate(w.issuer, change) })
}

const (
	good        = revocation.Good
	revoked     = revocation.Revoked
	unknown     = revocation.Unknown
	unavailable = revocation.Unavailable
)

// responses spoil one thing in a response that is good without it.
var responses = []struct {
	rule  string
	spoil func(w *world, r *reply)
	want  revocation.Status
}{
	{"X7: a response of the issuer", nil, good},
	{"X7: that it is revoked", func(_ *world, r *reply) { r.status = 1 }, revoked},
	{"X7: that it is unknown", func(_ *world, r *reply) { r.status = 2 }, unknown},

	{"X7: signed by another of the same name", func(w *world, r *reply) { r.by = w.foreign }, unavailable},
	{"X7: signed by another who brings a certificate", signedBy(func(w *world) signer { return w.foreign }), unavailable},
	{"X7: the issuer brings its own certificate", func(w *world, r *reply) { r.certs = []signer{w.issuer} }, good},
	{"X7: another signs and brings the issuer's certificate", func(w *world, r *reply) { r.by, r.certs = w.foreign, []signer{w.issuer} }, unavailable},
	{"X7: a signature that was changed", func(_ *world, r *reply) { r.spoil = func(b []byte) []byte { b[len(b)-1] ^= 1; return b } }, unavailable},
	{"X7: signed with SHA-1", func(_ *world, r *reply) { r.alg = ecdsaSHA1 }, unavailable},

	{"X7: a responder of the issuer's", delegated(nil), good},
	{"X7: a responder that names no key usage", delegated(func(c *x509.Certificate) { c.KeyUsage = 0 }), good},
	{"X7: a responder without OCSPSigning", delegated(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), unavailable},
	{"X7: a responder for any purpose", delegated(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), unavailable},
	{"X7: a responder whose key is for encryption", delegated(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), unavailable},
	{"X7: a responder whose certificate has ended", delegated(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }), unavailable},
	{"X7: a responder's certificate in its last second", delegated(func(c *x509.Certificate) { c.NotAfter = noon }), good},
	{"X7: a responder whose certificate has not begun", delegated(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }), unavailable},
	{"X7: a responder with a critical extension that nobody knows", delegated(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: asn1.NullBytes}}
	}), unavailable},
	{"X7: a responder of another authority of the same name", signedBy(func(w *world) signer { return w.delegate(w.foreign, nil) }), unavailable},
	{"X7: a responder's certificate under another name", signedBy(func(w *world) signer {
		renamed := *w.issuer.Certificate
		renamed.RawSubject = w.leaf.RawSubject
		return w.delegate(signer{&renamed, w.issuer.key}, nil)
	}), unavailable},
	{"X7: a card signs for itself", signedBy(func(w *world) signer { return w.leaf }), unavailable},

	{"X7: about another serial number", func(_ *world, r *reply) { r.about = big.NewInt(0x0102) }, unavailable},
	{"X7: about it and others", func(_ *world, r *reply) { r.others = []*big.Int{big.NewInt(1), big.NewInt(2)} }, good},
	{"X7: about it twice", func(w *world, r *reply) { r.status, r.others = 1, []*big.Int{w.leaf.SerialNumber} }, unavailable},
	{"X7: about another key of the same name", func(w *world, r *reply) { r.issuer = w.foreign.Certificate }, unavailable},
	{"X7: about another name of the same key", func(w *world, r *reply) {
		other := *w.issuer.Certificate
		other.RawSubject = w.leaf.RawSubject
		r.issuer = &other
	}, unavailable},
	{"X7: named by SHA-256", func(_ *world, r *reply) { r.hash = crypto.SHA256 }, good},

	{"X7: made in the future", func(_ *world, r *reply) { r.this = noon.Add(61 * time.Second) }, unavailable},
	{"X7: made by a clock that is a minute ahead", func(_ *world, r *reply) { r.this = noon.Add(time.Minute) }, good},
	{"X7: stale", func(_ *world, r *reply) { r.next = noon.Add(-time.Minute) }, unavailable},
	{"X7: stale by less than a minute", func(_ *world, r *reply) { r.next = noon.Add(-59 * time.Second) }, good},
	{"X7: revoked, but stale", func(_ *world, r *reply) { r.status, r.next = 1, noon.Add(-time.Minute) }, unavailable},
	{"X7: due before it was made", func(_ *world, r *reply) { r.this, r.next = noon.Add(30*time.Second), noon.Add(20*time.Second) }, unavailable},
	{"X7: of now, without the time of the next", func(_ *world, r *reply) { r.this, r.next = noon, time.Time{} }, good},
	{"X7: old, without the time of the next", func(_ *world, r *reply) { r.this, r.next = noon.Add(-6*time.Minute), time.Time{} }, unavailable},

	{"X7: another's nonce", func(_ *world, r *reply) { r.nonce = must(asn1.Marshal(make([]byte, 32))) }, unavailable},
	{"X7: an empty nonce", func(_ *world, r *reply) { r.nonce = []byte{} }, unavailable},
	{"X7: a critical extension that nobody knows", func(_ *world, r *reply) {
		r.more = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: asn1.NullBytes}}
	}, unavailable},
	{"X7: an extension that nobody knows", func(_ *world, r *reply) {
		r.more = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: asn1.NullBytes}}
	}, good},

	{"F21: bytes after the response", func(_ *world, r *reply) { r.spoil = func(b []byte) []byte { return append(b, 0) } }, unavailable},
	{"F21: half a response", func(_ *world, r *reply) { r.spoil = func(b []byte) []byte { return b[:len(b)/2] } }, unavailable},
	{"F21: an empty body", func(_ *world, r *reply) { r.spoil = func([]byte) []byte { return nil } }, unavailable},
	{"F21: a page", func(_ *world, r *reply) { r.spoil = func([]byte) []byte { return []byte("<html>200 OK</html>") } }, unavailable},
	{"F21: a responder that has no time", func(_ *world, r *reply) { r.spoil = func([]byte) []byte { return ocsp.TryLaterErrorResponse } }, unavailable},
	{"F21: a responder that may not say", func(_ *world, r *reply) { r.spoil = func([]byte) []byte { return ocsp.UnauthorizedErrorResponse } }, unavailable},
	{"F21: 10 kB", func(_ *world, r *reply) {
		r.more = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 10<<10)}}
	}, good},
	{"F21: 20 kB", func(_ *world, r *reply) {
		r.more = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 20<<10)}}
	}, unavailable},
}

func TestResponses(t *testing.T) {
	w := aWorld(t, byOCSP)
	for _, tt := range responses {
		t.Run(tt.rule, func(t *testing.T) {
			r := w.aReply()
			if tt.spoil != nil {
				tt.spoil(w, r)
			}
			w.serve(says(r.der(t)), nil)
			w.restart(nil)
			w.wants(t, tt.want)
		})
	}
}

func TestNonce(t *testing.T) {
	w := aWorld(t, byOCSP)
	var sent [][]byte
	answering := func(echo bool) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			nonce, reply := nonceOf(r), w.aReply()
			if sent = append(sent, nonce); echo {
				reply.nonce = nonce
			}
			_, _ = rw.Write(reply.der(w.t))
		}
	}
	for _, tt := range []struct {
		rule         string
		echo, demand bool
		want         revocation.Status
	}{
		{"X7: our nonce comes back", true, false, good},
		{"X7: no nonce comes back", false, false, good},
		{"X7: our nonce comes back and must", true, true, good},
		{"X7: no nonce comes back and must", false, true, unavailable},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w.serve(answering(tt.echo), nil)
			w.restart(func(c *revocation.Config) { c.DemandNonce = tt.demand })
			w.wants(t, tt.want)
		})
	}
	t.Run("X7: every question has a nonce of its own", func(t *testing.T) {
		if len(sent) != 4 || len(sent[0]) != 34 || bytes.Equal(sent[0], sent[1]) {
			t.Errorf("nonces %x", sent)
		}
	})
}

// TestRequest reads what is asked by the library's own reader.
func TestRequest(t *testing.T) {
	w := aWorld(t, byOCSP)
	t.Run("X7: the question names the certificate and its issuer", func(t *testing.T) {
		var asked *ocsp.Request
		w.serve(func(rw http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			if _, err := b.ReadFrom(r.Body); err != nil {
				return
			}
			if q, err := ocsp.ParseRequest(b.Bytes()); err == nil && r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/ocsp-request" {
				asked = q
			}
			_, _ = rw.Write(w.aReply().der(w.t))
		}, nil)
		w.wants(t, good)
		plain, err := ocsp.ParseRequest(must(ocsp.CreateRequest(w.leaf.Certificate, w.issuer.Certificate, nil)))
		if err != nil || asked == nil || asked.SerialNumber.Cmp(plain.SerialNumber) != 0 || !bytes.Equal(asked.IssuerKeyHash, plain.IssuerKeyHash) {
			t.Errorf("asked %+v, want %+v, %v", asked, plain, err)
		}
	})
}
