package idp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/authenticators"
)

// AuthMethod is how a client proves itself at the token endpoint.
type AuthMethod string

// The methods of OIDC Core §9 that a client can be registered with.
const (
	SecretBasic   AuthMethod = "client_secret_basic"
	SecretPost    AuthMethod = "client_secret_post"
	PrivateKeyJWT AuthMethod = "private_key_jwt"
	NoAuth        AuthMethod = "none" // a public client
)

// AssertionAlgs are the algorithms that a client may sign assertions with.
var AssertionAlgs = []string{"RS256", "RS512", "PS256", "ES256"}

// Client is a registered relying party. Every member is a promise to it or a
// limit on it; none is taken from a request.
type Client struct {
	ID                     string
	Name                   string
	SecretHash             string // "sha256:" and base64url; empty if it has no secret
	AuthMethod             AuthMethod
	JWKS                   []byte // its public keys, for private_key_jwt
	JWKSURI                string
	AssertionAlgs          []string
	AssertionAudiences     []string // "issuer", "token_endpoint"
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	BackchannelLogoutURI   string
	Scopes                 []string
	Grants                 []string
	ResponseModes          []string
	IDTokenAlg             string
	UserinfoAlg            string // empty: JSON
	RequirePKCE            bool
	ACRDefault             ACR
	ACRAllowed             []ACR // empty: all
	MinLevel               authenticators.Level
	RequiresRole           bool
	AcceptsUnverified      bool
	ExchangeFrom           []string // the clients that may exchange their tokens for one that is for it
}

// Clients finds registered clients.
type Clients interface {
	// Client returns the client with that id, or ErrClientUnknown.
	Client(ctx context.Context, id string) (Client, error)
}

// CheckSecret compares in constant time. Generated secrets have 128 bits and
// more, so one SHA-256 is enough: nobody can try them all.
func (c Client) CheckSecret(secret string) bool {
	return c.SecretHash != "" &&
		subtle.ConstantTimeCompare([]byte(HashSecret(secret)), []byte(c.SecretHash)) == 1
}

// HashSecret returns a client secret in the form that is stored.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Redirect returns uri if it is registered, or ErrRedirect. RFC 9700 §2.1: it
// must match to the letter. RFC 8252 §7.3: only a public client with a
// registered loopback address may come with another port.
func (c Client) Redirect(uri string) error {
	if slices.Contains(c.RedirectURIs, uri) {
		return nil
	}
	if c.AuthMethod == NoAuth {
		for _, registered := range c.RedirectURIs {
			if loopbackMatch(registered, uri) {
				return nil
			}
		}
	}
	return ErrRedirect
}

// PostLogoutRedirect returns ErrRedirect unless people may be sent to uri once
// they have signed out. OIDC RP-Initiated Logout §3: it must match to the letter.
func (c Client) PostLogoutRedirect(uri string) error {
	if slices.Contains(c.PostLogoutRedirectURIs, uri) {
		return nil
	}
	return ErrRedirect
}

// loopbackMatch says whether uri differs from the registered loopback address
// in its port alone. It cuts text instead of parsing, so nothing that a parser
// forgives can slip through.
func loopbackMatch(registered, uri string) bool {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		path, ok := strings.CutPrefix(registered, host)
		if !ok || !strings.HasPrefix(path, "/") {
			continue
		}
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			return false
		}
		if rest == path {
			return true
		}
		port, ok := strings.CutPrefix(strings.TrimSuffix(rest, path), ":")
		return ok && strings.HasSuffix(rest, path) && isPort(port)
	}
	return false
}

func isPort(s string) bool {
	if len(s) == 0 || len(s) > 5 || s[0] == '0' {
		return false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return len(s) < 5 || s <= "65535"
}

// CheckRedirectURI says whether uri may be registered at all: absolute, no
// fragment, no wildcard, https unless it stays on this computer.
func CheckRedirectURI(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Fragment != "" || strings.ContainsAny(uri, "*#\\") || u.User != nil {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

// Allows cuts the scopes of a request down to those that c may ask for, in
// the order of the request. openid must be among them.
func (c Client) Allows(scopes []string) ([]string, error) {
	var allowed []string
	for _, s := range scopes {
		switch {
		case slices.Contains(allowed, s):
		case slices.Contains(c.Scopes, s):
			allowed = append(allowed, s)
		case slices.Contains(Scopes, s):
			return nil, ErrScope
		}
		// OIDC Core §3.1.2.1: scopes nobody knows are ignored.
	}
	if !slices.Contains(allowed, "openid") {
		return nil, ErrScope
	}
	return allowed, nil
}

// Scopes are the scopes of CIS2, all that this provider knows.
var Scopes = []string{
	"openid", "profile", "email", "nhsperson", "associatedorgs", "nationalrbacaccess",
	"professionalmemberships", "organisationalmemberships", "selectedrole", "changedrole",
}
