package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
)

const (
	maxTrustFile   = 1 << 20
	maxAuthorities = 200
)

// cardTrust is whose cards are good: roots, and what stands between them and
// cards.
type cardTrust struct {
	authorities   []*x509.Certificate
	roots         *x509.CertPool
	intermediates *x509.CertPool
}

const trustKey = "smartcard.trust_files"

// loadTrust reads the authorities of cards. One that cannot be trusted stops
// the start: whoever named it thought that its cards would work.
func loadTrust(paths []string, now time.Time, no *refusals) cardTrust {
	t := cardTrust{roots: x509.NewCertPool(), intermediates: x509.NewCertPool()}
	for _, path := range paths {
		found, err := readAuthorities(path)
		if err != nil {
			no.add(trustKey, err.Error(), "name a PEM file with certificates of card authorities")
			continue
		}
		for _, c := range found {
			if err := smartcard.CheckAuthority(c, now); err != nil {
				no.add(trustKey, fmt.Sprintf("%s: %q: %v", path, c.Subject, err), "take it out, or put the authority's present certificate there")
				continue
			}
			t.authorities = append(t.authorities, c)
			if isRoot(c) {
				t.roots.AddCert(c)
			} else {
				t.intermediates.AddCert(c)
			}
		}
	}
	for _, c := range t.authorities {
		_, err := c.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: t.intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			no.add(trustKey, fmt.Sprintf("no root among the files stands above %q", c.Subject), "add the root that issued it")
		}
	}
	return t
}

// isRoot says whether c signed itself.
func isRoot(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// readAuthorities returns the certificates of a PEM file, in its order.
func readAuthorities(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path) //nolint:gosec // the file that the operator named
	if err != nil {
		return nil, plainly(err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxTrustFile+1))
	if err != nil {
		return nil, plainly(err)
	}
	if len(text) > maxTrustFile {
		return nil, fmt.Errorf("%s is longer than %d KiB", path, maxTrustFile>>10)
	}
	all, err := parseAuthorities(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func parseAuthorities(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %q, and only certificates belong there", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read", len(all)+1)
		}
		if all = append(all, c); len(all) > maxAuthorities {
			return nil, fmt.Errorf("there are more than %d certificates in it", maxAuthorities)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return all, nil
}

// issuing are the authorities that issue cards and no other authority of the
// files.
func (t cardTrust) issuing() []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(t.authorities), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(t.authorities, func(below *x509.Certificate) bool {
			return !below.Equal(c) && below.CheckSignatureFrom(c) == nil
		})
	})
}
