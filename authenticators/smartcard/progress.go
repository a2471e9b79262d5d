package smartcard

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// ErrNotAsked refuses an agent that answers what it was not asked: there is no
// such question, another agent redeemed it, or it was answered before.
const ErrNotAsked authenticators.Refusal = "no question is open for this agent"

// Caller is an agent that calls again, and has shown that it holds its key.
type Caller struct {
	Transaction   string // the question that it speaks of
	KeyThumbprint string // of the key that it showed
	Once          string // what makes this call another than every other; only Report asks for it
}

// Stage is how far a transaction has come.
type Stage string

// The stages of a transaction, in their order.
const (
	Open     Stage = "open"     // nobody has redeemed its handle
	Redeemed Stage = "redeemed" // an agent waits for the card
	Answered Stage = "answered" // the answer is judged, or was refused
	Settled  Stage = "settled"  // the answer was good, and waits for the browser
)

// Doing is what a desk is doing, in the words of desk-auth/1.
type Doing string

// What agents report, and Refused, which the server adds.
const (
	NoReader        Doing = "no_reader"
	WaitCard        Doing = "wait_card"
	CardIn          Doing = "card_in"
	ChooseCard      Doing = "choose_card"     // there are several
	CardUnreadable  Doing = "card_unreadable" // it does not answer, or lies upside down
	CardBusy        Doing = "card_busy"       // another program keeps it to itself
	CardUnsupported Doing = "card_unsupported"
	PINPrompt       Doing = "pin_prompt"
	PINWrong        Doing = "pin_wrong"
	PINMissing      Doing = "pin_missing" // its window was agreed to, and empty
	PINBlocked      Doing = "pin_blocked"
	Cancelled       Doing = "cancelled"
	Timeout         Doing = "timeout"
	CardRemoved     Doing = "card_removed"
	Signing         Doing = "signing"
	Entering        Doing = "entering"      // without a card: by the session that it opened at the old gateway
	AgentStopped    Doing = "agent_stopped" // it was told to stop, or is silent
	AgentBusy       Doing = "agent_busy"    // it is in the middle of another sign-in
	Refused         Doing = "refused"
)

// Reportable says whether an agent may report d.
func (d Doing) Reportable() bool {
	switch d {
	case NoReader, WaitCard, CardIn, ChooseCard, CardUnreadable, CardBusy, CardUnsupported, PINPrompt, PINWrong, PINMissing, PINBlocked,
		Cancelled, Timeout, CardRemoved, Signing, Entering, AgentStopped, AgentBusy:
		return true
	default:
		return false
	}
}

// Report is the last that was heard of a desk. All but a refusal is an agent's
// account, for the page to show and nothing else.
type Report struct {
	Doing     Doing     `json:"doing"`
	TriesLeft int       `json:"tries_left,omitempty"` // with PINWrong
	Code      string    `json:"code,omitempty"`       // with Refused: the message that says why
	Date      time.Time `json:"date,omitzero"`        // with Refused: since when, where the message has a day
	Request   string    `json:"request,omitempty"`    // with Refused: the request ID that the journal has it under
	Shows     bool      `json:"-"`                    // with CardIn: a certificate came with it
}

// Desk is how a transaction stands at its desk.
type Desk struct {
	Transaction
	Stage  Stage
	Report Report // zero until there was one

	// Silent is how long nothing was heard of the agent, as the store measures
	// it: who asks and who heard may be two servers, whose clocks differ.
	Silent time.Duration
}

// MostShown is how many certificates one transaction may be shown: each is
// looked up in the registry, and asked about at its authority.
const MostShown = 20

// Desks tells the pages how things go at the desks.
type Desks interface {
	// Desk returns how transaction id stands, or authenticators.ErrAnswer if
	// it is over.
	Desk(ctx context.Context, id string, now time.Time) (Desk, error)

	// Report keeps r in place of the last one, in one atomic step, and returns
	// the transaction. It is authenticators.ErrAnswer if c did not redeem the
	// transaction, if c.Once came before or too many came, after MostShown that
	// show a certificate, and at another stage
	// than r belongs to: Answered for Refused, Redeemed for everything else, and
	// Settled too for Signing, Entering and AgentStopped: the agent still waits
	// for the browser, or does not any more.
	Report(ctx context.Context, c Caller, r Report, now time.Time) (Transaction, error)

	// End ends the transaction, wherever it stands.
	End(ctx context.Context, id string) error
}
