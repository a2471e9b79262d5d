package cardca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// served is an authority that can be asked, with a card.
type served struct {
	*cardca.Authority
	url  string
	leaf *x509.Certificate
}

// aServed starts an authority whose certificates name what names says.
func aServed(t *testing.T, names func(c *cardca.Config, url string)) served {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	c := cardca.Config{Now: func() time.Time { return noon }}
	names(&c, server.URL)
	a, err := cardca.New(c)
	if err != nil {
		t.Fatal(err)
	}
	handler = a.Handler()
	leaf, err := a.Issue(aRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	return served{a, server.URL, leaf}
}

// status is what a checker that remembers nothing says of the card.
func (s served) status(t *testing.T) revocation.Status {
	t.Helper()
	checker, err := revocation.New(revocation.Config{Client: http.DefaultClient, Now: func() time.Time { return noon }, DemandNonce: true})
	if err != nil {
		t.Fatal(err)
	}
	status, err := checker.Check(t.Context(), s.leaf, s.Certificates()[0])
	if err != nil {
		t.Error(err)
	}
	return status
}

func TestStatus(t *testing.T) {
	for rule, names := range map[string]func(*cardca.Config, string){
		"X7: OCSP, with a nonce":     func(c *cardca.Config, url string) { c.OCSP = url + "/ocsp" },
		"X7: the revocation list":    func(c *cardca.Config, url string) { c.CRL = url + "/crl" },
		"X7: the list and no answer": func(c *cardca.Config, url string) { c.OCSP, c.CRL = url+"/nothing", url+"/crl" },
	} {
		t.Run(rule, func(t *testing.T) {
			s := aServed(t, names)
			if got := s.status(t); got != revocation.Good {
				t.Errorf("before: %v", got)
			}
			if err := s.Revoke("101"); err != nil {
				t.Fatal(err)
			}
			if got := s.status(t); got != revocation.Revoked {
				t.Errorf("after: %v", got)
			}
		})
	}
	t.Run("own rule: only what was issued can be revoked", func(t *testing.T) {
		s := aServed(t, func(*cardca.Config, string) {})
		if err := s.Revoke("102"); !errors.Is(err, cardca.ErrNotIssued) {
			t.Errorf("Revoke() = %v, want ErrNotIssued", err)
		}
		if err := s.Revoke("card"); err == nil {
			t.Error("Revoke() took no number")
		}
	})
	t.Run("own rule: no authority without a clock", func(t *testing.T) {
		if _, err := cardca.New(cardca.Config{}); err == nil {
			t.Error("New() made one")
		}
	})
}

func TestResponder(t *testing.T) {
	s := aServed(t, func(*cardca.Config, string) {})
	issuer := s.Certificates()[0]
	request := func(t *testing.T, leaf, issuer *x509.Certificate) []byte {
		t.Helper()
		der, err := ocsp.CreateRequest(leaf, issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ask := func(t *testing.T, method, address string, body []byte) (int, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	good := request(t, s.leaf, issuer)
	t.Run("X7: a delegated responder answers, and another library can read it", func(t *testing.T) {
		_, b := ask(t, http.MethodPost, s.url+"/ocsp", good)
		r, err := ocsp.ParseResponseForCert(b, s.leaf, issuer)
		if err != nil || r.Status != ocsp.Good || r.Certificate == nil || !slices.Contains(r.Certificate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("X7: a question in the URL", func(t *testing.T) {
		encoded := url.PathEscape(base64.StdEncoding.EncodeToString(good))
		_, b := ask(t, http.MethodGet, s.url+"/ocsp/"+encoded, nil)
		if r, err := ocsp.ParseResponseForCert(b, s.leaf, issuer); err != nil || r.Status != ocsp.Good {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("X7: a certificate that was never issued is unknown", func(t *testing.T) {
		other, err := anAuthority(t).Issue(func() cardca.Request { r := aRequest(t); r.Serial = "0999"; return r }())
		if err != nil {
			t.Fatal(err)
		}
		_, b := ask(t, http.MethodPost, s.url+"/ocsp", request(t, other, issuer))
		if r, err := ocsp.ParseResponseForCert(b, other, issuer); err != nil || r.Status != ocsp.Unknown {
			t.Errorf("%+v, %v", r, err)
		}
	})
	for rule, tt := range map[string]struct {
		body []byte
		want []byte
	}{
		"X7: another authority's certificate": {request(t, s.leaf, anAuthority(t).Certificates()[0]), ocsp.UnauthorizedErrorResponse},
		"X7: no request":                      {[]byte("hello"), ocsp.MalformedRequestErrorResponse},
		"X7: a request that is too long":      {append(slices.Clone(good), make([]byte, 8<<10)...), ocsp.MalformedRequestErrorResponse},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, b := ask(t, http.MethodPost, s.url+"/ocsp", tt.body); !bytes.Equal(b, tt.want) {
				t.Errorf("%x, want %x", b, tt.want)
			}
		})
	}
	t.Run("own rule: nothing else is there", func(t *testing.T) {
		for _, path := range []string{"/", "/ocsp", "/crl/", "/keys"} {
			if status, _ := ask(t, http.MethodGet, s.url+path, nil); status != http.StatusNotFound {
				t.Errorf("%s has status %d", path, status)
			}
		}
		if _, b := ask(t, http.MethodGet, s.url+"/ocsp/"+strings.Repeat("A", 9000), nil); !bytes.Equal(b, ocsp.MalformedRequestErrorResponse) {
			t.Errorf("a long request got %d bytes", len(b))
		}
	})
}
