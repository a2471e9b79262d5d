// Package desk is the HTTP of desk-auth/1 that agents at desks speak to: they
// redeem a handle, tell what happens at the desk, and bring the card's answer.
//
// It parses and proves who calls; a smartcard.Room judges. No cookie is looked
// at here and no page is shown: an agent is known by its key alone (dpop.go),
// and what it gets back, a completion code, is worth nothing without the
// browser that began. That browser's side is in package api.
package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Room is the part of a smartcard.Room that faces agents.
type Room interface {
	// Redeem returns the question behind handle, once, and what ends soon of the
	// agent. An agent that is too old has used it up: smartcard.AgentEnded.
	Redeem(ctx context.Context, handle string, agent smartcard.Agent) (challenge.Question, smartcard.Ahead, error)

	// Show judges a card for question t before its passcode is asked, and says what
	// of it ends soon. A card that cannot sign in ends the question.
	Show(ctx context.Context, c smartcard.Caller, t smartcard.Transaction, x5c [][]byte) (smartcard.Ahead, error)

	// Respond judges the signed message and returns the completion code.
	Respond(ctx context.Context, c smartcard.Caller, jws []byte, x5c [][]byte) (string, error)
}

var _ Room = (*smartcard.Room)(nil)

// Proofs are of sessions of the old service, for agents that hold one.
type Proofs interface {
	// Give returns a proof of the session of an SSO token for the question that
	// c redeemed.
	Give(ctx context.Context, c smartcard.Caller, token string) (string, error)

	// Respond judges a proof in place of a signed message, and returns the
	// completion code.
	Respond(ctx context.Context, c smartcard.Caller, proof string) (string, error)
}

var _ Proofs = (*smartcard.Proofs)(nil)

// Refusals records that a card was refused.
type Refusals interface {
	// RefuseSignIn records why login l was refused, and returns the reason.
	RefuseSignIn(ctx context.Context, l idp.Login, request string, reason error) error
}

// Words says what agents show to people. They are the words of the page.
type Words interface {
	// Problem writes err as problem+json, and logs it. Without a language it is
	// the one that the request asks for.
	Problem(w http.ResponseWriter, r *http.Request, lang string, err error)

	// Doing says what an agent reported.
	Doing(lang string, r smartcard.Report) web.Message

	// Ahead says what ends soon.
	Ahead(lang string, what smartcard.Ahead) []web.Message
}

// Config is what a Server needs; all of it must be there but where it says so.
type Config struct {
	Origin   string // of our pages, as agents know it
	Room     Room
	Desks    smartcard.Desks
	Refusals Refusals
	Words    Words
	Arrivals func(context.Context) time.Duration // how long who redeems has to wait; 0 if not at all
	Now      func() time.Time
	Log      *slog.Logger

	Proofs   Proofs // nil: none are given or taken
	ProofURL string // where agents get them, as they know it
}

// Server answers agents at desks.
type Server struct{ Config }

// New returns a server.
func New(c Config) *Server { return &Server{c} }

// What agents call, and where the browser goes with what they give it.
const (
	redeemPath   = "/desk/v1/redeem"
	progressPath = "/desk/v1/progress"
	responsePath = "/desk/v1/response"
)

// Mount puts what agents call on r.
func (s *Server) Mount(r chi.Router) {
	r.Post(redeemPath, s.redeem)
	r.Post(progressPath, s.progress)
	r.Post(responsePath, s.response)
}

// redeem gives the question to the agent that shows its handle first.
func (s *Server) redeem(w http.ResponseWriter, r *http.Request) {
	if wait := s.Arrivals(r.Context()); wait > 0 {
		s.Words.Problem(w, r, "", idp.Limited{Wait: wait})
		return
	}
	var asked redemption
	if !read(w, r, maxBody, &asked) {
		return
	}
	agent, ok := asked.agent()
	if !ok {
		fail(w, http.StatusBadRequest, invalidRequest)
		return
	}

	q, ahead, err := s.Room.Redeem(r.Context(), asked.Handle, agent)
	if errors.Is(err, smartcard.ErrAgent) {
		s.refuse(w, r, smartcard.Caller{Transaction: q.Transaction, KeyThumbprint: agent.KeyThumbprint}, err)
		return
	}
	if refused(err) {
		s.Log.InfoContext(r.Context(), "desk refused", "step", "redeem", "reason", err.Error())
		fail(w, http.StatusGone, handleGone)
		return
	}
	if err != nil {
		s.Words.Problem(w, r, "", err)
		return
	}

	q.DoneURL = s.Origin + api.DonePath
	q.Notices = notices(s.Words.Ahead(q.Language, ahead))
	s.Log.InfoContext(r.Context(), "desk redeemed", "client", q.ClientID, "agent", agent.Name, "version", agent.Version, "build", agent.Build, "os", agent.OS)
	write(w, http.StatusOK, q)
}

