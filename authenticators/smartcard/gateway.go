package smartcard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cms"
)

// LegacyAgent is the name by which rules speak of the agents of the old service.
// They do not name themselves.
const LegacyAgent = "legacy-identity-agent"

// Refusals of a card at the gateway of the old service alone.
const (
	// ErrNotAtGateway is of a card whose series desk-auth/1 takes.
	ErrNotAtGateway authenticators.Refusal = "cards of this series are not taken at the gateway of the old service"
	ErrSHA1         authenticators.Refusal = "the card's answer is signed with SHA-1, which is not taken"
)

// GatewayRules are what Rules say of the gateway.
type GatewayRules interface {
	// AtGateway says whether cards of that series are taken at the gateway of
	// the old service.
	AtGateway(ctx context.Context, series int) (bool, error)
}

// GatewayConfig is what a Gateway needs beside its room; all of it must be there
// but where it says so.
type GatewayConfig struct {
	Questions authenticators.Questions
	Rules     GatewayRules
	URL       string                       // where agents know it to be
	Sign      func([]byte) ([]byte, error) // signs a challenge as the service's
	SHA1      bool                         // take signatures with SHA-1

	// Departures says how many people have signed out so far, where who signs out
	// ends what cards opened here and agents at desks hold; nil: they do not.
	Departures func(context.Context) (int64, error)
}

// Gateway asks cards as the old service did: the agent at the desk has the card
// sign a challenge, in CMS. It judges cards as its room does, and is a way of its
// own: who comes through it has proved less of where they are. An agent of ours
// has the card sign a challenge.Opening in place of that, which names this gateway
// and the agent's own key. What the card of an old agent signs is never one.
type Gateway struct {
	room *Room
	c    GatewayConfig
}

// NewGateway returns the gateway beside a room, with its trust and its rules.
func NewGateway(r *Room, c GatewayConfig) *Gateway { return &Gateway{r, c} }

// GatewayDesk is what an agent at the gateway says of itself. All of it must be
// the same when the answer comes.
type GatewayDesk struct {
	Product    string `json:"product,omitempty"` // as rules call it; empty: LegacyAgent
	LogSession string `json:"log_session"`
	Device     string `json:"device"`
	Version    string `json:"version"`
}

// GatewayQuestion is what the card is to sign, in base64, and our signature on
// it, which comes back with the answer.
type GatewayQuestion struct{ Challenge, Signature string }

// GatewayAnswer is what an agent brings back.
type GatewayAnswer struct {
	GatewayQuestion
	UID string // who the agent says it is, by the card
	CMS []byte // as the agents of the old service send it

	JWS         []byte // of an agent of ours, in place of CMS; nil: it is none
	Certificate []byte // that goes with JWS, DER
}

// asked is a question that waits.
type asked struct {
	Desk      GatewayDesk `json:"desk"`
	Signature []byte      `json:"signature"` // SHA-256

	Departures int64 `json:"departures,omitempty"` // that there had been
}

