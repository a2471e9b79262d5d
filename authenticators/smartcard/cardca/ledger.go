package cardca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Ledger knows what was issued and what became of it. Serial numbers are those
// of certificates, in upper-case hex with an even number of digits.
type Ledger interface {
	// Status returns since when a certificate is revoked; zero: it is not.
	// ErrNotIssued if there is no such certificate of this authority.
	Status(ctx context.Context, serial string) (since time.Time, err error)

	// Revoked returns the certificates that are revoked and have not ended yet,
	// and since when.
	Revoked(ctx context.Context) (map[string]time.Time, error)
}

// memory is the ledger of an authority that ends with the process.
type memory struct {
	mu      sync.Mutex
	issued  map[string]struct{}
	revoked map[string]time.Time
}

func newMemory() *memory {
	return &memory{issued: map[string]struct{}{}, revoked: map[string]time.Time{}}
}

func (m *memory) add(serial string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.issued[serial] = struct{}{}
}

func (m *memory) revoke(serial string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.issued[serial]; !ok {
		return ErrNotIssued
	}
	if _, ok := m.revoked[serial]; !ok {
		m.revoked[serial] = now
	}
	return nil
}

// Status implements Ledger.
func (m *memory) Status(_ context.Context, serial string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.issued[serial]; !ok {
		return time.Time{}, ErrNotIssued
	}
	return m.revoked[serial], nil
}

// Revoked implements Ledger.
func (m *memory) Revoked(context.Context) (map[string]time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.revoked), nil
}

// Revoke revokes the certificate with that serial number (hex, leading zeros
// or not) from now on. It cannot be taken back. ErrNotIssued if there is none.
// It is for an authority of New: what another has issued its ledger revokes.
func (a *Authority) Revoke(serial string) error {
	n, err := number(serial)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	own, ok := a.ledger.(*memory)
	if !ok {
		return errors.New("revoke: the ledger is somebody else's")
	}
	if err := own.revoke(name(n), a.config.Now()); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// Open returns an authority whose certificate is the first of chain, with the
// authorities above it behind it, and whose key is key. What it issues is
// written down elsewhere: in the ledger, before anybody has it.
func Open(c Config, chain []*x509.Certificate, key crypto.Signer, ledger Ledger) (*Authority, error) {
	switch {
	case c.Now == nil || ledger == nil:
		return nil, errors.New("open authority: no clock or no ledger")
	case len(chain) == 0 || !chain[0].IsCA || chain[0].KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("open authority: its certificate may not sign others")
	case chain[0].KeyUsage&x509.KeyUsageCRLSign == 0:
		return nil, errors.New("open authority: its certificate may not sign lists of what is revoked")
	}
	public, ok := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("open authority: the key is not the one that its certificate names")
	}
	return &Authority{config: c, issuing: chain[0], root: chain[len(chain)-1], above: slices.Clone(chain[1:]), key: key, ledger: ledger, delegates: short}, nil
}
