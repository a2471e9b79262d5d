package testkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// Alliance publishes metadata about models, as the FIDO Alliance does. Set
// what should differ before Publish.
type Alliance struct {
	Root    *x509.Certificate
	Signer  string    // whom its certificate names
	Ends    time.Time // when that ends; zero: not in our time
	Sources string    // where it says that revocation can be asked, if anywhere

	key *ecdsa.PrivateKey
}

// Model is what is published of a model.
type Model struct {
	AAGUID [16]byte
	Name   string
	Roots  []*x509.Certificate // of its maker
	Status []string            // one report each, the newest last
	Types  []string            // of attestation; empty: those that lead to a root
}

// NewAlliance returns one with a root of its own.
func NewAlliance() (*Alliance, error) {
	key, root, err := newRoot("Test Alliance Root")
	return &Alliance{Root: root, Signer: "mds.fidoalliance.org", key: key}, err
}

// Publish returns a signed edition of that number, whose next is due that day.
func (a *Alliance) Publish(number int, next time.Time, models ...Model) ([]byte, error) {
	entries := []map[string]any{}
	for _, m := range models {
		entries = append(entries, m.entry())
	}
	payload, err := json.Marshal(map[string]any{"legalHeader": "test", "no": number, "nextUpdate": next.UTC().Format(time.DateOnly), "entries": entries})
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return a.Sign(payload)
}

// Sign signs what may be an edition.
func (a *Alliance) Sign(payload []byte) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: a.Signer}, DNSNames: []string{a.Signer}, NotBefore: firstDay, NotAfter: lastDay,
	}
	if !a.Ends.IsZero() {
		t.NotAfter = a.Ends
	}
	if a.Sources != "" {
		t.OCSPServer, t.CRLDistributionPoints = []string{a.Sources}, []string{a.Sources}
	}
	leaf, err := x509.CreateCertificate(rand.Reader, t, a.Root, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	header, err := json.Marshal(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": []string{
		base64.StdEncoding.EncodeToString(leaf), base64.StdEncoding.EncodeToString(a.Root.Raw),
	}})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	message := encode(header) + "." + encode(payload)
	hash := sha256.Sum256([]byte(message))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return []byte(message + "." + encode(signature[:])), nil
}

func (m Model) entry() map[string]any {
	aaguid := fmt.Sprintf("%x-%x-%x-%x-%x", m.AAGUID[:4], m.AAGUID[4:6], m.AAGUID[6:8], m.AAGUID[8:10], m.AAGUID[10:])
	roots := []string{}
	for _, r := range m.Roots {
		roots = append(roots, base64.StdEncoding.EncodeToString(r.Raw))
	}
	reports := []map[string]any{}
	for _, s := range m.Status {
		reports = append(reports, map[string]any{"status": s, "effectiveDate": "2022-01-01"})
	}
	types := m.Types
	if len(types) == 0 {
		types = []string{"basic_full", "attca", "anonca"}
	}
	return map[string]any{
		"aaguid": aaguid, "timeOfLastStatusChange": "2022-01-01", "statusReports": reports,
		"metadataStatement": map[string]any{
			"aaguid": aaguid, "description": m.Name, "protocolFamily": "fido2", "schema": 3, "authenticatorVersion": 1,
			"attestationTypes": types, "attestationRootCertificates": roots, "icon": "data:image/png;base64,AAAA",
			"authenticationAlgorithms": []string{"secp256r1_ecdsa_sha256_raw", "ed25519_eddsa_sha512_raw", "rsassa_pkcsv15_sha256_raw"},
		},
	}
}
