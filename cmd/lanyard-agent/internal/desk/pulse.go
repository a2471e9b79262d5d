package desk

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// Times of a sign-in. A page takes four seconds of silence for an agent that is
// gone, and so does the agent of a service: people learn within five why nothing
// goes on.
const (
	beatTime    = 1250 * time.Millisecond // between two reports, where nothing changes
	silenceTime = 4 * time.Second         // of the service, after which it does not answer any more
	callTime    = 4 * time.Second         // the longest call
	lastTime    = 2 * time.Second         // what the last report may take
	againTime   = 200 * time.Millisecond  // until a call that met nobody is tried again
)

// doing is what happens at the desk, in the words of desk-auth/1.
type doing string

// What the agent reports beside what a source of cards waits for.
const (
	chooseCard   doing = "choose_card"
	cardIn       doing = "card_in"
	cardBusy     doing = "card_busy"
	cardOther    doing = "card_unsupported"
	cardSilent   doing = "card_unreadable"
	cardRemoved  doing = "card_removed"
	pinPrompt    doing = "pin_prompt"
	pinWrong     doing = "pin_wrong"
	pinMissing   doing = "pin_missing"
	pinBlocked   doing = "pin_blocked"
	signing      doing = "signing"
	entering     doing = "entering"
	cancelled    doing = "cancelled"
	timedOut     doing = "timeout"
	agentStopped doing = "agent_stopped"
	agentBusy    doing = "agent_busy"
)

// report is what the service is told.
type report struct {
	State doing    `json:"state"`
	Left  *int     `json:"left,omitempty"` // with pinWrong
	X5C   [][]byte `json:"x5c,omitempty"`  // with cardIn
}

// said is what the page says of a report, and so the windows here do.
type said struct {
	challenge.Notice
	Notices []challenge.Notice `json:"notices"`
}

// pulse tells the service what happens at the desk: at once when it changes,
// and again and again while it does not, so that its page knows that somebody is
// here. A service that does not answer, or wants to hear no more, ends the
// sign-in.
type pulse struct {
	r   *run
	end context.CancelCauseFunc

	turn  chan struct{} // one call at a time: what was told later is later
	last  report
	heard time.Time // when the service answered last

	stop func() // stop beats, and sees them stopped
}

// newPulse begins to beat. The service was heard just now.
func newPulse(ctx context.Context, r *run, end context.CancelCauseFunc) *pulse {
	p := &pulse{r: r, end: end, heard: r.now(), turn: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() { p.beat(ctx) })
	p.stop = func() { cancel(); beats.Wait() }
	return p
}

func (p *pulse) beat(ctx context.Context) {
	tick := time.NewTicker(beatTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.turn <- struct{}{}
		var err error
		if p.last.State != "" {
			_, err = p.tell(ctx, p.last)
		}
		<-p.turn
		if err != nil {
			return
		}
	}
}

// say tells what happens now, and returns what the page says of it.
func (p *pulse) say(ctx context.Context, now report) (said, error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.last = report{State: now.State, Left: now.Left}
	return p.tell(ctx, now)
}

// tell calls until the service answers or was silent for too long. What it
// answers in place of words ends the sign-in.
func (p *pulse) tell(ctx context.Context, now report) (said, error) {
	limited, cancel := context.WithDeadline(ctx, p.heard.Add(silenceTime))
	defer cancel()
	for {
		words, err := p.r.report(limited, now)
		switch {
		case err == nil:
			p.heard = p.r.now()
			return words, nil
		case ctx.Err() != nil:
			return said{}, ctx.Err()
		case !errors.Is(err, ErrUnreachable) || limited.Err() != nil || now.X5C != nil && inWords(err):
			p.end(err)
			return said{}, err
		}
		select {
		case <-time.After(againTime):
		case <-limited.Done():
		}
	}
}

// inWords says whether the service itself says why it cannot go on. Of a card
// that it could not judge it says so once, and the question is over.
func inWords(err error) bool {
	_, ok := errors.AsType[Refused](err)
	return ok
}

// respond sends the answer, while nothing else is said: the service
// hears no reports while it judges.
func (p *pulse) respond(ctx context.Context, a response) (string, error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	completion, err := p.r.respond(ctx, a)
	p.heard = p.r.now()
	return completion, err
}

// finish stops the beats and tells how the sign-in ended, once: nobody waits
// here for a service that does not answer. It returns what the page says.
func (p *pulse) finish(ctx context.Context, last doing) string {
	p.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	words, _ := p.r.report(ctx, report{State: last})
	return words.Text
}

// texts are the words of notices.
func texts(all []challenge.Notice) []string {
	var told []string
	for _, n := range all {
		if n.Text != "" && !slices.Contains(told, n.Text) {
			told = append(told, n.Text)
		}
	}
	return told
}
