package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// How pages listen for news of their desk.
const (
	lookEvery = 500 * time.Millisecond // at the store, for each page that listens

	// streamLife is how long one stream of news lasts; the browser opens the
	// next by itself. It is less than any answer of ours may take, and than what
	// stands before us lets an answer last.
	streamLife = 25 * time.Second

	// maxStreams is how many pages may listen to one server at once. More are
	// told how things stand, and ask again.
	maxStreams = 4096
	retryBusy  = 2 * time.Second

	// maxForOne is how many of them may listen for one desk: its page, and the
	// stream that the page left behind when it was loaded again.
	maxForOne = 2

	// silence is how long an agent at a desk may say nothing until it is taken
	// for stopped. One that waits says more often than every two seconds that it
	// is there, and people learn within five why nothing goes on.
	silence = 4 * time.Second
)

// streams counts the pages that listen.
type streams struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by transaction
}

// join counts a page that listens for tx, if there is room.
func (s *streams) join(tx string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[tx] >= maxForOne {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.all++
	s.of[tx]++
	return true
}

func (s *streams) leave(tx string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[tx]--; s.of[tx] == 0 {
		delete(s.of, tx)
	}
}

// news is what a page is told of its desk. Event is one of waiting, agent,
// progress, signed, refused and over.
type news struct {
	Event string          `json:"event"`
	Port  int             `json:"port,omitempty"`
	State smartcard.Doing `json:"state,omitempty"` // of progress
	Left  int             `json:"left,omitempty"`  // tries, where the state is of a wrong passcode
	Code  string          `json:"code,omitempty"`  // of the message
	Text  string          `json:"text,omitempty"`  // for the person, in their language
	Soon  string          `json:"soon,omitempty"`  // what ends soon of the agent, in words
	Ended bool            `json:"ended,omitempty"` // nothing more comes: the page has to be loaded again

	message, soon web.Message
}

// news says in language lang how d stands, in login v.
func (s *Server) news(lang string, v idp.View, d smartcard.Desk) news {
	if d.Stage == smartcard.Redeemed && silent(d) {
		d.Report = smartcard.Report{Doing: smartcard.AgentStopped}
	}
	n := news{Event: "progress", Port: d.Agent.Port, State: d.Report.Doing, Left: d.Report.TriesLeft}
	for _, m := range s.Ahead(lang, smartcard.Ahead{Agent: d.Agent.Ends}) {
		n.soon, n.Soon = m, said(m)
	}
	by := answeredBy(d)
	switch {
	case d.Stage == smartcard.Open:
		n.Event, n.message.Text = "waiting", s.Site.Text(lang, "desk.open")
	case d.Stage == smartcard.Settled:
		n.Event, n.State, n.Left, n.Ended = "signed", "", 0, true
		n.message.Text = s.Site.Text(lang, by.signed)
	case d.Report.Doing == smartcard.Refused:
		n.Event, n.State, n.Ended = "refused", "", true
		n.message = s.Site.Message(lang, d.Report.Code, "date", s.Site.Date(lang, d.Report.Date),
			"application", orElse(s.nameOf(lang, v.Client), s.Site.Text(lang, "application.unnamed")))
		n.message.Request = d.Report.Request
	case d.Stage == smartcard.Answered:
		n.State, n.Left = by.doing, 0
		n.message, _ = s.doing(lang, smartcard.Report{Doing: by.doing})
	case d.Report.Doing == "":
		n.Event, n.message.Text = "agent", s.Site.Text(lang, "desk.agent")
	default:
		n.message, n.Ended = s.doing(lang, d.Report)
	}
	n.Code, n.Text = n.message.Code, said(n.message)
	return n
}

// answered is how a desk answers, or has: what it does, and what is said when it
// is done.
type answered struct {
	doing  smartcard.Doing
	signed string
}

// answeredBy says whether a desk answers by its card, or without.
func answeredBy(d smartcard.Desk) answered {
	if d.Report.Doing == smartcard.Entering {
		return answered{smartcard.Entering, "desk.entered"}
	}
	return answered{smartcard.Signing, "desk.signed"}
}

// said is m without its heading.
func said(m web.Message) string { return strings.TrimSpace(m.Text + " " + m.Action) }

// silent says that the agent at a desk is not heard of any more.
func silent(d smartcard.Desk) bool { return d.Silent > silence }

// over is the news of a question that has ended.
var over = news{Event: "over", Ended: true}

// deskEvents tells the page that waits what happens at its desk, as it happens
// (server-sent events), or how things stand now to who asks for JSON.
func (s *Server) deskEvents(w http.ResponseWriter, r *http.Request) error {
	tx := r.URL.Query().Get("tx")
	d, err := s.deskOf(r, tx)
	if err != nil && !errors.Is(err, authenticators.ErrAnswer) {
		return err
	}
	said, lang := over, ""
	if err == nil {
		l, err := s.Logins.Store.Login(r.Context(), d.Login, s.Logins.Now())
		if err != nil && !errors.Is(err, idp.ErrLoginGone) {
			return err
		}
		lang = s.language(r, l)
		said = s.news(lang, idp.View{}, d)
	}

	w.Header().Add("Vary", "Accept, Accept-Language, Cookie")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(said)
	}
	s.stream(w, r, tx, lang, said)
	return nil
}

