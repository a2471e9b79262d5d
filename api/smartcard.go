package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// DonePath is where the browser brings the completion code that the agent at
// its desk gave it.
const DonePath = "/desk/v1/done"

// beginCard asks for a card: the page has what starts the agent, which works
// once and is nowhere else.
func (s *Server) beginCard(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}

	if err := s.mayAsk(r); err != nil {
		return err
	}
	asking := question(v)
	asking.Language, asking.Former = s.language(r, v.Login), v.Former(s.Logins.Now())
	raw, err := s.Rooms[SmartcardWay].Begin(r.Context(), asking)
	if err != nil {
		return err
	}
	var asked struct {
		Transaction string `json:"tx"`
		Handle      string `json:"handle"`
		DisplayCode string `json:"display_code"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		return fmt.Errorf("read question: %w", err)
	}

	page := s.deskPage(r, v, asked.Transaction, asked.DisplayCode)
	page.Start = web.StartAgent(asked.Handle, s.Desk.Alias)
	page.Now = web.Message{Text: s.Site.Text(page.Lang, "desk.open")}
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, http.StatusOK, "smartcard", page)
}

// deskPage is the page that waits for a desk. Its own address shows it again.
func (s *Server) deskPage(r *http.Request, v idp.View, tx, code string) web.Smartcard {
	page := web.Smartcard{Page: s.framed(r, v), LoginID: v.Login.ID, Transaction: tx, DisplayCode: code, Origin: s.Desk.Origin}
	page.Here = page.Again()
	page.NotThere = s.Site.Message(page.Lang, "AGT-01")
	return page
}

// showDesk shows how things go at the desk, and leads on from there.
func (s *Server) showDesk(w http.ResponseWriter, r *http.Request) error {
	v, d, err := s.lookAtDesk(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	if d.Login != v.Login.ID { // that of no desk is ""
		m := s.Site.Message(s.language(r, v.Login), "SES-01")
		return s.showWays(w, r, http.StatusBadRequest, v, &m)
	}

	page := s.deskPage(r, v, d.ID, d.DisplayCode)
	n := s.news(page.Lang, v, d)
	switch {
	case d.Stage == smartcard.Settled && (silent(d) || d.Report.Doing == smartcard.AgentStopped):
		m := s.Site.Message(page.Lang, "AGT-05")
		return s.showWays(w, r, http.StatusOK, v, &m)
	case d.Stage == smartcard.Settled:
		return s.returnToDesk(w, r, v, d)
	case n.Event == "refused":
		return s.showWays(w, r, http.StatusForbidden, v, &n.message)
	case n.Ended:
		return s.showWays(w, r, http.StatusOK, v, &n.message)
	case d.Stage == smartcard.Open:
		n.message = s.Site.Message(page.Lang, "AGT-01")
	}
	page.Now, page.Started, page.Soon = n.message, d.Stage != smartcard.Open, n.soon
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, http.StatusOK, "smartcard", page)
}

// lookAtDesk is look, with the desk that the request names: zero if it is over.
func (s *Server) lookAtDesk(r *http.Request) (idp.View, smartcard.Desk, error) {
	query := r.URL.Query()
	l, session, d, err := s.Desk.Shown.AtDesk(r.Context(), query.Get("id"), s.Browser.Session(r), query.Get("tx"), s.Logins.Now())
	if err == nil {
		err = s.Browser.Bound(r, l)
	}
	if err == nil && d.ID != "" {
		err = s.Browser.Bound(r, idp.Login{ID: d.Login, Browser: d.Browser})
	}
	if err != nil {
		return idp.View{}, smartcard.Desk{}, err
	}
	v, err := s.Logins.View(r.Context(), l, session)
	return v, d, err
}

// returnToDesk sends the browser to the agent on its own computer, which sends
// it back with the completion code. The agent compares where the browser comes
// from with the service that it knows, so this page tells it.
func (s *Server) returnToDesk(w http.ResponseWriter, r *http.Request, v idp.View, d smartcard.Desk) error {
	agent := "http://127.0.0.1:" + strconv.Itoa(d.Agent.Port)
	page := web.SmartcardSigned{Page: s.framed(r, v), Transaction: d.ID, Action: agent + "/v1/done", Entered: d.Report.Doing == smartcard.Entering}
	page.Here = "" // the agent answers once
	page.Blocked, page.Origin = s.Site.Message(page.Lang, "AGT-02"), s.Desk.Origin
	if u, err := url.Parse(s.Desk.Origin); err == nil {
		page.Domain = u.Hostname()
	}
	mayPostTo(w, v.Login.RedirectURI, agent)
	w.Header().Set("Referrer-Policy", "origin")
	return s.render(w, http.StatusOK, "smartcard-signed", page)
}

// finishCard takes the completion code from the browser and signs the person
// in. In another browser than the one that began, the sign-in is dead: somebody
// was led to show their card for somebody else.
func (s *Server) finishCard(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	query := r.URL.Query()
	of, evidence, refused := s.Desk.Card.Collect(r.Context(), query.Get("tx"), query.Get("cc"), s.boundTo(r))
	return s.collected(w, r, elsewhere{SmartcardWay, of, evidence, refused}, s.notSignedIn)
}

// notSignedIn shows why the card's answer signed nobody in. A refusal of the
// answer leads to another try, one of the person back to the application.
func (s *Server) notSignedIn(w http.ResponseWriter, r *http.Request, v idp.View, reason error) error {
	if !refusedByRoom(reason) {
		return s.dismiss(w, r, v, reason)
	}
	status, m := s.message(r, v, reason)
	page := web.Failure{Page: s.framed(r, v), Message: m}
	page.Link = &web.Link{Href: "/login?id=" + url.QueryEscape(v.Login.ID), Label: s.Site.Text(page.Lang, "link.retry")}
	return s.render(w, status, "failure", page)
}
