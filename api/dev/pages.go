package dev

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Pages are what a developer finds under /dev: people and their cards, the
// keys of the demo client, the last requests rule by rule, the clock, and what
// changes the keys that sign tokens.
type Pages struct {
	Site     *web.Site
	Frame    func(*http.Request) web.Page // what every page of the service has
	Drawer   *Drawer
	Log      Log
	Clock    *Clock
	Registry Registry
	Events   func() []idp.Event
	Facts    []web.Detail
	Key      string // the private key of the client demo-jwt, PEM

	Rotate func(in time.Duration) (kids []string, err error) // publishes new keys, which sign then; nil: this service cannot

	Mails    func() []idp.Mail
	Logouts  idp.Logouts
	Upstream http.Handler // stands in for the organisation's own provider, at UpstreamPath

	UpstreamPath string

	Authority http.Handler // of the cards: OCSP and revocation list, at AuthorityPath
}

// AuthorityPath is where the authority of the cards is asked about them.
const AuthorityPath = "/dev/ca"

// Mount puts the pages on r.
func (p *Pages) Mount(r chi.Router) {
	r.Get("/dev", p.people)
	r.Get("/dev/requests", p.requests)
	r.Get("/dev/keys", p.keys)
	if p.Rotate != nil {
		r.Post("/dev/keys/rotate", p.rotate)
	}
	r.Get("/dev/mail", p.mail)
	r.Get("/dev/logouts", p.logouts)
	if p.Upstream != nil {
		r.Handle(p.UpstreamPath+"/*", p.Upstream)
	}
	r.Get(CardPath, p.card)
	r.Get("/dev/clock", p.clock)
	r.Post("/dev/clock", p.advance)
	r.Handle(AuthorityPath+"/*", http.StripPrefix(AuthorityPath, p.Authority))
}

func (p *Pages) render(w http.ResponseWriter, name string, page web.Framed) {
	html, err := p.Site.Render(page.Language(), name, page)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // to a developer, of their own computer
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	_, _ = w.Write(html) // who has gone is not told
}

// people lists everybody with what they are there to show.
func (p *Pages) people(w http.ResponseWriter, r *http.Request) {
	page := web.DevPeople{Page: p.Frame(r), Facts: p.Facts}
	for _, person := range p.Registry.Document().People {
		one := web.DevPerson{UID: person.UID, Name: holder(person), Positions: len(person.Positions), Profile: string(person.Profile)}
		for _, card := range person.Cards {
			shown := p.Drawer.shown(r.Context(), listing{person: person, card: card})
			one.Cards = append(one.Cards, web.DevCard{Serial: card.Serial, Shows: shown.Hint, Passcode: orElse(card.Passcode, defaultPasscode), TriesLeft: card.TriesLeft})
		}
		page.People = append(page.People, one)
	}
	p.render(w, "dev-people", page)
}

// requests shows the last requests, or those that a reference leads to.
func (p *Pages) requests(w http.ResponseWriter, r *http.Request) {
	reference := strings.TrimSpace(r.URL.Query().Get("q"))
	page := web.DevRequests{Page: p.Frame(r), Query: reference}
	events := p.Events()
	for _, q := range p.Log.Requests(reference) {
		one := web.DevRequest{ID: q.ID, At: q.At.Format(time.TimeOnly), Method: q.Method, Route: q.Route, Status: q.Status, Client: q.Client, Lines: q.Lines}
		for _, rule := range q.Rules {
			one.Rules = append(one.Rules, web.DevRule(rule))
		}
		for _, e := range events {
			if e.Request == q.ID {
				one.Events = append(one.Events, told(e))
			}
		}
		page.Requests = append(page.Requests, one)
	}
	p.render(w, "dev-requests", page)
}

// told is an audit event in one line: what is empty, and the request's own id,
// left out.
func told(e idp.Event) string {
	line := []string{string(e.Kind)}
	for _, part := range []struct{ name, value string }{
		{"subject", e.Subject}, {"client", e.Client}, {"session", e.Session}, {"method", e.Method}, {"acr", string(e.ACR)},
		{"authenticator", e.Authenticator}, {"role", e.Role}, {"flag", e.Flag}, {"reason", e.Reason},
	} {
		if part.value != "" {
			line = append(line, part.name+"="+part.value)
		}
	}
	return strings.Join(line, " ")
}

