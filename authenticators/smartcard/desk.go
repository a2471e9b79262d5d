package smartcard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// skew is how far the time of a message may lie outside the life of its
// question. The agent is told the server's clock, so little is enough.
const skew = 60 * time.Second

// pinTimer is how many seconds an agent may wait for the card and the
// passcode. The question may end before.
const pinTimer = 300

// Agent is the program at the desk that redeems a handle. All but its key is
// its own account of itself.
type Agent struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	Build         string `json:"build,omitempty"` // which build of that version; may be empty
	OS            string `json:"os"`
	Port          int    `json:"port,omitempty"` // of 127.0.0.1, where it waits for the browser; 0 if nowhere
	KeyThumbprint string `json:"key"`            // RFC 7638, of the key that it made for this run

	Ends time.Time `json:"ends,omitzero"` // the room writes when agents of its version end, if people are told by now
}

// good says whether a can be kept, and put into a message.
func (a Agent) good() bool {
	self := challenge.Agent{Name: a.Name, Version: a.Version, OS: a.OS}
	return self.Check() == nil && challenge.IsDigest(a.KeyThumbprint) && (a.Build == "" || challenge.IsText(a.Build))
}

// Redeem gives the question to the agent that shows its handle first, within
// a minute of Begin, and ties it to the agent's key. ErrAnswer to everybody
// else, and to an agent whose account of itself cannot be put into a message,
// which leaves the handle as it was. An agent of a version that is no longer
// taken uses the question up: AgentEnded, with the transaction and the language
// alone, so that the page can be told. What ends soon of the agent comes with
// the question.
func (r *Room) Redeem(ctx context.Context, handle string, a Agent) (challenge.Question, Ahead, error) {
	if !a.good() {
		return challenge.Question{}, Ahead{}, fmt.Errorf("redeem handle: agent's account of itself: %w", authenticators.ErrAnswer)
	}
	now := r.now()
	ends, err := r.agentEnds(ctx, a)
	if err != nil {
		return challenge.Question{}, Ahead{}, fmt.Errorf("redeem handle: %w", err)
	}
	soon, err := r.soon(ctx, ends, now)
	if err != nil {
		return challenge.Question{}, Ahead{}, fmt.Errorf("redeem handle: %w", err)
	}

	a.Ends = soon
	t, err := r.transactions.Redeem(ctx, nameOf(handle), a, now)
	if err != nil {
		return challenge.Question{}, Ahead{}, fmt.Errorf("redeem handle: %w", err)
	}
	if !ends.IsZero() && !now.Before(ends) {
		if _, err := r.transactions.Answer(ctx, Caller{Transaction: t.ID, KeyThumbprint: a.KeyThumbprint}, now); err != nil {
			return challenge.Question{}, Ahead{}, fmt.Errorf("take question: %w", err)
		}
		return challenge.Question{Transaction: t.ID, Language: t.Language}, Ahead{}, AgentEnded{ends}
	}

	return challenge.Question{
		Transaction: t.ID,
		Issuer:      r.issuer,
		Origin:      r.origin,
		ClientID:    t.ClientID,
		ClientName:  t.ClientName,
		Browser:     t.Browser,
		DisplayCode: t.DisplayCode,
		Act:         t.Act,
		ServerNonce: t.ServerNonce,
		Now:         now.Unix(),
		Expires:     t.Expires.Unix(),
		PINTimer:    pinTimer,
		Algs:        slices.Clone(r.algs),
		Language:    t.Language,
		Mode:        challenge.Connect,
	}, Ahead{Agent: soon}, nil
}

// Show judges the card that is in the reader of the agent which redeemed, by
// its certificate alone (first in x5c, DER), before a passcode is asked: its
// refusals are those that Respond would give, and no try is used up for
// nothing. They end the question, as an outage does. Nothing is proved: Respond
// judges all of it again. t is the question, as the agent's report found it.
func (r *Room) Show(ctx context.Context, c Caller, t Transaction, x5c [][]byte) (Ahead, error) {
	ahead, err := Ahead{}, error(ErrFormerOnly)
	if !t.Former.Only {
		ahead, err = r.inspect(ctx, x5c)
	}
	if err == nil {
		return ahead, nil
	}
	ctx = context.WithoutCancel(ctx) // an agent that has gone changes nothing
	if _, taken := r.transactions.Answer(ctx, c, r.now()); errors.Is(taken, authenticators.ErrAnswer) {
		return Ahead{}, fmt.Errorf("%w: %w", ErrNotAsked, authenticators.ErrAnswer)
	} else if taken != nil {
		return Ahead{}, fmt.Errorf("take question: %w", taken)
	}
	return Ahead{}, fmt.Errorf("the card was shown, and nothing is proved: %w", err) // anybody has its certificate
}

