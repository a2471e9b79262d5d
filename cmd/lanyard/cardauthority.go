package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/store/vault"
)

const (
	authorityKey = "cards.authority_file"
	cardKeyKey   = "cards.key_file"
)

// longestLife is how long the certificate of a card may last.
const longestLife = 5 * 366 * 24 * time.Hour

// cardLife is how long those of a development service last.
const cardLife = 2 * 365 * 24 * time.Hour

// cardPath is where the authority of this service tells of its certificates.
const cardPath = "/cards"

func checkCardAuthority(c CardsConfig, no *refusals) {
	if (c.AuthorityFile == "") != (c.KeyFile == "") {
		no.add("cards", "authority_file and key_file belong together", "name both or none")
	}
	if c.Life < 24*time.Hour || c.Life > longestLife {
		no.add("cards.life", c.Life.String()+" is out of bounds", "write 24h to %s", longestLife)
	}
	for _, a := range []struct{ key, address string }{{"cards.ocsp_url", c.OCSPURL}, {"cards.crl_url", c.CRLURL}} {
		if u, err := url.Parse(a.address); a.address != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil) {
			no.add(a.key, "this is no http or https URL", "write it as https://id.hospital.example%s, or leave it out", cardPath)
		}
	}
}

// loadCardAuthority returns the certificate of the authority that issues cards
// here, and what stands above it. One that the service does not trust itself
// would issue cards by which nobody could sign in.
func loadCardAuthority(c CardsConfig, trust cardTrust, now time.Time, no *refusals) []*x509.Certificate {
	if c.AuthorityFile == "" {
		return nil
	}
	chain, err := readAuthorities(c.AuthorityFile)
	if err != nil {
		no.add(authorityKey, err.Error(), "name a PEM file with the certificate of the authority, and behind it those above it")
		return nil
	}
	if err := smartcard.CheckAuthority(chain[0], now); err != nil {
		no.add(authorityKey, fmt.Sprintf("%q: %v", chain[0].Subject, err), "put the authority's present certificate first")
		return nil
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: trust.pool(), Intermediates: trust.intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		no.add(authorityKey, fmt.Sprintf("%q is not trusted here, so nobody could sign in with its cards", chain[0].Subject), "name it, or the root above it, in %s too", trustKey)
	}
	return chain
}

// pool are the roots: to crypto/x509, nil means the machine's own.
func (t cardTrust) pool() *x509.CertPool {
	if t.roots == nil {
		return x509.NewCertPool()
	}
	return t.roots
}

// sealedKey is what a file holds of an authority's key: what the vault needs to
// open it, and nothing that signs without the vault.
type sealedKey struct {
	Authority string `json:"card_authority"` // sealedVersion
	ID        string `json:"id"`
	Sealed    []byte `json:"sealed"`
}

const (
	sealedVersion = "lanyard card authority 1"
	maxSealedFile = 64 << 10
)

// openCardKey opens the key of the authority.
func openCardKey(path string, keys vault.Vault) (crypto.Signer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the operator named
	if err != nil {
		return nil, plainly(err)
	}
	var k sealedKey
	if len(text) > maxSealedFile || json.Unmarshal(text, &k) != nil || k.Authority != sealedVersion {
		return nil, errors.New(path + " is no key of a card authority")
	}
	return keys.Open(k.ID, k.Sealed)
}

// cardAuthority issues the certificates of cards: it is the registry's
// rules.CardAuthority.
type cardAuthority struct {
	*cardca.Authority
	life time.Duration
}

var (
	_ rules.CardAuthority = cardAuthority{}
	_ rules.CardTrust     = cardJudge{}
)

// Asked implements rules.CardAuthority.
func (cardAuthority) Asked(csr string) (string, error) {
	key, err := askedBy(csr)
	if err != nil {
		return "", err
	}
	return keyHash(key)
}

func askedBy(csr string) (crypto.PublicKey, error) {
	key, err := cardca.ReadCSR(csr)
	switch {
	case errors.Is(err, cardca.ErrKey):
		return nil, &rules.Refused{Refusal: rules.ErrCardKey, Fields: []rules.Field{{Name: "csr", Problem: rules.Unknown}}}
	case err != nil:
		return nil, &rules.Refused{Refusal: rules.ErrCSR, Fields: []rules.Field{{Name: "csr", Problem: rules.Form}}}
	}
	return key, nil
}

