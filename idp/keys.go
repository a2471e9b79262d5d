package idp

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// KeyKind is a kind of signing key.
type KeyKind string

// The kinds of keys. RS256 is the default of OIDC Core §2; the others are for
// clients that registered them, and P-256 for what we sign for ourselves.
const (
	RSAKey     KeyKind = "RSA"
	P256Key    KeyKind = "P-256"
	Ed25519Key KeyKind = "Ed25519"
)

// KeyKinds are all the kinds, in the order in which they are told.
var KeyKinds = []KeyKind{RSAKey, P256Key, Ed25519Key}

// Algs lists the algorithms that a key of this kind signs with.
func (k KeyKind) Algs() []string {
	switch k {
	case RSAKey:
		return []string{"RS256", "RS512", "PS256"}
	case P256Key:
		return []string{"ES256"}
	case Ed25519Key:
		return []string{"EdDSA"}
	}
	return nil
}

// Generate makes a key of this kind in memory.
func (k KeyKind) Generate() (crypto.Signer, error) {
	switch k {
	case RSAKey:
		return rsa.GenerateKey(rand.Reader, 2048)
	case P256Key:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519Key:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("nobody makes keys of the kind %q", k)
}

// KindOf says of which kind a key is; "" is none that we sign with.
func KindOf(public crypto.PublicKey) KeyKind {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return RSAKey
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return P256Key
		}
	case ed25519.PublicKey:
		return Ed25519Key
	}
	return ""
}

// KeyTimes decide what a key is for. Every server reads the same times, so all
// change over at the same moment and nobody has to tell them to. A zero time
// has not been decided; only RevokedAt zero means never.
type KeyTimes struct {
	PublishedFrom  time.Time // for the record: a key is published by whoever knows it
	SignsFrom      time.Time
	SignsUntil     time.Time // when the next one of its kind takes over
	PublishedUntil time.Time
	RevokedAt      time.Time
}

// SigningKey signs tokens with any algorithm of its kind, while its times say
// so.
type SigningKey struct {
	ID     string // kid
	Kind   KeyKind
	Public crypto.PublicKey
	Signer crypto.Signer // nil where it will never sign again
	KeyTimes
}

// String names the key. However a key is printed, its private part is not.
func (k SigningKey) String() string { return "signing key " + k.ID }

// GoString does the same for %#v.
func (k SigningKey) GoString() string { return k.String() }

// LogValue implements slog.LogValuer.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// NewKeyID returns a name for a new key: letters and digits alone, because
// people give it to commands, where a dash in front would be taken for a flag.
func NewKeyID() string { return rand.Text() }

// KeyState is what a key is for at one moment.
type KeyState string

// The states of a key, in the order of its life. A revoked one has left it.
const (
	KeyNext    KeyState = "next"    // published, so that clients know it when it begins to sign
	KeyCurrent KeyState = "current" // signs
	KeyRetired KeyState = "retired" // published, so that what it signed is believed to its end
	KeyGone    KeyState = "gone"    // known to us alone
	KeyRevoked KeyState = "revoked" // nothing that it signed is believed
)

// State says what the key is for. A revocation is in force whatever the clock
// says: the server that decided it may be ahead of us.
func (k SigningKey) State(now time.Time) KeyState {
	switch {
	case !k.RevokedAt.IsZero():
		return KeyRevoked
	case past(k.PublishedUntil, now):
		return KeyGone
	case past(k.SignsUntil, now):
		return KeyRetired
	case now.Before(k.SignsFrom):
		return KeyNext
	}
	return KeyCurrent
}

// past says whether a time was decided and has come.
func past(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Keys are all the keys that this provider ever signed with. The set does not
// change: whoever learns of a change makes another.
type Keys struct{ all []SigningKey }

// NewKeys makes a set.
func NewKeys(all ...SigningKey) *Keys {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b SigningKey) int {
		return cmp.Or(a.SignsFrom.Compare(b.SignsFrom), cmp.Compare(a.ID, b.ID))
	})
	return &Keys{all: all}
}

// GenerateKeys makes a set in memory with a key of every kind, which signs from
// now on and for ever. It is for development: a service that restarts with
// other keys has disowned every token.
func GenerateKeys() (*Keys, error) {
	var all []SigningKey
	for _, kind := range KeyKinds {
		key, err := kind.Generate()
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", kind, err)
		}
		all = append(all, SigningKey{ID: NewKeyID(), Kind: kind, Public: key.Public(), Signer: key})
	}
	return NewKeys(all...), nil
}

// All lists the keys in the order in which they began or will begin to sign.
func (ks *Keys) All() []SigningKey { return slices.Clone(ks.all) }

// Key returns the key of that id, whatever its state: what it signed for us
// may have to be looked at for ever.
func (ks *Keys) Key(id string) (SigningKey, bool) {
	for _, k := range ks.all {
		if k.ID == id {
			return k, true
		}
	}
	return SigningKey{}, false
}

// Signer returns the key of a kind that signs now: of several, the last that
// began. Where none has begun it is the first that will, because the server
// that made it may be ahead of us by some seconds.
func (ks *Keys) Signer(kind KeyKind, now time.Time) (SigningKey, bool) {
	var soon *SigningKey
	for i := len(ks.all) - 1; i >= 0; i-- {
		k := &ks.all[i]
		if k.Kind != kind || k.Signer == nil {
			continue
		}
		switch k.State(now) {
		case KeyCurrent:
			return *k, true
		case KeyNext:
			soon = k
		default: // it signs no more
		}
	}
	if soon == nil {
		return SigningKey{}, false
	}
	return *soon, true
}

// Published lists the keys that clients are shown.
func (ks *Keys) Published(now time.Time) []SigningKey {
	var shown []SigningKey
	for _, k := range ks.all {
		switch k.State(now) {
		case KeyNext, KeyCurrent, KeyRetired:
			shown = append(shown, k)
		default: // not for clients
		}
	}
	return shown
}

// Algs lists the algorithms that can be signed with.
func (ks *Keys) Algs(now time.Time) []string {
	var algs []string
	for _, kind := range KeyKinds {
		if _, ok := ks.Signer(kind, now); ok {
			algs = append(algs, kind.Algs()...)
		}
	}
	return algs
}

// Span returns the times around now between which no key changes its state:
// from the first to before the second. A zero time is no bound.
func (ks *Keys) Span(now time.Time) (from, until time.Time) {
	for _, k := range ks.all {
		for _, t := range []time.Time{k.SignsFrom, k.SignsUntil, k.PublishedUntil} {
			switch {
			case t.IsZero():
			case t.After(now):
				if until.IsZero() || t.Before(until) {
					until = t
				}
			case t.After(from):
				from = t
			}
		}
	}
	return from, until
}