// Respond judges the card's signature on the question that c redeemed, with
// the card's certificate first in x5c (DER; what follows is ignored, since paths are built
// from configured certificates alone). It returns a completion code, good for
// one Finish within a minute, which must reach nobody but the agent.
//
// The question is taken before anything is looked at, so it can be answered
// once, rightly or wrongly. Refusals are the card's own (ErrExpired and its
// like), and ErrAnswer for everything else; with it ErrNotAsked, if there was
// no question for c to take.
func (r *Room) Respond(ctx context.Context, c Caller, jws []byte, x5c [][]byte) (string, error) {
	now := r.now()
	t, err := r.transactions.Answer(ctx, c, now)
	if errors.Is(err, authenticators.ErrAnswer) {
		return "", fmt.Errorf("%w: %w", ErrNotAsked, authenticators.ErrAnswer)
	}
	if err != nil {
		return "", fmt.Errorf("take question: %w", err)
	}
	if t.Former.Only {
		return "", ErrFormerOnly
	}
	s, err := r.judge(ctx, t, jws, x5c, now)
	if err != nil {
		return "", err
	}

	asked := sha256.Sum256([]byte(t.ServerNonce))
	e := authenticators.Evidence{
		Subject:       s.card.Holder,
		Method:        authenticators.Smartcard,
		Level:         s.level,
		At:            now,
		Authenticator: "card:" + s.serial,
		Once:          base64.RawURLEncoding.EncodeToString(asked[:]),
		Ends:          s.ends,
		Flag:          s.flag,
	}
	if !s.series.IsZero() && s.series.Before(s.ends) {
		e.Ends, e.EndsWith = s.series, authenticators.WithSeries
	}
	return r.settle(ctx, t, e, now)
}

// settle keeps what the answer to t proved, and returns the completion code for
// it.
func (r *Room) settle(ctx context.Context, t Transaction, e authenticators.Evidence, now time.Time) (string, error) {
	completion, err := r.random()
	if err != nil {
		return "", fmt.Errorf("make completion code: %w", err)
	}
	if err := r.transactions.Settle(ctx, t, completion, e, now.Add(completionLife)); err != nil {
		return "", fmt.Errorf("settle question: %w", err)
	}
	if r.seen != nil {
		r.seen(ctx, t.Agent, e)
	}
	return completion, nil
}

// judge returns how the card stands that signed the message for t.
func (r *Room) judge(ctx context.Context, t Transaction, jws []byte, x5c [][]byte, now time.Time) (standing, error) {
	m, err := challenge.Parse(jws)
	if err != nil {
		return standing{}, refuse(err)
	}
	leaf, issuer, err := r.read(ctx, x5c, now)
	if err != nil {
		return standing{}, err
	}

	if m.Header.Certificate != challenge.CertificateThumbprint(leaf) {
		return standing{}, refuse(errors.New("x5t#S256 is of another certificate"))
	}
	if err := m.Verify(leaf.PublicKey, r.algs); err != nil {
		return standing{}, refuse(err)
	}
	if !r.asked(m.Payload, t, now) || m.Payload.Card.Serial != challenge.Serial(leaf) {
		return standing{}, refuse(errors.New("a member is not as it was asked"))
	}

	return r.stands(ctx, leaf, issuer, now)
}

// asked says whether p answers t: every member that the server owns must be
// as it was asked, at a time within the question's life. (v was compared when
// the message was read.)
func (r *Room) asked(p challenge.Payload, t Transaction, now time.Time) bool {
	same := 1
	for _, member := range []struct{ got, want string }{
		{p.Act, t.Act},
		{p.Issuer, r.issuer},
		{p.Origin, r.origin},
		{p.ClientID, t.ClientID},
		{p.Transaction, t.ID},
		{p.ServerNonce, t.ServerNonce},
		{p.Browser, t.Browser},
		{p.AgentKey, t.Agent.KeyThumbprint},
	} {
		same &= subtle.ConstantTimeCompare([]byte(member.got), []byte(member.want))
	}

	issued := time.Unix(p.IssuedAt, 0)
	return same == 1 &&
		p.Expires == t.Expires.Unix() && now.Before(t.Expires) &&
		!issued.Before(t.Expires.Add(-questionLife-skew)) && !issued.After(now.Add(skew))
}

// refuse is ErrAnswer with a cause for the log. The cause must hold nothing
// of what was sent.
func refuse(cause error) error { return fmt.Errorf("%w: %w", authenticators.ErrAnswer, cause) }