// progress keeps what the agent says, for the page that waits, and answers with
// what the page says of it: the person reads the same in both places. A card
// that the agent shows is judged before its passcode is asked.
func (s *Server) progress(w http.ResponseWriter, r *http.Request) {
	var told progress
	caller, ok := s.hear(w, r, s.Origin+progressPath, &told)
	if !ok {
		return
	}
	report, ok := told.report()
	if !ok {
		fail(w, http.StatusBadRequest, invalidRequest)
		return
	}

	t, err := s.Desks.Report(r.Context(), caller, report, s.Now())
	if refused(err) {
		s.unproven(w, r, err)
		return
	}
	if err != nil {
		s.Words.Problem(w, r, "", err)
		return
	}
	var ahead smartcard.Ahead
	if told.X5C != nil {
		if ahead, err = s.Room.Show(r.Context(), caller, t, told.X5C); err != nil {
			s.refuse(w, r, caller, err)
			return
		}
	}

	m := s.Words.Doing(t.Language, report)
	write(w, http.StatusOK, said{Notice: notice(m), Notices: notices(s.Words.Ahead(t.Language, ahead))})
}

// response judges the card's answer and gives the completion code to the
// agent, and to nobody else.
func (s *Server) response(w http.ResponseWriter, r *http.Request) {
	var answer response
	caller, ok := s.hear(w, r, s.Origin+responsePath, &answer)
	if !ok {
		return
	}
	if answer.Proof != "" && (s.Proofs == nil || answer.JWS != "" || answer.X5C != nil) {
		fail(w, http.StatusBadRequest, invalidRequest)
		return
	}

	completion, err := s.judge(r.Context(), caller, answer)
	if err != nil {
		s.refuse(w, r, caller, err)
		return
	}

	write(w, http.StatusOK, map[string]string{"cc": completion})
}

func (s *Server) judge(ctx context.Context, c smartcard.Caller, answer response) (string, error) {
	if answer.Proof != "" {
		return s.Proofs.Respond(ctx, c, answer.Proof)
	}
	return s.Room.Respond(ctx, c, []byte(answer.JWS), answer.X5C)
}

// GiveProof gives an agent a proof of the session of the old service that it
// holds, for the question that it redeemed. It stands where the gateway of the
// old service does and not with the rest: SSO tokens go nowhere else. Whatever is
// wrong, it says no, and the agent asks for the card.
func (s *Server) GiveProof(w http.ResponseWriter, r *http.Request) {
	if wait := s.Arrivals(r.Context()); wait > 0 {
		s.Words.Problem(w, r, "", idp.Limited{Wait: wait})
		return
	}
	var shown ticket
	caller, ok := s.hear(w, r, s.ProofURL, &shown)
	if !ok {
		return
	}

	proof, err := s.Proofs.Give(r.Context(), caller, shown.Ticket)
	if refused(err) {
		log := s.Log
		if of, ok := errors.AsType[authenticators.OfFormer](err); ok {
			log = log.With("sid", of.SID, "subject", of.Subject, "device", of.Device)
		}
		log.InfoContext(r.Context(), "desk refused", "step", "give proof", "reason", err.Error())
		why := noSession
		if errors.Is(err, authenticators.ErrFormerOver) {
			why = sessionOver
		}
		fail(w, http.StatusForbidden, why)
		return
	}
	if err != nil {
		s.Words.Problem(w, r, "", err)
		return
	}

	write(w, http.StatusOK, map[string]string{"proof": proof})
}

// hear returns which agent calls, with what it says in v, or answers and returns
// false.
func (s *Server) hear(w http.ResponseWriter, r *http.Request, uri string, v any) (smartcard.Caller, bool) {
	caller, ok := s.prove(w, r, uri)
	return caller, ok && read(w, r, maxAnswer, v)
}

// refuse tells page, journal and agent why an answer was not taken. The page
// is told first, and of outages too: its question was used up, and it must not
// wait for nothing.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, c smartcard.Caller, reason error) {
	if notAsked(reason) {
		s.unproven(w, r, reason)
		return
	}
	ctx := context.WithoutCancel(r.Context()) // an agent that has gone changes nothing
	c.Once = "refused"                        // it happens once, and what the agent said last was heard already
	told := refusal(reason)
	told.Request = api.RequestID(ctx) // that of the page would lead whom the person calls nowhere
	t, err := s.Desks.Report(ctx, c, told, s.Now())
	if err != nil {
		s.Log.WarnContext(ctx, "desk cannot tell its page", "error", err.Error())
	}
	if refused(reason) {
		l := idp.Login{ID: t.Login, ClientID: t.ClientID}
		reason = s.Refusals.RefuseSignIn(ctx, l, api.RequestID(ctx), reason)
	}
	s.Words.Problem(w, r, t.Language, reason)
}
