package totp

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/lanyard-id/lanyard/authenticators"
)

// What a password costs. 19 MiB and two passes are the least that OWASP
// advises. We raise the passes and leave the memory: four take a tenth of a
// second of a small machine, and a server that hashes holds no more.
//
// The cost is a number in the program and not measured at the start: servers
// that measured for themselves would not agree, and who knows what the decoy
// costs would tell by the time whose password another server hashed.
const (
	memory       = 19 << 10 // KiB
	threads      = 1
	fewestPasses = 2
	usualPasses  = 4
	mostPasses   = 16
	mostMemory   = 64 << 10 // KiB: what a hash of the registry may make us spend
	saltSize     = 16
	keySize      = 32
)

// hashes judges and makes hashes of passwords, a few at a time.
type hashes struct {
	passes  uint32
	turns   chan struct{}
	waiting atomic.Int32 // for a turn
	rand    io.Reader
}

// waitersEach is how many may wait for each that hashes: as many as get their
// turn in two seconds. Who comes later is told at once, so that a crowd of
// passwords does not fill the server that others sign in at.
const waitersEach = 16

func newHashes(passes, atOnce int, random io.Reader) *hashes {
	return &hashes{passes: uint32(passes), turns: make(chan struct{}, atOnce), rand: random} //nolint:gosec // bounded by New
}

// turn waits until it may hash, and returns what to call afterwards. Who
// cannot wait that long meets an outage: nothing was refused, and no try
// counted.
//
// What a hash took is given back before the next takes as much: left to
// itself the collector would wait for several of them, and a server that
// hashes would hold twice the memory of one that does not. It costs a
// twentieth of the hash.
func (h *hashes) turn(ctx context.Context) (done func(), err error) {
	defer h.waiting.Add(-1)
	if int(h.waiting.Add(1)) > waitersEach*cap(h.turns) {
		return nil, authenticators.ErrBusy
	}
	select {
	case h.turns <- struct{}{}:
		return func() { runtime.GC(); <-h.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
	}
}

// phc is a hash as it is written: $argon2id$v=19$m=19456,t=4,p=1$salt$key.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.passes, p.threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// parse reads a hash that is ours in its form and costs no more than is bound.
func parse(text string) (phc, error) {
	var p phc
	parts := strings.Split(text, "$")
	if len(parts) != 6 || len(text) > 256 {
		return phc{}, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil {
		return phc{}, errHash
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	// What is written again as it stands has nothing in it that was not read.
	if err1 != nil || err2 != nil || p.String() != text {
		return phc{}, errHash
	}
	if p.memory < memory || p.memory > mostMemory || p.passes < fewestPasses || p.passes > mostPasses ||
		p.threads < 1 || p.threads > 4 || len(p.salt) != saltSize || len(p.key) != keySize {
		return phc{}, errHash
	}
	return p, nil
}

var errHash = errors.New("the password's hash is not one of ours, or out of bounds")

// matches says whether password is that of p. One that was made at a lower
// cost takes as long as one of today, so that time does not tell who has not
// changed theirs.
func (h *hashes) matches(p phc, password string) bool {
	key := derive(password, p.salt, p.passes, p.memory, p.threads)
	if p.passes < h.passes {
		derive(password, p.salt, h.passes-p.passes, p.memory, p.threads)
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// derive hashes a password in the one form that its characters have, however
// the keyboard composed them. NIST SP 800-63B §5.1.1.2.
func derive(password string, salt []byte, passes, memory uint32, threads uint8) []byte {
	return argon2.IDKey(norm.NFKC.Bytes([]byte(password)), salt, passes, memory, threads, keySize)
}

// of returns the hash of a new password.
func (h *hashes) of(password string) (string, error) {
	p, err := h.empty()
	if err != nil {
		return "", err
	}
	p.key = derive(password, p.salt, p.passes, p.memory, p.threads)
	return p.String(), nil
}

// decoy returns a hash that is of no password and costs as much to judge.
func (h *hashes) decoy() (string, error) {
	p, err := h.empty()
	if err != nil {
		return "", err
	}
	p.key = make([]byte, keySize)
	if _, err := io.ReadFull(h.rand, p.key); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return p.String(), nil
}

func (h *hashes) empty() (phc, error) {
	p := phc{memory: memory, passes: h.passes, threads: threads, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(h.rand, p.salt); err != nil {
		return phc{}, fmt.Errorf("read random bytes: %w", err)
	}
	return p, nil
}
