package cis1

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// What agents say and are told, to the letter.
const (
	activation     = "ACTIVATION"
	authentication = "AUTHENTICATION"
	logout         = "LOGOUT"
	authMethod     = "3"
	appURL         = "NHST"
	gasVersion     = "5.2.7" // of the gateway that agents were last made for
)

// activate gives an agent a challenge for its card.
func (s *Server) activate(w http.ResponseWriter, r *http.Request) {
	if wait := s.Arrivals(r.Context()); wait > 0 {
		s.refuse(w, r, object{}, idp.Limited{Wait: wait})
		return
	}
	o, d, ok := s.hear(w, r, activation)
	if !ok {
		return
	}

	q, err := s.Cards.Ask(r.Context(), d.GatewayDesk)
	if err != nil {
		s.refuse(w, r, o, s.journal(r, err))
		return
	}

	write(w, http.StatusOK, echo(o).with("challenge", q.Challenge).with("signature", q.Signature).
		with("auth_method", authMethod).with("app_url", appURL).with("service", activation))
}

// validate judges the card's answer, and begins a session.
func (s *Server) validate(w http.ResponseWriter, r *http.Request) {
	if wait := s.Arrivals(r.Context()); wait > 0 { // an answer that is none costs a row of the journal
		s.refuse(w, r, object{}, idp.Limited{Wait: wait})
		return
	}
	o, d, ok := s.hear(w, r, authentication)
	if !ok {
		return
	}
	answer, ok := readAnswer(o)
	if !ok {
		s.refuse(w, r, o, s.journal(r, fmt.Errorf("read the answer: %w", authenticators.ErrAnswer)))
		return
	}

	e, err := s.Cards.Judge(r.Context(), d.GatewayDesk, answer)
	if err != nil {
		s.refuse(w, r, o, s.journal(r, err))
		return
	}
	opened, err := s.Sessions.Begin(r.Context(), e, asDesk(d.GatewayDesk, d.address), api.RequestID(r.Context()))
	if err != nil {
		s.refuse(w, r, o, err)
		return
	}

	s.count(r, cis1.Gateway, cis1.SignIn, opened.Session, opened.Person)
	s.Log.InfoContext(r.Context(), "bridge signed in", "subject", opened.Session.Subject, "sid", opened.Session.ID, "version", d.Version)
	write(w, http.StatusOK, s.signedIn(r, o, opened.Session, opened.Person, opened.Token))
}

// signedIn is what an agent is told of a session that has begun.
func (s *Server) signedIn(r *http.Request, o object, session idp.Session, p idp.Person, token string) object {
	told := echo(o).with("error_url", s.Help).with("server_ip", here(r)).
		with("cn", commonName(p))
	for i, role := range p.Current(s.Now()) {
		told.Params = append(told.Params, param{Name: "nhsjobrole" + strconv.Itoa(i), ID: role.ID, OrgCode: role.Organisation.Code,
			Text: role.Organisation.Name + ", " + role.RoleName})
	}
	minutes := strconv.Itoa(int(session.Limits().Max / time.Minute))
	return told.with("gas_version", gasVersion).with("sso_ticket", token).with("sso_domain", s.domain()).
		with("sso_session_url", s.URL+updatePath).with("sso_max_session_time", minutes).with("sso_session_time", minutes).
		with("sso_keep_alive", "false").with("sso_logout_url", s.URL+logoutPath).
		with("auth_method", authMethod).with("app_url", appURL).with("service", authentication)
}

// domain is what the gateway's host has in common with the applications of its
// organisation: all but its first name.
func (s *Server) domain() string {
	_, host, _ := strings.Cut(s.URL, "://")
	host, _, _ = strings.Cut(host, ":")
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if _, above, ok := strings.Cut(host, "."); ok && strings.Contains(above, ".") {
		host = above
	}
	return "." + host
}

// chooseRole makes a position the one that the session works in.
func (s *Server) chooseRole(w http.ResponseWriter, r *http.Request) {
	q, err := form(r)
	if err != nil {
		s.refuse(w, r, object{}, err)
		return
	}
	session, p, err := s.Sessions.ChooseRole(r.Context(), token(q, "token"), q.Get("selectedRoleUid"), api.RequestID(r.Context()))
	if err != nil {
		s.refuse(w, r, object{}, err)
		return
	}
	s.count(r, cis1.Gateway, "roleselection", session, p)
	s.Log.InfoContext(r.Context(), "bridge role chosen", "subject", session.Subject, "sid", session.ID, "role", session.Role)
	write(w, http.StatusOK, object{}.with("selectedRoleUid", session.Role).with("ssbMode", liveMode).with("fallbackStatus", "0"))
}

// logOut ends the session of a token for the agent that made it: whoever has
// come by the token alone cannot end it here.
func (s *Server) logOut(w http.ResponseWriter, r *http.Request) {
	o, d, ok := s.hear(w, r, logout)
	if !ok {
		return
	}
	mine := func(session idp.Session) error {
		if o.get("uid") != session.Subject || d.LogSession != session.Legacy.LogSession || d.Device != session.Legacy.Device {
			return idp.ErrToken
		}
		return nil
	}
	err := s.Sessions.End(r.Context(), token(map[string][]string{"t": {o.get("sso_ticket")}}, "t"), api.RequestID(r.Context()), mine)
	if err != nil {
		s.refuse(w, r, o, err)
		return
	}
	s.Log.InfoContext(r.Context(), "bridge signed out", "device", d.Device)
	write(w, http.StatusOK, echo(o).with("service", logout))
}

