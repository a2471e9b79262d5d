package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Refusals of this package.
const (
	errNoPage idp.Refusal = "there is no such page"
	errMethod idp.Refusal = "the method is not allowed here"
	errForged idp.Refusal = "the form came from another site"

	// errNoPasscode says that the field was left empty: no try is used up.
	errNoPasscode idp.Refusal = "no passcode was entered"

	// ErrKeyNotAdded is of whatever is wrong with a key that is to be added.
	ErrKeyNotAdded idp.Refusal = "the key did not show what it must to be added"

	// ErrSSOToken is of a token of the old service that is worth nothing.
	ErrSSOToken idp.Refusal = "the SSO token is unknown, or its session is over"

	// ErrSwitchedOff is of an application that the old service does not answer
	// any more.
	ErrSwitchedOff idp.Refusal = "the application is switched off at the old service"
)

// messages says, for each error, which message of the catalogue a person
// reads, and the status that goes with it. The words are in web/text.
var messages = slices.Concat([]message{
	{idp.ErrClientUnknown, "REQ-01", http.StatusBadRequest},
	{idp.ErrRequest, "REQ-02", http.StatusBadRequest},
	{idp.ErrRedirect, "REQ-02", http.StatusBadRequest},
	{errNoPage, "NOT-01", http.StatusNotFound},
	{errMethod, "NOT-01", http.StatusMethodNotAllowed},
	{idp.ErrLoginGone, "SES-01", http.StatusBadRequest},
	{idp.ErrOtherBrowser, "SES-02", http.StatusBadRequest},
	{errForged, "SES-02", http.StatusForbidden},
	{idp.ErrProfileClosed, "PRF-01", http.StatusForbidden},
	{idp.ErrProfileRestricted, "PRF-02", http.StatusForbidden},
	{idp.ErrProfileUnverified, "PRF-03", http.StatusForbidden},
	{idp.ErrNoRole, "ROL-01", http.StatusForbidden},
	{idp.ErrRole, "ROL-03", http.StatusBadRequest},
	{errNoPasscode, "PAS-04", http.StatusBadRequest},
	{idp.ErrUnmet, "AAL-01", http.StatusForbidden},
	{smartcard.ErrNotRegistered, "CRT-04", http.StatusForbidden},
	{smartcard.ErrSuspended, "CRD-06", http.StatusForbidden},
	{smartcard.ErrBlocked, "PAS-03", http.StatusForbidden},
	{smartcard.ErrRevoked, "CRT-03", http.StatusForbidden},
	{smartcard.ErrExpired, "CRT-01", http.StatusForbidden},
	{smartcard.ErrUntrusted, "CRD-03", http.StatusForbidden},
	{smartcard.ErrNotYetValid, "CRT-06", http.StatusForbidden},
	{smartcard.ErrSeries, "CRD-07", http.StatusForbidden},
	{smartcard.ErrAgent, "AGT-03", http.StatusForbidden},
	{smartcard.ErrNotAtGateway, "OLD-01", http.StatusForbidden},
	{smartcard.ErrSHA1, "OLD-02", http.StatusForbidden},
	{ErrSSOToken, "OLD-03", http.StatusForbidden},
	{ErrSwitchedOff, "OLD-04", http.StatusForbidden},
	{smartcard.ErrFormerOnly, "OLD-05", http.StatusForbidden},
	// Not 503: what stands before us may show its own page in place of ours.
	{smartcard.ErrUnchecked, "CRT-05", http.StatusForbidden},
	{ErrKeyNotAdded, "KEY-03", http.StatusBadRequest},
	{authenticators.ErrAnswer, "SES-03", http.StatusBadRequest},
	{authenticators.ErrSuspended, "AUT-01", http.StatusForbidden},
	{passkey.ErrKey, "KEY-01", http.StatusForbidden},
	{passkey.ErrOrigin, "KEY-01", http.StatusForbidden},
	{passkey.ErrUnverified, "KEY-01", http.StatusForbidden},
	{passkey.ErrCounter, "KEY-02", http.StatusForbidden},
	{passkey.ErrKnown, "ACC-02", http.StatusConflict},
	{totp.ErrWrong, "OTP-01", http.StatusBadRequest},
	{totp.ErrCode, "OTP-02", http.StatusBadRequest},
	{totp.ErrTooShort, "PWD-01", http.StatusBadRequest},
	{totp.ErrTooLong, "PWD-01", http.StatusBadRequest},
	{totp.ErrCommon, "PWD-02", http.StatusBadRequest},
	{totp.ErrPersonal, "PWD-02", http.StatusBadRequest},
	{totp.ErrHeld, "ACC-02", http.StatusConflict},
	{federated.ErrCancelled, "FED-01", http.StatusForbidden},
	{federated.ErrDeclined, "FED-01", http.StatusForbidden},
	{federated.ErrUnproven, "FED-01", http.StatusForbidden},
	{federated.ErrStale, "FED-01", http.StatusForbidden},
	{federated.ErrUnlinked, "FED-02", http.StatusForbidden},
	{federated.ErrWeak, "FED-03", http.StatusForbidden},
	{federated.ErrUnreachable, "FED-04", http.StatusServiceUnavailable},
	{idp.ErrTooLow, "ACC-01", http.StatusForbidden},
	{idp.ErrStale, "ACC-01", http.StatusForbidden},
	{idp.ErrTaken, "ACC-02", http.StatusConflict},
	{idp.ErrTooMany, "ACC-06", http.StatusConflict},
	{idp.ErrUnnamed, "ACC-03", http.StatusBadRequest},
	{idp.ErrEmail, "ACC-04", http.StatusBadRequest},
	{idp.ErrMailCode, "ACC-05", http.StatusBadRequest},
	{idp.ErrNotFound, "NOT-01", http.StatusNotFound},
	{idp.ErrLocked, "LIM-02", http.StatusForbidden},
	{idp.ErrLimited, "LIM-01", http.StatusTooManyRequests},
	{authenticators.ErrBusy, unavailable, http.StatusServiceUnavailable},
	{idp.ErrUnavailable, unavailable, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, unavailable, http.StatusServiceUnavailable},
}, registration)