// keyHash names a public key.
func keyHash(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("write a card's key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Until implements rules.CardAuthority.
func (a cardAuthority) Until(now time.Time) time.Time { return a.Authority.Until(now, a.life) }

// slack is how long before its issue a certificate begins, for clocks that are
// behind.
const slack = 5 * time.Minute

// Certify implements rules.CardAuthority.
func (a cardAuthority) Certify(csr, uid, serial string, now time.Time) (rules.Certificate, error) {
	key, err := askedBy(csr)
	if err != nil {
		return rules.Certificate{}, err
	}
	c, err := a.Issue(cardca.Request{Key: key, Serial: serial, UID: uid, NotBefore: now.Add(-slack), NotAfter: a.Until(now)})
	if err != nil {
		return rules.Certificate{}, fmt.Errorf("%w: %w", idp.ErrUnavailable, err)
	}
	return told(c, a.Certificates()[0])
}

// told is what the registry keeps of a certificate.
func told(leaf, issuer *x509.Certificate) (rules.Certificate, error) {
	key, err := keyHash(leaf.PublicKey)
	if err != nil {
		return rules.Certificate{}, err
	}
	c := rules.Certificate{DER: leaf.Raw, Issuer: smartcard.IssuerID(issuer), Serial: challenge.Serial(leaf), Key: key, Ends: leaf.NotAfter}
	for _, n := range leaf.Subject.Names {
		if text, ok := n.Value.(string); ok {
			c.Names = append(c.Names, text)
		}
	}
	return c, nil
}

// cardJudge judges certificates that other authorities have issued.
type cardJudge struct{ room *smartcard.Room }

// Judge implements rules.CardTrust.
func (j cardJudge) Judge(certificate string, _ time.Time) (rules.Certificate, error) {
	c, err := cardca.ReadCertificate(certificate)
	if err != nil {
		return rules.Certificate{}, &rules.Refused{Refusal: rules.ErrUntrusted, Fields: []rules.Field{{Name: "certificate", Problem: rules.Form}}}
	}
	leaf, issuer, err := j.room.Judge(c.Raw)
	if err != nil {
		return rules.Certificate{}, &rules.Refused{Refusal: rules.ErrUntrusted, Fields: []rules.Field{{Name: "certificate", Problem: rules.Unknown}}}
	}
	return told(leaf, issuer)
}

// cardLedger is the registry as the authority knows it.
type cardLedger struct {
	cards  rules.CardLedger
	issuer string
	now    func() time.Time
}

var _ cardca.Ledger = cardLedger{}

// Status implements cardca.Ledger.
func (l cardLedger) Status(ctx context.Context, serial string) (time.Time, error) {
	c, err := l.cards.CardStanding(ctx, l.issuer, serial)
	if errors.Is(err, rules.ErrNoCard) {
		return time.Time{}, cardca.ErrNotIssued
	}
	if err != nil || !c.Revoked {
		return time.Time{}, err
	}
	return since(c), nil
}

// since is when a card was revoked; nobody wrote it down where a document said
// so.
func since(c rules.CardStanding) time.Time {
	if c.RevokedAt.IsZero() {
		return time.Unix(0, 0)
	}
	return c.RevokedAt
}

// Revoked implements cardca.Ledger.
func (l cardLedger) Revoked(ctx context.Context) (map[string]time.Time, error) {
	all, err := l.cards.RevokedCards(ctx, l.issuer, idp.DateOf(l.now()))
	if err != nil {
		return nil, err
	}
	revoked := make(map[string]time.Time, len(all))
	for _, c := range all {
		revoked[c.Serial] = since(c)
	}
	return revoked, nil
}

// ownFirst asks the registry about cards of the service's own authority, and of
// others whoever vouches for them.
type ownFirst struct {
	own    cardLedger
	others smartcard.Revocation
}

// Check implements smartcard.Revocation.
func (o ownFirst) Check(ctx context.Context, leaf, issuer *x509.Certificate) (revocation.Status, error) {
	if smartcard.IssuerID(issuer) != o.own.issuer {
		return o.others.Check(ctx, leaf, issuer)
	}
	revoked, err := o.own.Status(ctx, challenge.Serial(leaf))
	switch {
	case errors.Is(err, cardca.ErrNotIssued):
		return revocation.Unknown, nil
	case err != nil:
		return revocation.Unavailable, err
	case !revoked.IsZero():
		return revocation.Revoked, nil
	}
	return revocation.Good, nil
}

// issuing is the authority of a service that issues cards; nil: it does not.
type issuing struct {
	authority cardAuthority
	ledger    cardLedger
}

// openCardAuthority opens the authority that the settings name: nil if they
// name none. It returns what closes its key.
func openCardAuthority(s settled, cards rules.CardLedger, now func() time.Time) (*issuing, func(), error) {
	if s.authority == nil {
		return nil, func() {}, nil
	}
	_, keys, err := openVault(s)
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = keys.Close() }
	key, err := openCardKey(s.Cards.KeyFile, keys)
	if err != nil {
		done()
		return nil, nil, refusal{cardKeyKey, err.Error(), "name the key that `lanyard keys card-authority` made with this keyset or token"}
	}
	ledger := cardLedger{cards: cards, issuer: smartcard.IssuerID(s.authority[0]), now: now}
	base := origin(s.Issuer) + cardPath
	config := cardca.Config{Now: now, OCSP: or(s.Cards.OCSPURL, base+"/ocsp"), CRL: or(s.Cards.CRLURL, base+"/crl")}
	authority, err := cardca.Open(config, s.authority, key, ledger)
	if err != nil {
		done()
		return nil, nil, refusal{"cards", err.Error(), "put the certificate of this key into the file of " + authorityKey}
	}
	return &issuing{cardAuthority{authority, s.Cards.Life}, ledger}, done, nil
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// cardIssuer is the authority of cards that are given by their numbers alone:
// the service's own, or the only one that issues cards here; "" if there are
// several.
func (s settled) cardIssuer() string {
	if s.authority != nil {
		return smartcard.IssuerID(s.authority[0])
	}
	if all := s.trust.issuing(); len(all) == 1 {
		return smartcard.IssuerID(all[0])
	}
	return ""
}

// writeSealed writes a new authority's key into a new file.
func writeSealed(path string, k sealedKey) error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the file that the operator named
	if err != nil {
		return plainly(err)
	}
	_, err = f.Write(append(bytes.TrimSpace(text), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
