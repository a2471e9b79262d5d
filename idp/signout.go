package idp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// DeskSessions are those of the old service that agents at desks hold, and who
// has left them. That is told by counting and not by clocks, which differ between
// servers: an agent's session may begin at one while its person signs out at
// another.
type DeskSessions interface {
	OwnSessions

	// Depart counts one more who has signed out, and writes down which one that
	// person is who did so of what that authenticator opened. Both are known for
	// longer than a card may take to answer.
	Depart(ctx context.Context, uid, authenticator string) error

	// ChangeSession changes a live session, and nothing else that somebody changes
	// of it at the same instant. ErrNotFound if there is none.
	ChangeSession(ctx context.Context, key string, now time.Time, change func(*Session)) (Session, error)
}

// Here returns the session with that key, or nil if nobody is signed in by it;
// "" is none.
func (ls *Logins) Here(ctx context.Context, key string) (*Session, error) {
	if key == "" {
		return nil, nil //nolint:nilnil // nil is "nobody is there"
	}
	s, err := ls.Sessions.Session(ctx, key, ls.Now())
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // likewise
	}
	if err != nil {
		return nil, err
	}
	return ls.unended(ctx, &s)
}

// SignOut ends session s, and all that came of it, because its person wants it
// to end or leaves the desk to somebody else. client is where they said so; ""
// is none. What the same card opened at the gateway of the old service, and holds
// at a desk, ends with it: or whoever sits there next would be let in by that. What
// is being opened there at this moment ends too: it is in the list, or looks
// after that for who has left, who is written down before the list is read. The
// journal comes first: what Redis knows it may forget.
func (ls *Logins) SignOut(ctx context.Context, s Session, client, request string) error {
	ending, err := ls.heldWith(ctx, s)
	if err != nil {
		return err
	}
	for _, over := range append(ending, s) { // s last: who has to try again is still there
		event := Event{At: ls.Now(), Kind: SessionEnded, Request: request, Subject: over.Subject, Client: client, Session: over.ID}
		fences, err := ls.over(ctx, over)
		if err != nil {
			return err
		}
		if err := ls.Journal.Record(ctx, event, fences...); err != nil {
			return fmt.Errorf("record end of session: %w", err)
		}
		if over.Of != "" { // it has ended by its sid, and is not to be found and ended once more
			if err := ls.Sessions.EndSession(ctx, over.Of); err != nil {
				return err
			}
		}
		if err := ls.Sessions.EndSession(ctx, over.Key); err != nil {
			return err
		}
	}
	return nil
}

// over is s.Over with what goes on by the session of the old service that s came of.
func (ls *Logins) over(ctx context.Context, s Session) ([]Fence, error) {
	fences := s.Over()
	if s.Of == "" {
		return fences, nil
	}
	of, err := ls.Sessions.Session(ctx, s.Of, ls.Now())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("what goes on by a session: %w", err)
	}
	for _, sid := range of.Also {
		fences = append(fences, Fence{Kind: SIDFence, Hash: sid})
	}
	return fences, nil
}

// heldWith returns the live sessions of the old service that the card of s opened
// and an agent at a desk holds. What s itself came of ends by its sid.
func (ls *Logins) heldWith(ctx context.Context, s Session) ([]Session, error) {
	if ls.AtDesk == nil {
		return nil, nil
	}
	if err := ls.AtDesk.Depart(ctx, s.Subject, s.Authenticator); err != nil {
		return nil, fmt.Errorf("write down who signs out: %w", err)
	}
	all, err := ls.AtDesk.SessionsOf(ctx, s.Subject, ls.Now())
	if err != nil {
		return nil, fmt.Errorf("sessions of who signs out: %w", err)
	}
	var held []Session
	for _, o := range all {
		if o.AtDesk() && o.Authenticator == s.Authenticator && o.ID != s.ID {
			held = append(held, o.Session)
		}
	}
	return held, nil
}

// Leave is SignOut of the session with that key, if there is one.
func (ls *Logins) Leave(ctx context.Context, key, request string) error {
	s, err := ls.Here(ctx, key)
	if err != nil || s == nil {
		return err
	}
	return ls.SignOut(ctx, *s, "", request)
}

// Parting says where somebody goes who has signed out: back to an application,
// or nowhere.
type Parting struct {
	Client      Client // that asked; zero: none that is known
	RedirectURI string // "": nowhere
	State       string
}

// PartingTo returns where somebody goes whom client asks to sign out: to uri if
// the client registered it for that, to the letter; "" is nowhere. Where it did
// not it is nowhere too, and the error is ErrRedirect or ErrClientUnknown.
func (ls *Logins) PartingTo(ctx context.Context, client, uri, state string) (Parting, error) {
	c, err := ls.Clients.Client(ctx, client)
	if err != nil {
		return Parting{}, fmt.Errorf("client of sign-out: %w", err)
	}
	if uri == "" {
		return Parting{Client: c}, nil
	}
	if err := c.PostLogoutRedirect(uri); err != nil {
		return Parting{Client: c}, err
	}
	return Parting{Client: c, RedirectURI: uri, State: state}, nil
}

// Address is where the browser goes, with the state that the application gave.
// OIDC RP-Initiated Logout §3.
func (p Parting) Address() string {
	if p.RedirectURI == "" || p.State == "" {
		return p.RedirectURI
	}
	sep := "?"
	if strings.Contains(p.RedirectURI, "?") {
		sep = "&" // a registered URI keeps its own query
	}
	return p.RedirectURI + sep + url.Values{"state": {p.State}}.Encode()
}