// message is a row of the catalogue.
type message struct {
	err    error
	code   string
	status int
}

// unknown is what a person reads of an error that is none of these: our own
// fault, or that of something we stand on.
const unknown = "ERR-01"

// unavailable is what a person reads when something that we stand on does not
// answer, or not in time.
const unavailable = "ERR-02"

// message returns what a person reads of err in login v, and the status that
// goes with it. It is the only door through which an error comes to a page, so
// it is where the error is logged, and nowhere else.
func (s *Server) message(r *http.Request, v idp.View, err error) (int, web.Message) {
	return s.messageIn(s.language(r, v.Login), r, v, err)
}

func (s *Server) messageIn(lang string, r *http.Request, v idp.View, err error) (int, web.Message) {
	status, m := s.words(lang, v, err)
	s.Metrics.Refused(m.Code)
	switch status {
	case http.StatusInternalServerError:
		s.Log.ErrorContext(r.Context(), "page failed", "code", m.Code, "client", v.Client.ID, "error", err.Error())
	case http.StatusServiceUnavailable:
		s.Log.WarnContext(r.Context(), "page put off", "code", m.Code, "client", v.Client.ID, "error", err.Error())
	default:
		s.Log.InfoContext(r.Context(), "page refused", "code", m.Code, "client", v.Client.ID, "reason", err.Error())
	}
	return status, m
}

// Told returns what a person reads of err whose program has no page to show it
// on, and the status that goes with it. No cookie is looked at.
func (s *Server) Told(r *http.Request, err error) (int, web.Message) {
	return s.messageIn(s.Site.Language("", r.Header.Get("Accept-Language")), r, idp.View{}, err)
}

func (s *Server) words(lang string, v idp.View, err error) (int, web.Message) {
	if wrong, ok := asWrongPasscode(err); ok {
		switch wrong.TriesLeft {
		case 0:
			return http.StatusForbidden, s.Site.Message(lang, "PAS-03")
		case 1:
			return http.StatusBadRequest, s.Site.Message(lang, "PAS-02")
		}
		return http.StatusBadRequest, s.Site.Message(lang, "PAS-01", "tries", s.Site.Count(lang, "try", wrong.TriesLeft))
	}
	args := []any{"application", orElse(s.nameOf(lang, v.Client), s.Site.Text(lang, "application.unnamed"))}
	if ended, ok := errors.AsType[smartcard.Ended](err); ok {
		args = append(args, "date", s.Site.Date(lang, ended.At))
	}
	if ended, ok := errors.AsType[smartcard.SeriesEnded](err); ok {
		args = append(args, "date", s.Site.Date(lang, ended.From))
	}
	if limited, ok := errors.AsType[idp.Limited](err); ok {
		args = append(args, "time", s.howLong(lang, idp.Pause(limited)))
	}
	status, code := lookUp(err)
	return status, s.Site.Message(lang, code, args...)
}