// keys shows the private key of the client that proves itself with one.
func (p *Pages) keys(w http.ResponseWriter, r *http.Request) {
	p.render(w, "dev-keys", web.DevKeys{Page: p.Frame(r), Facts: p.Facts, Key: p.Key})
}

// rotate publishes new keys for the service's tokens, and names them. They sign
// at once, or after a while: {"signs_in": "24h"}.
func (p *Pages) rotate(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		SignsIn string `json:"signs_in"`
	}
	if err := readJSON(w, r, &ask); err != nil && !errors.Is(err, io.EOF) {
		refuse(w, r, fmt.Sprintf(`the body must be empty or {"signs_in": "24h"}: %v`, err))
		return
	}
	in, err := time.ParseDuration(cmp.Or(ask.SignsIn, "0s"))
	if err != nil || in < 0 {
		refuse(w, r, "signs_in must be a duration, such as 24h")
		return
	}
	kids, err := p.Rotate(in)
	if err != nil {
		refuse(w, r, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, map[string][]string{"kids": kids})
}

// CardPath is where a virtual card can be had as a file, by its person's uid.
const CardPath = "/dev/card"

// card gives a virtual card away: in development nothing about one is secret.
func (p *Pages) card(w http.ResponseWriter, r *http.Request) {
	file, err := p.Drawer.File(r.URL.Query().Get("uid"))
	if errors.Is(err, idp.ErrNotFound) {
		http.Error(w, "nobody with that uid has a card", http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // to a developer, of their own computer
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(file) // who has gone is not told
}

// mail shows the mails that nobody got, latest first.
func (p *Pages) mail(w http.ResponseWriter, r *http.Request) {
	page := web.DevMail{Page: p.Frame(r)}
	mails := p.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		m := mails[i]
		var args []any
		for name, value := range m.Args {
			args = append(args, name, value)
		}
		page.Mails = append(page.Mails, web.DevMailed{To: m.To, Subject: p.Site.Text(m.Lang, m.Text+".subject", args...), Body: p.Site.Text(m.Lang, m.Text, args...)})
	}
	p.render(w, "dev-mail", page)
}

// logouts shows what applications were told of sign-outs, latest first.
func (p *Pages) logouts(w http.ResponseWriter, r *http.Request) {
	const most = 100
	last, err := p.Logouts.LastLogouts(r.Context(), most)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // to a developer, of their own computer
		return
	}
	page := web.DevLogouts{Page: p.Frame(r)}
	for _, l := range last {
		one := web.DevLogout{Client: l.Client, SID: l.SID, Result: l.Result, Said: l.Said, Tries: l.Tries}
		if !l.SaidAt.IsZero() {
			one.At = l.SaidAt.Format(time.TimeOnly)
		}
		page.Logouts = append(page.Logouts, one)
	}
	p.render(w, "dev-logouts", page)
}

// clock says what time the service believes it is.
func (p *Pages) clock(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]string{"now": p.Clock.Now().UTC().Format(time.RFC3339Nano)})
}

// advance moves the clock on: {"advance": "15m"}.
func (p *Pages) advance(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Advance string `json:"advance"`
	}
	if err := readJSON(w, r, &ask); err != nil {
		refuse(w, r, fmt.Sprintf(`the body must be {"advance": "15m"}: %v`, err))
		return
	}
	d, err := time.ParseDuration(ask.Advance)
	if err != nil {
		refuse(w, r, errAdvance.Error())
		return
	}
	now, err := p.Clock.Advance(d)
	if err != nil {
		refuse(w, r, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, map[string]string{"now": now.UTC().Format(time.RFC3339Nano)})
}

// readJSON reads what a test sends: short, and nothing that is not known.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// refuse answers with RFC 9457 problem details.
func refuse(w http.ResponseWriter, r *http.Request, detail string) {
	id := api.RequestID(r.Context())
	api.Problem{Type: "about:blank", Title: "Bad request", Status: http.StatusBadRequest, Detail: detail, Reference: idp.Reference(id), RequestID: id}.Write(w, "en")
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the asker has gone: nobody to tell
}
