package federated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lanyard-id/lanyard/authenticators"
)

// proved is what an ID token proves: who, and when they signed in.
type proved struct {
	sub   string
	email string // to be shown; it proves nothing
	at    time.Time
}

// mostSubject is how long a subject may be. OIDC Core §2.
const mostSubject = 255

// prove turns the upstream's answer into what its ID token proves at AAL2, or
// into a refusal.
func (r *Room) prove(ctx context.Context, a answer, q question) (proved, error) {
	ctx, cancel := context.WithTimeout(ctx, perProof)
	defer cancel()
	m, err := r.upstream.metadata(ctx)
	if err != nil {
		return proved{}, err
	}
	// RFC 9207 §2.4: compared as text, and missing only where the upstream never
	// promised it. Before anything else, because what follows would send the
	// code of one provider to another.
	if a.Iss != r.Issuer && (a.Iss != "" || m.sendsIss) {
		return proved{}, authenticators.ErrAnswer
	}
	if a.Error != "" {
		return proved{}, a.refusal()
	}
	raw, err := r.exchange(ctx, m, a, q)
	if err != nil {
		return proved{}, err
	}
	return r.verify(ctx, m, raw, q)
}

// exchange returns the ID token that the code stands for.
func (r *Room) exchange(ctx context.Context, m *metadata, a answer, q question) (string, error) {
	token, err := r.client(m, q.For).Exchange(oidc.ClientContext(ctx, r.upstream.client), a.Code, oauth2.VerifierOption(q.Verifier))
	if no, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// The upstream's description may hold the code, so only names that
		// RFC 6749 §5.2 knows are repeated.
		switch no.ErrorCode {
		case "invalid_grant":
			return "", authenticators.ErrAnswer
		case "invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
			return "", unreachable("exchange the code", errors.New(no.ErrorCode))
		}
		return "", unreachable("exchange the code", errors.New("another error"))
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return "", unreachable("exchange the code", err)
	}
	if err != nil { // whose text may hold the answer
		return "", unreachable("exchange the code", errors.New("the answer holds no token"))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", unreachable("exchange the code", errors.New("the answer holds no ID token"))
	}
	return raw, nil
}

// claims are those of an ID token that go-oidc does not look at.
type claims struct {
	Azp      *string         `json:"azp"`
	AuthTime json.Number     `json:"auth_time"`
	ACR      json.RawMessage `json:"acr"`
	AMR      json.RawMessage `json:"amr"`
	Email    json.RawMessage `json:"email"`
}

// verify is OIDC Core §3.1.3.7, stricter where that leaves a choice.
func (r *Room) verify(ctx context.Context, m *metadata, raw string, q question) (proved, error) {
	keys := &heard{KeySet: m.keys}
	id, err := oidc.NewVerifier(r.Issuer, keys, &oidc.Config{ClientID: r.ClientID, SupportedSigningAlgs: algs, Now: r.Now}).Verify(ctx, raw)
	if keys.outage != nil {
		return proved{}, unreachable("fetch keys", keys.outage)
	}
	if err != nil {
		return proved{}, unproven(err.Error())
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return proved{}, unproven("its claims cannot be read")
	}
	now := r.Now()
	within := func(t time.Time) bool { return !t.Before(q.Asked.Add(-clockSkew)) && !t.After(now.Add(clockSkew)) }
	switch {
	case same(id.Nonce, q.Nonce) != nil:
		// The code is of another sign-in, maybe of another person's.
		return proved{}, authenticators.ErrAnswer
	case len(id.Audience) != 1 || c.Azp != nil && *c.Azp != r.ClientID:
		// OIDC Core §3.1.3.7 (3) to (5): we trust no other audience.
		return proved{}, unproven("it is for others too")
	case !within(id.IssuedAt):
		return proved{}, unproven("it was not issued for this question")
	case id.Subject == "" || len(id.Subject) > mostSubject || !plain(id.Subject):
		return proved{}, unproven("it has no subject")
	}
	signedIn, err := c.AuthTime.Int64()
	if err != nil || !within(time.Unix(signedIn, 0)) {
		return proved{}, ErrStale
	}
	if !r.AAL2.met(textOf(c.ACR), textsOf(c.AMR)) {
		return proved{}, ErrWeak
	}
	return proved{sub: id.Subject, email: textOf(c.Email), at: between(q.Asked, time.Unix(signedIn, 0), now)}, nil
}

// unproven refuses an ID token. Why is for the log.
func unproven(why string) error { return fmt.Errorf("%w: %s", ErrUnproven, cut(why)) }

// heard is a set of keys that remembers when it could not be had. go-oidc makes
// one text of that and of a wrong signature, and the first is nobody's fault.
type heard struct {
	oidc.KeySet
	outage error
}

// VerifySignature is that of the set.
func (h *heard) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := h.KeySet.VerifySignature(ctx, jwt)
	if errors.Is(err, ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		h.outage = err
	}
	return payload, err
}

// plain says whether s is printable ASCII.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// textOf returns a claim that is a text; any other says nothing.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// textsOf returns a claim that is a list of texts; any other says nothing.
func textsOf(raw json.RawMessage) []string {
	var s []string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return s
}

// between returns t, or the end that it lies beyond. Nobody answered before they
// were asked: where the upstream's clock says so it is slow, and a sign-in dated
// before its own login would be asked for again and again.
func between(first, t, last time.Time) time.Time {
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}