// Ask returns a question for the agent at d. AgentEnded if agents of its version
// are no longer taken.
func (g *Gateway) Ask(ctx context.Context, d GatewayDesk) (GatewayQuestion, error) {
	if err := g.takes(ctx, d); err != nil {
		return GatewayQuestion{}, err
	}
	before := int64(0)
	if g.c.Departures != nil {
		var err error
		if before, err = g.c.Departures(ctx); err != nil {
			return GatewayQuestion{}, fmt.Errorf("count who has left: %w", err)
		}
	}
	nonce, err := g.room.random()
	if err != nil {
		return GatewayQuestion{}, fmt.Errorf("make challenge: %w", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil {
		return GatewayQuestion{}, fmt.Errorf("make challenge: %w", err)
	}
	signed, err := g.c.Sign(raw)
	if err != nil {
		return GatewayQuestion{}, fmt.Errorf("sign challenge: %w", err)
	}
	q := GatewayQuestion{Challenge: base64.StdEncoding.EncodeToString(raw), Signature: base64.StdEncoding.EncodeToString(signed)}
	sum := sha256.Sum256([]byte(q.Signature))
	kept, err := json.Marshal(asked{Desk: d, Signature: sum[:], Departures: before})
	if err != nil {
		return GatewayQuestion{}, fmt.Errorf("encode question: %w", err)
	}
	if err := g.c.Questions.Ask(ctx, q.Challenge, kept, g.room.now().Add(questionLife)); err != nil {
		return GatewayQuestion{}, err
	}
	return q, nil
}

// takes says nil if agents of that version are taken.
func (g *Gateway) takes(ctx context.Context, d GatewayDesk) error {
	ends, err := g.room.agentEnds(ctx, Agent{Name: cmp.Or(d.Product, LegacyAgent), Version: d.Version})
	if err != nil {
		return err
	}
	if !ends.IsZero() && !g.room.now().Before(ends) {
		return AgentEnded{ends}
	}
	return nil
}

// Judge returns what an answer proves. The question is taken first, so it is
// answered once, rightly or wrongly. Who the agent says it is must be whose card
// it is, as the registry knows it: a name in a certificate counts for nothing.
func (g *Gateway) Judge(ctx context.Context, d GatewayDesk, a GatewayAnswer) (authenticators.Evidence, error) {
	now := g.room.now()
	if err := g.takes(ctx, d); err != nil {
		return authenticators.Evidence{}, err
	}
	kept, err := g.c.Questions.Take(ctx, a.Challenge, now)
	if err != nil {
		return authenticators.Evidence{}, fmt.Errorf("take question: %w", err)
	}
	var was asked
	if err := json.Unmarshal(kept, &was); err != nil {
		return authenticators.Evidence{}, fmt.Errorf("read question: %w", err)
	}
	sum := sha256.Sum256([]byte(a.Signature))
	if subtle.ConstantTimeCompare(sum[:], was.Signature) != 1 || was.Desk != d {
		return authenticators.Evidence{}, refuse(errors.New("the question is another desk's"))
	}
	leaf, issuer, key, err := g.signed(ctx, a, now)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	s, err := g.stands(ctx, leaf, issuer, now)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	if subtle.ConstantTimeCompare([]byte(a.UID), []byte(s.card.Holder)) != 1 {
		return authenticators.Evidence{}, refuse(errors.New("the uid is not the card's"))
	}
	once := sha256.Sum256([]byte("cis1 " + a.Challenge))
	e := authenticators.Evidence{Subject: s.card.Holder, Method: authenticators.LegacySmartcard, Level: s.level, At: now,
		Authenticator: "card:" + s.serial, Once: base64.RawURLEncoding.EncodeToString(once[:]), Ends: s.ends, Flag: s.flag, Departures: was.Departures, Key: key}
	if !s.series.IsZero() && s.series.Before(s.ends) {
		e.Ends, e.EndsWith = s.series, authenticators.WithSeries
	}
	return e, nil
}

// signed returns the certificate of the card that signed the challenge of a, and
// its issuer's. key is the agent's that the card signed with it; "" if it signed
// none.
func (g *Gateway) signed(ctx context.Context, a GatewayAnswer, now time.Time) (leaf, issuer *x509.Certificate, key string, err error) {
	raw, err := base64.StdEncoding.DecodeString(a.Challenge)
	if err != nil {
		return nil, nil, "", refuse(errors.New("the challenge is no base64"))
	}
	if a.JWS != nil {
		return g.opened(ctx, a, raw, now)
	}
	m, err := cms.Parse(a.CMS)
	if errors.Is(err, cms.ErrSHA1) && g.c.SHA1 {
		err = nil
	}
	switch {
	case errors.Is(err, cms.ErrSHA1):
		return nil, nil, "", ErrSHA1
	case err != nil:
		return nil, nil, "", refuse(err)
	}
	if leaf, issuer, err = g.room.read(ctx, [][]byte{m.Certificate}, now); err != nil {
		return nil, nil, "", err
	}
	// The old agents sign the challenge; whether as it stands in the message or
	// as the bytes that it stands for, nobody has written down.
	if !m.Verify(leaf, raw, []byte(a.Challenge)) {
		return nil, nil, "", refuse(errors.New("the signature is not the card's over the challenge"))
	}
	return leaf, issuer, "", nil
}

// opened is signed of an agent of ours. PKCS #1 v1.5 is not taken, even where
// desk-auth/1 takes it: by that the old agents have whatever bytes signed.
func (g *Gateway) opened(ctx context.Context, a GatewayAnswer, raw []byte, now time.Time) (leaf, issuer *x509.Certificate, key string, err error) {
	m, err := challenge.ParseOpening(a.JWS)
	if err != nil {
		return nil, nil, "", refuse(err)
	}
	if leaf, issuer, err = g.room.read(ctx, [][]byte{a.Certificate}, now); err != nil {
		return nil, nil, "", err
	}
	if m.Header.Certificate != challenge.CertificateThumbprint(leaf) {
		return nil, nil, "", refuse(errors.New("x5t#S256 is of another certificate"))
	}
	if m.Header.Alg == challenge.RS256 {
		return nil, nil, "", refuse(errors.New("an agent of ours does not sign so"))
	}
	if err := m.Verify(leaf.PublicKey, g.room.algs); err != nil {
		return nil, nil, "", refuse(err)
	}
	if subtle.ConstantTimeCompare([]byte(m.Opening.Nonce), []byte(base64.RawURLEncoding.EncodeToString(raw))) != 1 || !challenge.SameGateway(m.Opening.Gateway, g.c.URL) {
		return nil, nil, "", refuse(errors.New("the card signed for another gateway, or another challenge"))
	}
	return leaf, issuer, m.Opening.AgentKey, nil
}

// stands returns how a card stands here.
func (g *Gateway) stands(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) (standing, error) {
	s, err := g.room.stands(ctx, leaf, issuer, now)
	if err != nil {
		return standing{}, err
	}
	taken, err := g.c.Rules.AtGateway(ctx, s.card.Series)
	if err != nil {
		return standing{}, fmt.Errorf("ask about series: %w", err)
	}
	if !taken {
		return standing{}, s.card.refused(ErrNotAtGateway)
	}
	return s, nil
}