// stream sends news as it changes, first what is known already, until nothing
// more can come, the stream's life is over or the server stops.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, tx, lang string, first news) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := &eventStream{w: w, flush: http.NewResponseController(w).Flush}
	if !s.streams.join(tx) {
		out.retry(retryBusy)
		out.send(first)
		return
	}
	defer s.streams.leave(tx)
	out.retry(lookEvery)
	out.send(first)

	again, end := time.NewTicker(lookEvery), time.NewTimer(streamLife)
	defer again.Stop()
	defer end.Stop()
	for said := first; !said.Ended && out.err == nil; {
		select {
		case <-r.Context().Done():
			return
		case <-s.Desk.Closing:
			return
		case <-end.C:
			return
		case <-again.C:
		}
		now, err := s.latest(r, tx, lang)
		if err != nil {
			s.Log.WarnContext(r.Context(), "news of a desk", "error", err.Error())
			return // the browser asks again
		}
		if now == said {
			continue
		}
		if said.Event == "waiting" && now.Port != 0 {
			out.send(news{Event: "agent", Port: now.Port}) // who wants the port need not look in the rest
		}
		out.send(now)
		said = now
	}
}

// deskOf returns how transaction tx stands, for the browser that began it.
func (s *Server) deskOf(r *http.Request, tx string) (smartcard.Desk, error) {
	d, err := s.Desk.Desks.Desk(r.Context(), tx, s.Logins.Now())
	if err != nil {
		return smartcard.Desk{}, err
	}
	return d, s.Browser.Bound(r, idp.Login{ID: d.Login, Browser: d.Browser})
}

// latest is the news of tx, whose browser was seen to be the right one.
func (s *Server) latest(r *http.Request, tx, lang string) (news, error) {
	d, err := s.Desk.Desks.Desk(r.Context(), tx, s.Logins.Now())
	if errors.Is(err, authenticators.ErrAnswer) {
		return over, nil
	}
	if err != nil {
		return news{}, err
	}
	return s.news(lang, idp.View{}, d), nil
}

// eventStream writes server-sent events, until one cannot be written.
type eventStream struct {
	w     http.ResponseWriter
	flush func() error
	err   error
}

// retry says how long the browser waits before it asks again.
func (e *eventStream) retry(after time.Duration) {
	_, e.err = fmt.Fprintf(e.w, "retry: %d\n\n", after.Milliseconds())
}

func (e *eventStream) send(n news) {
	b, err := json.Marshal(n)
	if err == nil && e.err == nil {
		_, err = fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", n.Event, b)
	}
	if err == nil && e.err == nil {
		err = e.flush()
	}
	e.err = errors.Join(e.err, err)
}
