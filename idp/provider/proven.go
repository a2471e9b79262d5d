package provider

import (
	"crypto/sha256"
	"sync"
)

// maxProven is how many ID tokens are remembered: 32 bytes each.
const maxProven = 8192

// proven are ID tokens of ours that this server has signed, or has checked the
// signature of. Applications show one again and again, as a hint or to exchange
// it, and the check is a quarter of what an exchange costs.
//
// To be here says that those bytes are signed by the key that they name, which
// never changes, and nothing else: whether the key still proves anything, and
// what the token is worth, is asked each time.
type proven struct {
	mu sync.Mutex
	of map[[sha256.Size]byte]struct{}
}

func (p *proven) has(token string) bool {
	name := sha256.Sum256([]byte(token))
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.of[name]
	return ok
}

// add remembers a token. Where there is no room, some other is forgotten.
func (p *proven) add(token string) {
	name := sha256.Sum256([]byte(token))
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.of {
		if len(p.of) < maxProven {
			break
		}
		delete(p.of, other)
	}
	if p.of == nil {
		p.of = map[[sha256.Size]byte]struct{}{}
	}
	p.of[name] = struct{}{}
}