// lookUp returns the status and the code of the message that says err.
func lookUp(err error) (status int, code string) {
	all := messages
	if _, ok := errors.AsType[InRegistration](err); ok {
		all = slices.Concat(registration, messages)
	}
	for _, m := range all {
		if errors.Is(err, m.err) {
			return m.status, m.code
		}
	}
	return http.StatusInternalServerError, unknown
}

// Code returns the code of the message of the catalogue that says err.
func Code(err error) string {
	_, code := lookUp(err)
	return code
}

// howLong says a time in words: no shorter than it is.
func (s *Server) howLong(lang string, d time.Duration) string {
	if d < time.Minute {
		return s.Site.Count(lang, "second", int(d/time.Second))
	}
	return s.Site.Count(lang, "minute", int((d+time.Minute-1)/time.Minute))
}

// retryAfter tells programs, and browsers, when to come back.
func retryAfter(w http.ResponseWriter, err error) {
	if pause := idp.Pause(err); pause > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(pause/time.Second)))
	}
}

func asWrongPasscode(err error) (*WrongPasscode, bool) {
	return errors.AsType[*WrongPasscode](err)
}

// fail shows an error as a page of its own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, c idp.Client, err error) {
	s.failIn(w, r, idp.View{Client: c}, err)
}

func (s *Server) failIn(w http.ResponseWriter, r *http.Request, v idp.View, err error) {
	status, m := s.message(r, v, err)
	page := web.Failure{Page: s.framed(r, v), Message: m, Details: details(r, m.Code)}
	page.Link = s.wayOn(r, v, m.Code, page.Lang)
	if v.Login.ID != "" || r.Method == http.MethodPost {
		page.Here = "" // the same address again would lead on, or nowhere
	}
	retryAfter(w, err)
	if err := s.render(w, status, "failure", page); err != nil {
		s.Log.ErrorContext(r.Context(), "page failed", "error", err.Error())
	}
}

// wayOn is what a person can do after a failure: try again what an outage
// stopped, or go back to the application with the login that has failed.
func (s *Server) wayOn(r *http.Request, v idp.View, code, lang string) *web.Link {
	again := s.Site.Text(lang, "link.retry")
	switch address := here(r); {
	case v.Login.ID != "" && code == unavailable:
		return &web.Link{Href: "/login?id=" + url.QueryEscape(v.Login.ID), Label: again}
	case v.Login.ID != "":
		return &web.Link{Href: "/login?id=" + url.QueryEscape(v.Login.ID), Label: s.Site.Text(lang, "link.back", "application", s.nameOf(lang, v.Client))}
	case code == "CLM-03", code == "CLM-04":
		return &web.Link{Href: "/claim", Label: s.Site.Text(lang, "link.again")}
	case (code == unavailable || code == "LIM-01") && r.Method == http.MethodGet && address != "":
		return &web.Link{Href: ownPath(address), Label: again}
	}
	return nil
}

// details are what the developer of an application needs to see their
// mistake: only what their own request brought.
func details(r *http.Request, code string) []web.Detail {
	if code != "REQ-01" && code != "REQ-02" {
		return nil
	}
	var list []web.Detail
	for _, name := range []string{"client_id", "redirect_uri"} {
		for _, value := range r.Form[name] {
			list = append(list, web.Detail{Name: name, Value: clip(value)})
		}
	}
	return list
}

// clip keeps what a stranger sent from filling the page.
func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// Refuse implements provider.Pages.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.fail(w, r, idp.Client{}, err)
}

// FormPost implements provider.Pages. Without the application's name the page
// still works.
func (s *Server) FormPost(w http.ResponseWriter, r *http.Request, l idp.Login, fields url.Values) {
	c, err := s.Logins.Clients.Client(r.Context(), l.ClientID)
	if err != nil {
		s.Log.ErrorContext(r.Context(), "client of answer", "error", err.Error())
	}
	page := web.FormPost{Page: s.framed(r, idp.View{Login: l, Client: c}), Action: l.RedirectURI}
	page.Here = "" // the answer is given once
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		page.Fields = append(page.Fields, web.Detail{Name: name, Value: fields.Get(name)})
	}
	mayPostTo(w, l.RedirectURI)
	if err := s.render(w, http.StatusOK, "form-post", page); err != nil {
		s.Log.ErrorContext(r.Context(), "page failed", "error", err.Error())
	}
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
