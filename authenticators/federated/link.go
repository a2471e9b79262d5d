package federated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Record is what the registry keeps of a linked account for this room.
type Record struct {
	Issuer string `json:"issuer"`
	Sub    string `json:"sub"`
	Email  string `json:"email,omitempty"` // what the account was called when it was linked: to be shown, and nothing else
}

// mostEmail is how long an e-mail address may be. RFC 5321 §4.5.3.1.
const mostEmail = 254

// BeginEnrolment returns {question, url}, as Begin does, for who is signed in
// and wants to link their account at the upstream.
func (r *Room) BeginEnrolment(ctx context.Context, e authenticators.Enrolment) (json.RawMessage, error) {
	if e.ID == "" || e.Browser == "" || e.Subject == "" {
		return nil, errors.New("begin: the enrolment has no ID, no browser or no subject")
	}
	return r.ask(ctx, question{For: link, Login: authenticators.Login{ID: e.ID, Browser: e.Browser}, Subject: e.Subject})
}

// FinishEnrolment takes what Finish takes, and returns the account. The same
// proof is wanted as for signing in: a link that could never be used helps
// nobody. An account that is somebody else's already is for the registry to
// refuse.
func (r *Room) FinishEnrolment(ctx context.Context, e authenticators.Enrolment, raw json.RawMessage) (authenticators.Authenticator, error) {
	a, q, err := r.take(ctx, link, raw)
	if err == nil {
		err = same(q.Login.ID, e.ID, q.Login.Browser, e.Browser, q.Subject, e.Subject)
	}
	if err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("link at the organisation: %w", err)
	}
	p, err := r.prove(ctx, a, q)
	if err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("link at the organisation: %w", err)
	}
	record := Record{Issuer: r.Issuer, Sub: p.sub}
	if len(p.email) <= mostEmail && plain(p.email) {
		record.Email = p.email
	}
	kept, err := json.Marshal(record)
	if err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("link at the organisation: %w", err)
	}
	return authenticators.Authenticator{
		Subject: e.Subject,
		Kind:    authenticators.FederatedKind,
		Handle:  r.handle(p.sub),
		Model:   r.Name,
		Method:  authenticators.Federated,
		Level:   authenticators.AAL2,
		Record:  kept,
	}, nil
}
