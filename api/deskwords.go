package api

import (
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// What is said of a desk is said once: its page shows it, and so does the agent,
// which gets it in the language of the page.

// Doing says in language lang what an agent reported.
func (s *Server) Doing(lang string, r smartcard.Report) web.Message {
	m, _ := s.doing(lang, r)
	return m
}

// doing says what an agent reported, and whether it will do no more.
func (s *Server) doing(lang string, r smartcard.Report) (m web.Message, ended bool) {
	switch r.Doing {
	case smartcard.NoReader:
		return s.Site.Message(lang, "RDR-01"), false
	case smartcard.WaitCard:
		return s.Site.Message(lang, "CRD-01"), false
	case smartcard.ChooseCard:
		return s.Site.Message(lang, "CRD-04"), false
	case smartcard.CardUnreadable:
		return s.Site.Message(lang, "CRD-02"), false
	case smartcard.CardBusy:
		return s.Site.Message(lang, "CRD-08"), false
	case smartcard.CardUnsupported:
		return s.Site.Message(lang, "CRD-03"), false
	case smartcard.CardRemoved:
		return s.Site.Message(lang, "CRD-05"), false
	case smartcard.PINWrong:
		_, m = s.words(lang, idp.View{}, &WrongPasscode{r.TriesLeft})
		return m, r.TriesLeft == 0
	case smartcard.PINMissing:
		return s.Site.Message(lang, "PAS-04"), false
	case smartcard.PINBlocked:
		return s.Site.Message(lang, "PAS-03"), true
	case smartcard.Cancelled:
		return s.Site.Message(lang, "CAN-01"), true
	case smartcard.Timeout:
		return s.Site.Message(lang, "SES-01"), true
	case smartcard.AgentStopped:
		return s.Site.Message(lang, "AGT-05"), true
	case smartcard.AgentBusy:
		return s.Site.Message(lang, "AGT-06"), true
	default:
		return web.Message{Text: s.Site.Text(lang, "desk."+string(r.Doing))}, false
	}
}

// Ahead says in language lang what ends soon.
func (s *Server) Ahead(lang string, what smartcard.Ahead) []web.Message {
	var all []web.Message
	if !what.Agent.IsZero() {
		all = append(all, s.Site.Message(lang, "AGT-04", "date", s.Site.Date(lang, what.Agent)))
	}
	if !what.Certificate.IsZero() {
		days := s.Site.Count(lang, "day", idp.DaysLeft(what.Certificate, s.Logins.Now()))
		all = append(all, s.Site.Message(lang, "CRT-02", "days", days))
	}
	if !what.Series.IsZero() {
		all = append(all, s.Site.Message(lang, "CRD-09", "date", s.Site.Date(lang, what.Series)))
	}
	return all
}
