package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lanyard-id/lanyard/authenticators"
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

	raw, err := s.Rooms[SmartcardWay].Begin(r.Context(), question(v))
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
	page := web.Smartcard{Page: s.framed(r, v), LoginID: v.Login.ID, Transaction: tx, DisplayCode: code}
	page.Here = page.Again()
	return page
}

// showDesk shows how things go at the desk, and leads on from there.
func (s *Server) showDesk(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	d, err := s.deskOf(r, r.URL.Query().Get("tx"))
	if errors.Is(err, authenticators.ErrAnswer) || err == nil && d.Login != v.Login.ID {
		m := s.Site.Message(s.language(r, v.Login), "SES-01")
		return s.showWays(w, r, http.StatusBadRequest, v, &m)
	}
	if err != nil {
		return err
	}

	page := s.deskPage(r, v, d.ID, d.DisplayCode)
	n := s.news(page.Lang, v, d)
	switch {
	case d.Stage == smartcard.Settled:
		return s.returnToDesk(w, r, v, d)
	case n.Event == "refused":
		return s.showWays(w, r, http.StatusForbidden, v, &n.message)
	case n.Ended:
		return s.showWays(w, r, http.StatusOK, v, &n.message)
	case d.Stage == smartcard.Open:
		n.message = s.Site.Message(page.Lang, "AGT-01")
	}
	page.Now, page.Started = n.message, d.Stage != smartcard.Open
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, http.StatusOK, "smartcard", page)
}

// returnToDesk sends the browser to the agent on its own computer, which sends
// it back with the completion code. The agent compares where the browser comes
// from with the service that it knows, so this page tells it.
func (s *Server) returnToDesk(w http.ResponseWriter, r *http.Request, v idp.View, d smartcard.Desk) error {
	agent := "http://127.0.0.1:" + strconv.Itoa(d.Agent.Port)
	page := web.SmartcardSigned{Page: s.framed(r, v), Transaction: d.ID, Action: agent + "/v1/done"}
	page.Here = "" // the agent answers once
	mayPostTo(w, v.Login.RedirectURI, agent)
	w.Header().Set("Referrer-Policy", "origin")
	return s.render(w, http.StatusOK, "smartcard-signed", page)
}

// deskOf returns how transaction tx stands, for the browser that began it.
func (s *Server) deskOf(r *http.Request, tx string) (smartcard.Desk, error) {
	d, err := s.Desk.Desks.Desk(r.Context(), tx, s.Logins.Now())
	if err != nil {
		return smartcard.Desk{}, err
	}
	return d, s.Browser.Bound(r, idp.Login{ID: d.Login, Browser: d.Browser})
}

// finishCard takes the completion code from the browser and signs the person
// in. In another browser than the one that began, the sign-in is dead: somebody
// was led to show their card for somebody else.
func (s *Server) finishCard(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	tx, completion := r.URL.Query().Get("tx"), r.URL.Query().Get("cc")
	d, err := s.deskOf(r, tx)
	switch {
	case errors.Is(err, authenticators.ErrAnswer):
		return idp.ErrLoginGone
	case errors.Is(err, idp.ErrOtherBrowser):
		return s.killCard(r, d, err)
	case err != nil:
		return err
	}
	l, err := s.Logins.Store.Login(r.Context(), d.Login, s.Logins.Now())
	if err != nil {
		return err
	}
	v, err := s.Logins.Look(r.Context(), l, s.Browser.Session(r))
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}

	answer, err := json.Marshal(map[string]string{"tx": tx, "completion": completion})
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if _, err := s.accept(w, r, v, SmartcardWay, answer); err != nil {
		return s.notSignedIn(w, r, v, err)
	}

	redirect(w, r, "/login", v.Login)
	return nil
}

// killCard ends a sign-in whose answer came in another browser, and records
// that.
func (s *Server) killCard(r *http.Request, d smartcard.Desk, reason error) error {
	if err := s.Desk.Desks.End(r.Context(), d.ID); err != nil {
		return err
	}
	return s.Logins.RefuseSignIn(r.Context(), idp.Login{ID: d.Login, ClientID: d.ClientID}, RequestID(r.Context()), reason)
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
