package cardca_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// book is a ledger: since when certificates are revoked, zero for those that
// are not.
type book map[string]time.Time

func (b book) Status(_ context.Context, serial string) (time.Time, error) {
	since, ok := b[serial]
	if !ok {
		return since, cardca.ErrNotIssued
	}
	return since, nil
}

func (b book) Revoked(context.Context) (map[string]time.Time, error) {
	revoked := map[string]time.Time{}
	for serial, since := range b {
		if !since.IsZero() {
			revoked[serial] = since
		}
	}
	return revoked, nil
}

// counted is a book that counts how often the list is read from it.
type counted struct {
	book
	times int
}

func (c *counted) Revoked(ctx context.Context) (map[string]time.Time, error) {
	c.times++
	return c.book.Revoked(ctx)
}

// aLasting makes the certificate and the key of an authority that lasts.
func aLasting(t *testing.T, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Hospital Cards"}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestOpen(t *testing.T) {
	for rule, names := range map[string]func(*cardca.Config, string){
		"X7: an authority that lasts answers from its ledger, by OCSP":     func(c *cardca.Config, url string) { c.OCSP = url + "/ocsp" },
		"X7: an authority that lasts answers from its ledger, by its list": func(c *cardca.Config, url string) { c.CRL = url + "/crl" },
	} {
		t.Run(rule, func(t *testing.T) {
			var a *cardca.Authority
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.Handler().ServeHTTP(w, r) }))
			t.Cleanup(server.Close)
			now, ledger := noon, book{}
			c := cardca.Config{Now: func() time.Time { return now }}
			names(&c, server.URL)
			issuing, key := aLasting(t, nil)
			a, err := cardca.Open(c, []*x509.Certificate{issuing}, key, ledger)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := a.Issue(aRequest(t))
			if err != nil {
				t.Fatal(err)
			}
			status := func() revocation.Status {
				checker, err := revocation.New(revocation.Config{Client: http.DefaultClient, Now: func() time.Time { return now }})
				if err != nil {
					t.Fatal(err)
				}
				status, err := checker.Check(t.Context(), leaf, issuing)
				if err != nil {
					t.Error(err)
				}
				return status
			}
			if c.OCSP != "" {
				if got := status(); got != revocation.Unknown {
					t.Errorf("before it is written down: %v", got)
				}
			}
			ledger["0101"] = time.Time{}
			if got := status(); got != revocation.Good {
				t.Errorf("written down: %v", got)
			}
			ledger["0101"] = now
			now = now.Add(11 * time.Second)
			if got := status(); got != revocation.Revoked {
				t.Errorf("revoked: %v", got)
			}
			now = now.AddDate(0, 0, 30) // the one that signed answers has ended by now
			if got := status(); got != revocation.Revoked {
				t.Errorf("a month later: %v", got)
			}
		})
	}

	t.Run("own rule: no certificate outlives its authority", func(t *testing.T) {
		issuing, key := aLasting(t, nil)
		a, err := cardca.Open(cardca.Config{Now: func() time.Time { return noon }}, []*x509.Certificate{issuing}, key, book{})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Until(noon, time.Hour); !got.Equal(noon.Add(time.Hour)) {
			t.Errorf("Until() = %v", got)
		}
		if got := a.Until(noon, 20*365*24*time.Hour); !got.Equal(issuing.NotAfter) {
			t.Errorf("Until() = %v, want %v", got, issuing.NotAfter)
		}
	})

	t.Run("own rule: only what the ledger says is revoked", func(t *testing.T) {
		issuing, key := aLasting(t, nil)
		a, err := cardca.Open(cardca.Config{Now: func() time.Time { return noon }}, []*x509.Certificate{issuing}, key, book{"0101": {}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Revoke("0101"); err == nil {
			t.Error("Revoke() wrote into somebody else's ledger")
		}
	})

	t.Run("own rule: whoever asks for the list in a loop has the ledger asked once", func(t *testing.T) {
		issuing, key := aLasting(t, nil)
		read := counted{book: book{"0101": noon}}
		a, err := cardca.Open(cardca.Config{Now: func() time.Time { return noon }}, []*x509.Certificate{issuing}, key, &read)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/crl", nil))
			if list, err := x509.ParseRevocationList(w.Body.Bytes()); err != nil || len(list.RevokedCertificateEntries) != 1 {
				t.Errorf("%d, %v", w.Code, err)
			}
		}
		if read.times != 1 {
			t.Errorf("it was asked %d times", read.times)
		}
	})

	other, _ := aLasting(t, nil)
	_, key := aLasting(t, nil)
	noCA, noCAKey := aLasting(t, func(c *x509.Certificate) { c.IsCA = false })
	noList, noListKey := aLasting(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	for _, tt := range []struct {
		rule        string
		certificate *x509.Certificate
		key         *ecdsa.PrivateKey
	}{
		{"own rule: another authority's key opens none", other, key},
		{"own rule: a certificate that may not sign others is no authority's", noCA, noCAKey},
		{"own rule: an authority that may not sign lists cannot say what is revoked", noList, noListKey},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if _, err := cardca.Open(cardca.Config{Now: func() time.Time { return noon }}, []*x509.Certificate{tt.certificate}, tt.key, book{}); err == nil {
				t.Error("Open() made one")
			}
		})
	}
	t.Run("own rule: no authority without a ledger", func(t *testing.T) {
		c, key := aLasting(t, nil)
		if _, err := cardca.Open(cardca.Config{Now: func() time.Time { return noon }}, []*x509.Certificate{c}, key, nil); err == nil || errors.Is(err, cardca.ErrNotIssued) {
			t.Errorf("Open() = %v", err)
		}
	})
}
