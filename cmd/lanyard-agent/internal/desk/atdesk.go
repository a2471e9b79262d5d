package desk

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// returnTime is how long the browser may take to come for the completion code.
const returnTime = 60 * time.Second

// signIn is one sign-in at this desk.
type signIn struct {
	agent  Agent
	r      *run
	pulse  *pulse
	screen screen

	until   time.Time
	removed bool // a card was taken out, and none has come yet

	opening *gateway.Opening // at the old gateway, by the card that has signed; nil: none
	shown   card.About       // that card

	entered string // whose session of the old service answered; "": a card did
}

// run has the question signed, and sees the browser back.
func (s *signIn) run(ctx context.Context, b *bounce) error {
	left := s.agent.timeLeft(s.r.question)
	s.until = s.agent.Now().Add(left)
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	answer, err := s.answer(limited)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // nothing is sent any more
		return ctx.Err()
	}
	// What was sent is heard of: a stop waits for the answer.
	completion, err := s.pulse.respond(context.WithoutCancel(ctx), answer)
	if err != nil {
		return err
	}
	if s.opening != nil {
		s.opening.Finish(gateway.Card{Holder: s.shown.Holder(), Gone: s.gone, Alone: s.alone}) //nolint:contextcheck // the session is this desk's, not this sign-in's
	}
	b.lead(s.r.service.Origin+donePath, s.r.question.Transaction, completion)
	alone := time.NewTimer(returnTime)
	defer alone.Stop()
	select {
	case <-b.done:
		return nil
	case <-alone.C:
		return ErrAlone
	case <-ctx.Done():
	}
	select {
	case <-b.done: // the service hears no more because the browser was there
		return nil
	default:
		return ctx.Err()
	}
}

// answer answers the question: by the session that is held of the old service, if
// it will do and its card is the only one there, and by a card if not.
func (s *signIn) answer(ctx context.Context) (response, error) {
	if holder, ok := s.held(ctx); ok {
		if _, err := s.says(ctx, report{State: entering}); err != nil { // the page hears of this desk while the bridge is asked
			return response{}, err
		}
		if proof := s.agent.Gateway.Proof(ctx, s.r.proof); proof != "" {
			s.entered = holder
			return response{Proof: proof}, nil
		}
	}
	jws, certificate, err := s.sign(ctx)
	if err != nil {
		return response{}, err
	}
	return response{JWS: string(jws), X5C: [][]byte{certificate.Raw}}, nil
}

// bridged says whether the service has a bridge to the old one that this computer
// knows of.
func (s *signIn) bridged() bool { return s.agent.Gateway != nil && s.r.service.Bridge != "" }

// held says whose session of the old service may answer.
func (s *signIn) held(ctx context.Context) (holder string, ok bool) {
	if !s.bridged() {
		return "", false
	}
	return s.agent.Gateway.Enters(ctx)
}

// alone says whether the card that has signed is the only one there. Where nobody
// can say it is not.
func (s *signIn) alone(ctx context.Context) bool {
	cards, ok := s.agent.Cards.(interface {
		Alone(ctx context.Context, shown card.About) bool
	})
	return ok && cards.Alone(ctx, s.shown)
}

// gone returns when the card that has signed is taken out.
func (s *signIn) gone(ctx context.Context) {
	if readers, ok := s.agent.Cards.(card.Readers); ok {
		readers.UntilGone(ctx, s.shown)
		return
	}
	<-ctx.Done() // a file stays
}

// opens begins a session at the old gateway, for the card that is about to sign.
// Where there is none to be had the person signs in without.
func (s *signIn) opens(ctx context.Context, about card.About) *gateway.Opening {
	if !s.bridged() {
		return nil
	}
	o, err := s.agent.Gateway.Open(ctx, about.Certificate)
	if err != nil {
		return nil
	}
	return o
}

