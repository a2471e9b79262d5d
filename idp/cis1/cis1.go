// Package cis1 holds the rules of the old service's sessions: what an SSO token
// is, what it is worth, and when it is worth nothing.
//
// Such a session is one like all others: it has its fences and its rows in the
// journal, its person sees it and can end it, and so can the registration
// authority. What is different is that it is opened by an SSO token and not by a
// cookie, has a life of its own, and is ended by whoever shows the token. The
// HTTP is in package api/cis1, the card is judged in authenticators/smartcard.
package cis1

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// An SSO token looks as the old service's did: three bytes, which say that the
// rest is such a token, and 256 random bits, in base64; then the part that named
// its server, which is the same for all.
const (
	tokenTail  = "@AAJTSQACMDE=#" //nolint:gosec // the same for all
	tokenBytes = 3 + 32
)

var (
	tokenHead = []byte{1, 2, 2}
	tokenLen  = base64.StdEncoding.EncodedLen(tokenBytes) + len(tokenTail)
)

// NewToken returns a new SSO token.
func NewToken() string {
	b := make([]byte, tokenBytes)
	copy(b, tokenHead)
	rand.Read(b[len(tokenHead):]) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(b) + tokenTail
}

// IsToken says whether text has the form of an SSO token, to the letter.
func IsToken(text string) bool {
	body, ok := strings.CutSuffix(text, tokenTail)
	if !ok || len(text) != tokenLen {
		return false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(body)
	return err == nil && len(b) == tokenBytes && string(b[:len(tokenHead)]) == string(tokenHead)
}

// KeyOf returns the key under which the session of a token is kept. Keys of
// browsers' sessions are a bare hash of their cookie: no cookie opens one that
// begins so.
func KeyOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "cis1." + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Store keeps sessions.
type Store interface {
	idp.SessionStore

	// TouchSession notes an act of the person of a live session, and leaves
	// alone whatever else somebody changes of it at the same instant.
	// idp.ErrNotFound if there is none.
	TouchSession(ctx context.Context, key string, now time.Time) (idp.Session, error)
}

// Departures are of people who sign out at browsers.
type Departures interface {
	// LastDeparture returns which one that person was, of all who have signed out,
	// when they last did so of what that authenticator opened; 0: they did not
	// lately.
	LastDeparture(ctx context.Context, uid, authenticator string) (int64, error)
}

// Sessions are those of the old service.
type Sessions struct {
	Store   Store
	People  idp.People
	Journal idp.Journal
	Fences  idp.Fences
	Timers  idp.Timers                          // where they shall be shorter than idp.LongestLegacy
	Ours    map[authenticators.Level]idp.Timers // of sessions of ours: what such a session is worth here ends with the shorter
	Now     func() time.Time

	// Departures end what an agent at a desk holds; nil: they do not.
	Departures Departures
}

// Opened is a session that was just made.
type Opened struct {
	Session idp.Session
	Person  idp.Person
	Token   string
}

// Begin turns what a card proved at the gateway into a session. Applications of
// the old service cannot say whom they take and take everybody for verified, by
// a card that was vouched for: who is not is refused here.
func (ss *Sessions) Begin(ctx context.Context, e authenticators.Evidence, d idp.LegacyDesk, request string) (Opened, error) {
	now := ss.Now()
	event := idp.Event{At: now, Kind: idp.SignedIn, Request: request, Subject: e.Subject, Client: Client,
		Method: string(e.Method), Level: int(e.Level), Authenticator: e.Authenticator, Flag: e.Flag}
	p, err := ss.person(ctx, e.Subject, e.At, e.Authenticator)
	if errors.Is(err, idp.ErrToken) {
		return Opened{}, ss.refused(ctx, event, authenticators.ErrSuspended)
	}
	if err != nil {
		return Opened{}, err
	}
	if no := p.Admit(idp.Client{}, now); no != nil {
		return Opened{}, ss.refused(ctx, event, no)
	}
	if e.Method != authenticators.LegacySmartcard || e.Level < authenticators.AAL3 {
		return Opened{}, ss.refused(ctx, event, idp.ErrUnmet)
	}
	token := NewToken()
	d.Key = e.Key
	s := idp.Session{ID: idp.NewSID(), Key: KeyOf(token), Subject: p.UID, Method: e.Method, Level: e.Level, AuthTime: e.At, LastAct: now,
		Ends: e.Ends, EndsWith: e.EndsWith, Timers: ss.Timers, Authenticator: e.Authenticator, Legacy: &d}
	event.Session = s.ID
	err = ss.Journal.Record(ctx, event, idp.Fence{Kind: idp.ChallengeFence, Hash: e.Once})
	if errors.Is(err, idp.ErrUsed) {
		return Opened{}, ss.refused(ctx, event, authenticators.ErrAnswer) // who asked had forgotten
	}
	if err != nil {
		return Opened{}, fmt.Errorf("record sign-in: %w", err)
	}
	if err := ss.Store.SaveSession(ctx, s); err != nil {
		return Opened{}, err
	}
	if err := ss.stays(ctx, s, e.Departures, request); err != nil {
		return Opened{}, err
	}
	return Opened{s, p, token}, nil
}

// stays ends s, which was just opened, if its person has signed out at a browser
// since the card was asked, of whom before had: who signed out may have looked
// for it before it was there. authenticators.ErrAnswer then. Nobody has its token
// yet.
func (ss *Sessions) stays(ctx context.Context, s idp.Session, before int64, request string) error {
	if ss.Departures == nil || !s.AtDesk() {
		return nil
	}
	last, err := ss.Departures.LastDeparture(ctx, s.Subject, s.Authenticator)
	if err != nil {
		return fmt.Errorf("ask who has left: %w", err)
	}
	if last <= before {
		return nil
	}
	if err := ss.end(ctx, s, request); err != nil {
		return err
	}
	return fmt.Errorf("its person has signed out since the card was asked: %w", authenticators.ErrAnswer)
}

// Client is as what the gateway stands in the journal.
const Client = "cis1-gateway"

// Refuse records that the gateway refused a card, and returns why.
func (ss *Sessions) Refuse(ctx context.Context, request string, reason error) error {
	return ss.refused(ctx, idp.Event{At: ss.Now(), Request: request, Client: Client}.RefusalOf(reason), reason)
}

func (ss *Sessions) refused(ctx context.Context, e idp.Event, reason error) error {
	e.Kind, e.Reason, e.Session = idp.SignInNo, reason.Error(), ""
	if err := ss.Journal.Record(ctx, e); err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	return reason
}

// Find returns the live session of an SSO token, and its person as they are now.
// It is no act of theirs. Whatever is wrong with the token, it is idp.ErrToken.
func (ss *Sessions) Find(ctx context.Context, token string) (idp.Session, idp.Person, error) {
	if !IsToken(token) {
		return idp.Session{}, idp.Person{}, idp.ErrToken
	}
	return ss.find(ctx, KeyOf(token))
}

// find is Find by the key of the session.
func (ss *Sessions) find(ctx context.Context, key string) (idp.Session, idp.Person, error) {
	s, err := ss.Store.Session(ctx, key, ss.Now())
	if errors.Is(err, idp.ErrNotFound) || err == nil && s.Legacy == nil {
		return idp.Session{}, idp.Person{}, idp.ErrToken
	}
	if err != nil {
		return idp.Session{}, idp.Person{}, err
	}
	if !s.Ends.IsZero() && !ss.Now().Before(s.Ends) { // its card's certificate, or the series
		return idp.Session{}, idp.Person{}, idp.ErrToken
	}
	for _, over := range s.Over() { // Redis may have brought it back
		ended, err := ss.Fences.Stands(ctx, over)
		if err != nil {
			return idp.Session{}, idp.Person{}, fmt.Errorf("fence of session: %w", err)
		}
		if ended {
			return idp.Session{}, idp.Person{}, idp.ErrToken
		}
	}
	p, err := ss.person(ctx, s.Subject, s.AuthTime, s.Authenticator)
	if err != nil {
		return idp.Session{}, idp.Person{}, err
	}
	if p.Admit(idp.Client{}, ss.Now()) != nil {
		return idp.Session{}, idp.Person{}, idp.ErrToken
	}
	return s, p, nil
}

// SSOSession implements idp.SSOTokens.
func (ss *Sessions) SSOSession(ctx context.Context, token string) (idp.Session, error) {
	s, _, err := ss.Find(ctx, token)
	return s, err
}

var _ idp.SSOTokens = (*Sessions)(nil)

// Lives implements idp.FormerSessions.
func (ss *Sessions) Lives(ctx context.Context, key string) error {
	_, _, err := ss.find(ctx, key)
	return err
}

var _ idp.FormerSessions = (*Sessions)(nil)

// KeyOf is the function of that name.
func (ss *Sessions) KeyOf(token string) string { return KeyOf(token) }

// Worth returns what the live session with that key proves to applications of
// ours, if f takes it and agent is the thumbprint of the key that the card signed when it opened it. It is no act of its person, and gives nothing that a
// session of ours which began and was used as it was would not. Whatever is
// wrong is authenticators.ErrAnswer.
func (ss *Sessions) Worth(ctx context.Context, key, agent string, f authenticators.Former) (authenticators.Evidence, error) {
	s, _, err := ss.find(ctx, key)
	if errors.Is(err, idp.ErrToken) {
		return authenticators.Evidence{}, fmt.Errorf("%w: it has ended", authenticators.ErrFormerOver)
	}
	if err != nil {
		return authenticators.Evidence{}, err
	}
	if no := ss.unfit(s, agent, f); no != nil {
		return authenticators.Evidence{}, authenticators.OfFormer{Err: no, SID: s.ID, Subject: s.Subject, Device: s.Legacy.Device}
	}
	return authenticators.Evidence{Subject: s.Subject, Method: s.Method, Level: s.Level, At: s.AuthTime, Authenticator: s.Authenticator,
		Ends: s.Ends, EndsWith: s.EndsWith, Session: s.Key}, nil
}

// unfit says why f does not take s, which lives, from that agent; nil if it does.
func (ss *Sessions) unfit(s idp.Session, agent string, f authenticators.Former) error {
	no := func(why string) error { return fmt.Errorf("%w: %s", authenticators.ErrAnswer, why) }
	switch {
	case !s.AtDesk() || subtle.ConstantTimeCompare([]byte(s.Legacy.Key), []byte(agent)) != 1:
		return no("the session is of an agent that gives its token to applications, or of another desk's")
	case !s.Shown(ss.Ours[s.Level], ss.Now()):
		return fmt.Errorf("%w: its card was shown too long ago", authenticators.ErrFormerOver)
	case f.Since.IsZero():
		return no("the request takes no session of the old service")
	case s.AuthTime.Before(f.Since), f.Subject != "" && f.Subject != s.Subject:
		return no("the session of the old service is too old for the request, or another's")
	}
	return nil
}

// person returns who signed in, if that still stands, and idp.ErrToken if not.
func (ss *Sessions) person(ctx context.Context, uid string, at time.Time, authenticator string) (idp.Person, error) {
	p, stands, err := idp.Stood(ctx, ss.People, uid, at, ss.Now(), authenticator)
	if errors.Is(err, idp.ErrNotFound) || err == nil && !stands {
		return idp.Person{}, idp.ErrToken
	}
	if err != nil {
		return idp.Person{}, fmt.Errorf("person of session: %w", err)
	}
	return p, nil
}

// ChooseRole makes position role the one that the session works in. It counts as
// an act of the person. idp.ErrRole if it is not theirs today.
func (ss *Sessions) ChooseRole(ctx context.Context, token, role, request string) (idp.Session, idp.Person, error) {
	s, p, err := ss.Find(ctx, token)
	if err != nil {
		return idp.Session{}, idp.Person{}, err
	}
	if _, ok := p.Position(role, ss.Now()); !ok {
		return idp.Session{}, idp.Person{}, idp.ErrRole
	}
	s.Role, s.LastAct = role, ss.Now()
	// The journal first: a role that it does not know of must not work.
	if err := ss.Journal.Record(ctx, idp.Event{At: ss.Now(), Kind: idp.RoleChosen, Request: request,
		Subject: s.Subject, Client: Client, Session: s.ID, Role: role}); err != nil {
		return idp.Session{}, idp.Person{}, fmt.Errorf("record role: %w", err)
	}
	return s, p, ss.keep(ctx, s)
}

// Refresh keeps a session alive: it counts as an act of the person.
func (ss *Sessions) Refresh(ctx context.Context, token string) (idp.Session, idp.Person, error) {
	s, p, err := ss.Find(ctx, token)
	if err != nil {
		return idp.Session{}, idp.Person{}, err
	}
	if s, err = ss.Store.TouchSession(ctx, s.Key, ss.Now()); errors.Is(err, idp.ErrNotFound) {
		return idp.Session{}, idp.Person{}, idp.ErrToken
	}
	return s, p, err
}

// keep writes down what has changed of s, unless it ended this instant.
func (ss *Sessions) keep(ctx context.Context, s idp.Session) error {
	err := ss.Store.UpdateSession(ctx, s)
	if errors.Is(err, idp.ErrNotFound) {
		return idp.ErrToken
	}
	return err
}

// End ends the session of a token, and all that came of it. mine judges whether
// it is the caller's: if it says no, nothing ends. The journal comes first: what
// Redis knows it may forget.
func (ss *Sessions) End(ctx context.Context, token, request string, mine func(idp.Session) error) error {
	s, _, err := ss.Find(ctx, token)
	if err != nil {
		return err
	}
	if err := mine(s); err != nil {
		return err
	}
	return ss.end(ctx, s, request)
}

// end ends s.
func (ss *Sessions) end(ctx context.Context, s idp.Session, request string) error {
	event := idp.Event{At: ss.Now(), Kind: idp.SessionEnded, Request: request, Subject: s.Subject, Client: Client, Session: s.ID}
	if err := ss.Journal.Record(ctx, event, s.Over()...); err != nil {
		return fmt.Errorf("record end of session: %w", err)
	}
	return ss.Store.EndSession(ctx, s.Key)
}
