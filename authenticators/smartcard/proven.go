package smartcard

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// maxProven is how many certificates one server remembers: as many people as
// sign in there between two of one's own sign-ins, and some megabytes.
const maxProven = 2048

// proven remembers the paths of certificates that were judged good, by the
// bytes of the certificate. What a trust judges by never changes, so nothing but
// dates could make such a path bad, and those are compared each time. What
// stands outside the path, whether a card was revoked and whose it is, is not
// remembered here.
type proven struct {
	mu sync.Mutex
	of map[[sha256.Size]byte][]*x509.Certificate
}

// path returns the path of the certificate der if it was proved and is valid
// now, or nil.
func (p *proven) path(der []byte, now time.Time) []*x509.Certificate {
	name := sha256.Sum256(der)
	p.mu.Lock()
	path := p.of[name]
	p.mu.Unlock()
	if slices.ContainsFunc(path, func(link *x509.Certificate) bool { return now.Before(link.NotBefore) || now.After(link.NotAfter) }) {
		return nil
	}
	return path
}

// add remembers a path that was judged good now. Where there is no room, some
// other is forgotten.
func (p *proven) add(path []*x509.Certificate) {
	name := sha256.Sum256(path[0].Raw)
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.of {
		if len(p.of) < maxProven {
			break
		}
		delete(p.of, other)
	}
	p.of[name] = path
}
