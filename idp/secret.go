package idp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// familyBytes name a family: enough that two never meet by chance while both
// live. They are no secret.
const familyBytes = 8

var familyLen = base64.RawURLEncoding.EncodedLen(familyBytes)

// NewSecret returns 256 random bits, base64url.
func NewSecret() string { return random(32) }

// NewSID returns a name for a new session, which opens nothing.
func NewSID() string { return random(16) }

// newFamily returns the name of a new family.
func newFamily() string { return random(familyBytes) }

// newInFamily returns a code or token of a family: its name and then 256
// random bits.
func newInFamily(family string) string { return family + NewSecret() }

// FamilyOf returns the name of the family that a code or token says it is of.
// What cannot be one is of the family "", which has none.
func FamilyOf(secret string) string {
	if _, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(secret) != familyLen+base64.RawURLEncoding.EncodedLen(32) {
		return ""
	}
	return secret[:familyLen]
}

// Hash returns the base64url SHA-256 of a secret: the form in which it is
// kept. Secrets here have 256 random bits, so one SHA-256 is enough.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