// sign has a card sign the question. One that is taken out may be put back, for
// as long as there is time.
func (s *signIn) sign(ctx context.Context) (jws []byte, certificate *x509.Certificate, err error) {
	cards := s.agent.Cards
	if readers, ok := cards.(card.Readers); ok {
		readers.Choose = s
		cards = readers
	}
	for {
		c, err := cards.Wait(ctx, func(w card.Waiting) { s.waits(ctx, w) })
		if err != nil {
			return nil, nil, err
		}
		s.removed = false
		jws, err := s.with(ctx, c)
		certificate := c.About().Certificate
		_ = c.Close() // it has been reset
		switch {
		case errors.Is(err, errChanged):
		case errors.Is(err, card.ErrRemoved):
			s.removed = true
			if err := s.shows(ctx, cardRemoved); err != nil {
				return nil, nil, err
			}
		default:
			return jws, certificate, err
		}
	}
}

// waits shows what the readers wait for. A card that was taken out is asked for
// as such until something else happens.
func (s *signIn) waits(ctx context.Context, w card.Waiting) {
	if s.removed && w == card.ForCard {
		return
	}
	s.removed = false
	_ = s.shows(ctx, doing(w)) // what went wrong has ended the sign-in
}

// shows tells the service what happens, and the person in its words, until
// something else does.
func (s *signIn) shows(ctx context.Context, now doing) error {
	words, err := s.pulse.say(ctx, report{State: now})
	if err != nil {
		return err
	}
	s.screen.show(ctx, words.Text)
	return nil
}

// says is shows for what has a window of its own, or none.
func (s *signIn) says(ctx context.Context, now report) (said, error) {
	s.screen.clear()
	return s.pulse.say(ctx, now)
}

// Choose implements card.Chooser.
func (s *signIn) Choose(ctx context.Context, cards []card.About) (int, error) {
	if _, err := s.says(ctx, report{State: chooseCard}); err != nil {
		return 0, err
	}
	return s.agent.Prompt.Choose(ctx, s.question(), holders(cards))
}

// holders names cards by whose they are, and where that is not enough by where
// they are.
func holders(cards []card.About) []string {
	names := make([]string, len(cards))
	for i, c := range cards {
		names[i] = c.Holder()
		if slices.ContainsFunc(cards, func(other card.About) bool { return other.Reader != c.Reader && other.Holder() == c.Holder() }) {
			names[i] += " (" + c.Reader + ")"
		}
	}
	return names
}

// question is what every window says of this sign-in.
func (s *signIn) question() prompt.Question {
	q := s.r.question
	application := q.ClientName
	if !challenge.IsText(application) { // lines of its own could pass for ours
		application = ""
	}
	return prompt.Question{Language: q.Language, Service: s.r.service.Alias, Application: application, Code: q.DisplayCode,
		Notices: texts(q.Notices), Until: s.until}
}

// with has a card sign the question, after its passcode. It is judged before.
func (s *signIn) with(ctx context.Context, c card.Card) ([]byte, error) {
	about := c.About()
	if s.agent.Gateway != nil {
		s.agent.Gateway.Meets(about.Certificate) //nolint:contextcheck // what it ends is another sign-in's
	}
	judged, err := s.says(ctx, report{State: cardIn, X5C: [][]byte{about.Certificate.Raw}})
	if err != nil {
		return nil, err
	}
	if alg, err := challenge.AlgFor(about.Certificate.PublicKey); err != nil || !slices.Contains(s.r.question.Algs, alg) {
		return nil, s.stuck(ctx, c, cardOther)
	}
	if about.TriesLeft == 0 {
		return nil, card.ErrBlocked
	}
	q := s.question()
	q.Holder, q.TriesLeft = about.Holder(), about.TriesLeft
	q.Notices = append(q.Notices, texts(judged.Notices)...)
	if _, err := s.says(ctx, report{State: pinPrompt}); err != nil {
		return nil, err
	}
	for {
		jws, err := s.try(ctx, c, q)
		again := report{State: pinMissing}
		if wrong, ok := errors.AsType[card.PINError](err); ok && wrong.TriesLeft > 0 {
			again = report{State: pinWrong, Left: &wrong.TriesLeft}
			q.TriesLeft = wrong.TriesLeft
		} else if !errors.Is(err, errMissing) {
			return jws, err
		}
		words, err := s.says(ctx, again)
		if err != nil {
			return nil, err
		}
		q.Wrong = words.Text
	}
}