// update keeps a session alive. It is what agents are told as sso_session_url.
func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	values, err := form(r)
	if err == nil {
		var session idp.Session
		var p idp.Person
		if session, p, err = s.Sessions.Refresh(r.Context(), token(values, "tokenid", "token", "sso_ticket", "subjectid")); err == nil {
			s.count(r, cis1.SessionManager, "update", session, p)
		}
	}
	s.yes(w, r, err)
}

// desk is who calls: what is compared when it comes back, and its address.
type desk struct {
	smartcard.GatewayDesk
	address string
}

var (
	logSession = regexp.MustCompile(`^[!-~]{1,64}$`)
	deviceID   = regexp.MustCompile(`^[ -+\--~]{1,128}$`) // no comma: that is where the address begins
	ourAgent   = regexp.MustCompile(`^(lanyard-agent)/([0-9A-Za-z.+-]{1,40})$`)
	agentParts = regexp.MustCompile(`GACv([0-9. ]{1,40})`)
)

// hear reads a message for that service, or answers and returns false.
func (s *Server) hear(w http.ResponseWriter, r *http.Request, service string) (object, desk, bool) {
	o, err := readObject(r.Body)
	if err == nil && o.get("service") != service {
		err = errMessage
	}
	d := desk{address: from(r)}
	d.LogSession = o.get("log_session_id")
	d.Product, d.Version = agentOf(r)
	d.Device, _, _ = strings.Cut(o.get("device_id"), ",")
	if _, said, ok := strings.Cut(o.get("device_id"), ",ClientIP="); ok {
		if a, not := netip.ParseAddr(said); not == nil {
			d.address = a.String()
		}
	}
	if err != nil || !logSession.MatchString(d.LogSession) || !deviceID.MatchString(d.Device) {
		s.refuse(w, r, object{}, fmt.Errorf("%w: %w", idp.ErrRequest, errMessage))
		return object{}, desk{}, false
	}
	return o, d, true
}

// agentOf is which agent calls, as rules call it, and its version, as its
// User-Agent has them. The old ones do not name themselves, and write spaces
// where numbers have one digit. "" if it says none.
func agentOf(r *http.Request) (product, version string) {
	if m := ourAgent.FindStringSubmatch(r.UserAgent()); m != nil {
		return m[1], m[2]
	}
	m := agentParts.FindStringSubmatch(r.UserAgent())
	if m == nil {
		return "", ""
	}
	return "", strings.ReplaceAll(m[1], " ", "")
}

// ourEncoding is that of the response of an agent of ours: a challenge.Opening,
// with the card's certificate in a parameter of its own.
const ourEncoding = "jws"

// readAnswer reads what the card has signed.
func readAnswer(o object) (smartcard.GatewayAnswer, bool) {
	a := smartcard.GatewayAnswer{UID: o.get("uid")}
	a.Challenge, a.Signature = strings.TrimSpace(o.get("challenge")), strings.TrimSpace(o.get("signature"))
	if a.Challenge == "" || !idp.IsUID(a.UID) {
		return a, false
	}
	var encoding string
	for _, p := range o.Params {
		if p.Name == "response" {
			encoding = p.Encoding
		}
	}
	var err error
	switch encoding {
	case "base64":
		a.CMS, err = decoded(o.get("response"))
		return a, err == nil && len(a.CMS) > 0
	case ourEncoding:
		a.JWS = []byte(o.get("response"))
		a.Certificate, err = decoded(o.get("certificate"))
		return a, err == nil && len(a.JWS) > 0
	}
	return a, false
}

// decoded reads base64, in lines or not.
func decoded(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Map(func(c rune) rune {
		if c == ' ' || c == '\r' || c == '\n' || c == '\t' {
			return -1
		}
		return c
	}, text))
}

// echo begins an answer: it names the agent's session.
func echo(o object) object {
	return object{}.with("log_session_id", o.get("log_session_id"))
}

// journal records that a card was refused, and returns why; an outage is not
// recorded.
func (s *Server) journal(r *http.Request, err error) error {
	if !errors.Is(err, authenticators.ErrRefused) {
		return err
	}
	return s.Sessions.Refuse(r.Context(), api.RequestID(r.Context()), err)
}

// refuse tells an agent why not, with a code and words for its person.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, o object, err error) {
	if errors.Is(err, idp.ErrToken) {
		err = api.ErrSSOToken
	}
	status, m := s.Words.Told(r, err)
	told := object{}
	if id := o.get("log_session_id"); id != "" {
		told = echo(o)
	}
	if pause := idp.Pause(err); pause > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(pause/time.Second)))
	}
	write(w, status, told.with("error_code", m.Code).with("error_text", m.Text+" "+m.Action).with("error_url", s.Help).
		with("request_id", api.RequestID(r.Context())))
}
