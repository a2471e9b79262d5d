package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// Bounds of a client assertion. RFC 7523 §3 wants it short-lived and leaves
// the number to us; CIS2 clients make theirs for three to five minutes.
const (
	maxAssertion  = 16 << 10 // characters
	assertionLife = 5 * time.Minute
	assertionSkew = 10 * time.Second
	maxJTI        = 256 // characters
)

// proofError says which part of a client's proof was wrong, what came and what
// was registered. The client is told none of it; its developer finds it in the
// log.
type proofError struct{ field, came, want string }

func (e proofError) Error() string {
	return fmt.Sprintf("proof of the client: %s is %q, want %s", e.field, e.came, e.want)
}

// Is makes it the refusal of a client.
func (e proofError) Is(target error) bool { return target == idp.ErrClientUnknown }

// wrong makes a proofError. What came is a stranger's word, so it is cut.
func wrong(field, came, want string) error {
	if len(came) > 100 {
		came = came[:100] + "…"
	}
	return proofError{field, came, want}
}

// assertion is the payload of a client assertion. RFC 7523 §3.
type assertion struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   *float64 `json:"exp"` // seconds; RFC 7519 §2 allows fractions
	NotBefore *float64 `json:"nbf"`
	IssuedAt  *float64 `json:"iat"`
	ID        string   `json:"jti"`
}

// audience is one name or a list of them. RFC 7519 §4.1.3.
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// checkAssertion authenticates c by the assertion that it signed, and returns
// the fence that keeps it from being used again. RFC 7523 §3, OIDC Core §9.
func (p *Provider) checkAssertion(ctx context.Context, c idp.Client, r *op.ClientCredentials) (idp.Fence, error) {
	if len(r.ClientAssertion) > maxAssertion {
		return idp.Fence{}, wrong("length", "more", "at most 16384 characters")
	}
	var algs []jose.SignatureAlgorithm
	for _, alg := range c.AssertionAlgs {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(r.ClientAssertion, algs)
	if err != nil {
		return idp.Fence{}, wrong("alg", string(headerOf(r.ClientAssertion)["alg"]), strings.Join(c.AssertionAlgs, " or "))
	}
	if err := checkHeader(headerOf(r.ClientAssertion)); err != nil {
		return idp.Fence{}, err
	}
	payload, err := p.clientKeys.verify(ctx, c, jws)
	if err != nil {
		return idp.Fence{}, err
	}
	var a assertion
	if err := json.Unmarshal(payload, &a); err != nil {
		return idp.Fence{}, wrong("payload", "unreadable", "the claims of RFC 7523")
	}
	if err := p.checkClaims(c, a); err != nil {
		return idp.Fence{}, err
	}
	return idp.Fence{Kind: idp.AssertionFence, Hash: idp.Hash(idp.Hash(c.ID) + idp.Hash(a.ID))}, nil
}

// headerOf returns the members of an assertion's header, as they are written:
// the library keeps some to itself.
func headerOf(assertion string) map[string]json.RawMessage {
	header, _, _ := strings.Cut(assertion, ".")
	b, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil {
		return nil
	}
	return members
}

// checkHeader refuses what would bring a key along (RFC 8725 §3.10), and
// tokens that were made for something else (§3.11).
func checkHeader(members map[string]json.RawMessage) error {
	for _, name := range []string{"jku", "x5u", "x5c", "jwk", "crit", "b64"} {
		if _, has := members[name]; has {
			return wrong(name, "present", "absent")
		}
	}
	written, has := members["typ"]
	if !has {
		return nil
	}
	var typ string
	if err := json.Unmarshal(written, &typ); err != nil {
		return wrong("typ", "no text", "JWT")
	}
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") { // RFC 7515 §4.1.9
	case "jwt", "client-authentication+jwt":
		return nil
	}
	return wrong("typ", typ, "JWT")
}

func (p *Provider) checkClaims(c idp.Client, a assertion) error {
	now := p.Logins.Now()
	audiences := p.audiences(c)
	switch {
	case a.Issuer != c.ID:
		return wrong("iss", a.Issuer, "the client_id "+c.ID)
	case a.Subject != c.ID:
		return wrong("sub", a.Subject, "the client_id "+c.ID)
	case !slices.ContainsFunc(a.Audience, func(name string) bool { return slices.Contains(audiences, name) }):
		return wrong("aud", strings.Join(a.Audience, " "), strings.Join(audiences, " or "))
	case a.Expires == nil:
		return wrong("exp", "missing", "a time")
	case !now.Before(at(*a.Expires).Add(assertionSkew)):
		return wrong("exp", at(*a.Expires).Format(time.RFC3339), "after "+now.UTC().Format(time.RFC3339))
	case at(*a.Expires).After(now.Add(assertionLife + assertionSkew)):
		return wrong("exp", at(*a.Expires).Format(time.RFC3339), "at most 5 minutes after "+now.UTC().Format(time.RFC3339))
	case a.NotBefore != nil && at(*a.NotBefore).After(now.Add(assertionSkew)):
		return wrong("nbf", at(*a.NotBefore).Format(time.RFC3339), "before "+now.UTC().Format(time.RFC3339))
	case a.IssuedAt != nil && at(*a.IssuedAt).After(now.Add(assertionSkew)):
		return wrong("iat", at(*a.IssuedAt).Format(time.RFC3339), "before "+now.UTC().Format(time.RFC3339))
	case a.ID == "" || len(a.ID) > maxJTI:
		return wrong("jti", a.ID, "1 to 256 characters")
	}
	return nil
}

// audiences are the names under which c may address us, to the letter.
func (p *Provider) audiences(c idp.Client) []string {
	var names []string
	for _, a := range c.AssertionAudiences {
		switch a {
		case "issuer":
			names = append(names, p.Issuer)
		case "token_endpoint":
			names = append(names, p.at(p.paths.token))
		}
	}
	return names
}

// at turns seconds into a time. Numbers that no clock shows become the far
// past or future.
func at(seconds float64) time.Time {
	const far = 1 << 40
	return time.Unix(int64(max(-far, min(far, seconds))), 0).UTC()
}

// errNoKey says that no registered key fits.
var errNoKey = errors.New("no registered key fits")