// errMissing says that nothing was typed. Who wants to turn away has a button.
var errMissing = errors.New("no passcode was typed")

// errChanged says that a card which cannot sign was taken out: another is waited
// for, and that one is not missed.
var errChanged = errors.New("a card that cannot sign in was taken out")

// stuck waits for a card to be taken out that is of no use.
func (s *signIn) stuck(ctx context.Context, c card.Card, why doing) error {
	if err := s.shows(ctx, why); err != nil {
		return err
	}
	select {
	case <-c.Gone():
		return errChanged
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try asks for the passcode and has the card sign with it.
func (s *signIn) try(ctx context.Context, c card.Card, q prompt.Question) ([]byte, error) {
	passcode, err := s.ask(ctx, c, q)
	if err != nil {
		return nil, err
	}
	if len(passcode) == 0 {
		return nil, errMissing
	}
	defer clear(passcode)
	for {
		jws, err := s.use(ctx, c, passcode)
		if !errors.Is(err, card.ErrBusy) {
			return jws, err
		}
		// Another program has the card. No try was used up, so the same
		// passcode is tried when it lets go.
		if err := s.shows(ctx, cardBusy); err != nil {
			return nil, err
		}
		select {
		case <-time.After(againTime):
		case <-c.Gone():
			return nil, card.ErrRemoved
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// use tries the passcode and signs.
func (s *signIn) use(ctx context.Context, c card.Card, passcode []byte) (jws []byte, err error) {
	about := c.About()
	p := s.r.question.Payload()
	p.ClientNonce, p.AgentKey, p.Agent, p.Reader, p.PIN = random(32), s.r.thumb, s.agent.self(), about.Reader, challenge.Host
	p.Card = challenge.Card{GUID: about.GUID, ATR: about.ATR, Serial: challenge.Serial(about.Certificate)}
	var unsaid error
	opening := s.opens(ctx, about)
	err = c.Use(passcode, func(key crypto.Signer) error {
		if _, unsaid = s.says(ctx, report{State: signing}); unsaid != nil {
			return unsaid // nothing is signed that nobody waits for
		}
		if jws, err = challenge.Sign(p, about.Certificate, key); err != nil {
			return err
		}
		if opening != nil && opening.Sign(about.Certificate, key) == nil {
			s.opening, s.shown = opening, about
		}
		return nil
	})
	_, wrong := errors.AsType[card.PINError](err)
	switch {
	case err == nil, unsaid != nil, wrong, ctx.Err() != nil,
		errors.Is(err, card.ErrBlocked), errors.Is(err, card.ErrRemoved), errors.Is(err, card.ErrBusy), errors.Is(err, challenge.ErrMalformed):
		return jws, err
	case errors.Is(err, card.ErrUnsupported):
		return nil, s.stuck(ctx, c, cardOther)
	default: // it does not what a card should
		return nil, s.stuck(ctx, c, cardSilent)
	}
}

// ask asks for the passcode for as long as the card is there.
func (s *signIn) ask(ctx context.Context, c card.Card, q prompt.Question) ([]byte, error) {
	select {
	case <-c.Gone():
		return nil, card.ErrRemoved
	default:
	}
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.Gone():
			stop(card.ErrRemoved)
		case <-asking.Done():
		}
	}()
	passcode, err := s.agent.Prompt.Ask(asking, q)
	if errors.Is(context.Cause(asking), card.ErrRemoved) {
		clear(passcode)
		return nil, card.ErrRemoved
	}
	return passcode, err
}
