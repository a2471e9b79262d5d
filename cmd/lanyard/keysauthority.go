package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/vault"
)

// newAuthority is what an operator says of a new authority of cards.
type newAuthority struct {
	file, name, kind string
	years            int // for which it signs itself; 0: another authority does
}

// keysCardAuthority makes the key of an authority of cards.
func keysCardAuthority(open func(context.Context) (vault.Vault, error), now func() time.Time) *cobra.Command {
	var n newAuthority
	cmd := &cobra.Command{
		Use:   "card-authority",
		Short: "Make the key of an authority that issues the certificates of cards",
		Long: "Makes a key in the keyset or the token that the configuration names, writes what opens it to a new file, for\n" +
			"cards.key_file, and prints the authority's request for a certificate, for the authority above it to sign. With\n" +
			"--self-signed it prints the certificate of a root, for cards.authority_file and smartcard.trust_files.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n.file == "" || n.name == "" {
				return exit{exitUsage, errors.New("--key and --name are needed")}
			}
			if n.years < 0 || n.years > 30 {
				return exit{exitUsage, errors.New("--self-signed takes 1 to 30 years")}
			}
			keys, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = keys.Close() }()
			text, err := n.make(keys, now())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.file, "key", "", "new `file` for what opens the key")
	f.StringVar(&n.name, "name", "", "the authority's `name` in certificates")
	f.StringVar(&n.kind, "kind", string(idp.P256Key), "`kind` of its key: P-256 or RSA")
	f.IntVar(&n.years, "self-signed", 0, "sign its own certificate, for so many `years`")
	return cmd
}

// make makes the key and returns what is to be signed, or is signed, in PEM.
func (n newAuthority) make(keys vault.Vault, now time.Time) ([]byte, error) {
	kind := idp.KeyKind(n.kind)
	if kind != idp.P256Key && kind != idp.RSAKey || !slices.Contains(keys.Kinds(), kind) {
		return nil, exit{exitUsage, fmt.Errorf("%.40q is no kind of key for an authority: P-256 or RSA", n.kind)}
	}
	id := "card authority " + idp.NewSecret()
	sealed, key, err := keys.New(id, kind)
	if err != nil {
		return nil, err
	}
	block := pem.Block{Type: "CERTIFICATE REQUEST"}
	if n.years > 0 {
		block.Type = "CERTIFICATE"
		block.Bytes, err = rootOf(n.name, key, now, n.years)
	} else {
		block.Bytes, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: n.name}}, key)
	}
	if err != nil {
		return nil, fmt.Errorf("sign with the new key: %w", err)
	}
	return pem.EncodeToMemory(&block), writeSealed(n.file, sealedKey{sealedVersion, id, sealed})
}

// rootOf is the certificate of an authority that stands below nobody. It issues
// to cards and to nobody else.
func rootOf(name string, key crypto.Signer, now time.Time, years int) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-slack), NotAfter: now.AddDate(years, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}
