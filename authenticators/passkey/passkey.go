// Package passkey signs people in by passkeys, security keys and Windows
// Hello, and lets them add one.
//
// It asks and judges in the JSON that browsers make and take for WebAuthn, and
// knows no HTTP, no page and no session. What a key is worth is decided when
// it is added, in worth.go, by what its maker attests and what the FIDO
// Alliance says of the model (metadata.go); a sign-in may find it worth less,
// never more. Package testkey is a key in software.
package passkey

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Refusals of this room, beside those of all rooms. Which check of a key
// failed is not told, and a key that nobody holds is refused like one that
// signed wrongly.
const (
	ErrKey        authenticators.Refusal = "the key did not prove what was asked"
	ErrOrigin     authenticators.Refusal = "the key answered another site than this one"
	ErrUnverified authenticators.Refusal = "the key did not verify who holds it"
	ErrCounter    authenticators.Refusal = "the key counts less than it did: there may be two of it"
	ErrKnown      authenticators.Refusal = "the key is held already"
)

// Config is what a Room needs. All of it must be there but where it says so.
type Config struct {
	RPID    string   // the domain that keys are made for
	RPName  string   // what keys and browsers call it
	Origins []string // the web origins whose pages may ask, as browsers spell them

	Questions authenticators.Questions
	Held      authenticators.Held
	Metadata  *Metadata // nil: no key is worth AAL3
	Policy    Policy
	Now       func() time.Time
	Rand      io.Reader // nil means crypto/rand
}

// Policy says which keys may be worth AAL3. The zero Policy takes every model
// that the metadata knows and has nothing against.
type Policy struct {
	Models    []string // their AAGUIDs, in the usual spelling; empty: all
	Certified string   // the least certification, such as FIDO_CERTIFIED_L1; empty: none

	// Grace is how long metadata is believed after the next was due; zero
	// means 30 days. Nobody should be locked out on the very day that a file
	// was forgotten, and a model that was revoked must not stand for ever.
	Grace time.Duration
}

const defaultGrace = 30 * 24 * time.Hour

// Room signs people in by key, and enrols keys. It is safe for concurrent use.
type Room struct {
	rpID, rpName string
	origins      []string
	library      *webauthn.WebAuthn
	questions    authenticators.Questions
	held         authenticators.Held
	metadata     *Metadata
	policy       Policy
	now          func() time.Time
	rand         io.Reader
}

var (
	_ authenticators.Room     = (*Room)(nil)
	_ authenticators.Enroller = (*Room)(nil)
)

// New returns a room, or an error that names what c lacks or has wrong.
func New(c Config) (*Room, error) {
	switch {
	case c.RPID == "" || c.RPName == "" || len(c.Origins) == 0:
		return nil, errors.New("passkey room: no relying party ID, name or origin")
	case c.Questions == nil || c.Held == nil || c.Now == nil:
		return nil, errors.New("passkey room: no questions, registry or clock")
	}
	for _, origin := range c.Origins {
		if err := CheckOrigin(origin, c.RPID); err != nil {
			return nil, fmt.Errorf("passkey room: %w", err)
		}
	}
	if err := c.Policy.Check(); err != nil {
		return nil, fmt.Errorf("passkey room: %w", err)
	}
	if c.Policy.Grace == 0 {
		c.Policy.Grace = defaultGrace
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	// The library's own look at the metadata stays off, here and at every
	// sign-in: it refuses what it does not know, where we take it for AAL2,
	// and passes over attestations that prove nothing.
	library, err := webauthn.New(&webauthn.Config{
		RPID: c.RPID, RPDisplayName: c.RPName, RPOrigins: slices.Clone(c.Origins),
		RPTopOriginVerificationMode: protocol.TopOriginExplicitVerificationMode, // of which there are none
		Attestation:                 protocol.AttestationPolicy{AndroidKey: protocol.AndroidKeyPolicy{AuthorizationScope: protocol.AndroidKeyAuthorizationScopeTEEEnforced}},
		Signature:                   protocol.SignaturePolicy{ECDSAEncoding: protocol.ECDSASignatureEncodingDER},
	})
	if err != nil {
		return nil, fmt.Errorf("passkey room: %w", err)
	}
	return &Room{
		rpID: c.RPID, rpName: c.RPName, origins: slices.Clone(c.Origins), library: library,
		questions: c.Questions, held: c.Held, metadata: c.Metadata, policy: c.Policy, now: c.Now, rand: c.Rand,
	}, nil
}

// CheckOrigin says what is wrong with an origin: origins are compared to the
// letter, so one that no browser would spell so lets nobody in.
func CheckOrigin(origin, rpID string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin {
		return fmt.Errorf("%q is no web origin, such as https://id.example", origin)
	}
	host := u.Hostname()
	if host != rpID && !strings.HasSuffix(host, "."+rpID) {
		return fmt.Errorf("the origin %s is not of the domain %s", origin, rpID)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || host != "localhost" && !strings.HasSuffix(host, ".localhost")) {
		return fmt.Errorf("the origin %s is not https", origin)
	}
	return nil
}
