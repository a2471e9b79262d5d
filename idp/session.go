package idp

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Session is a person signed in at one browser. It is worth what made it and
// never more.
type Session struct {
	ID       string                `json:"id"`  // sid: names the session to clients; opens nothing
	Key      string                `json:"key"` // base64url SHA-256 of the secret in the cookie
	Subject  string                `json:"subject"`
	Method   authenticators.Method `json:"method"`
	Level    authenticators.Level  `json:"level"`
	AuthTime time.Time             `json:"auth_time"`
	LastAct  time.Time             `json:"last_act"`            // of the person, not of a program
	Login    string                `json:"login"`               // the login that made it: what counts as fresh
	Role     string                `json:"role,omitempty"`      // the position chosen last
	Ends     time.Time             `json:"ends,omitzero"`       // when the authenticator that made it ends; zero: not known
	EndsWith string                `json:"ends_with,omitempty"` // what takes it along then, as evidence says it
	Timers   Timers                `json:"timers,omitzero"`     // of the service that made it, where they are shorter than those of its level

	Authenticator string `json:"authenticator,omitempty"` // which one made it, as evidence calls it; "" from an older release

	Legacy *LegacyDesk `json:"legacy,omitempty"` // of a session of the old service; nil for all others

	// Of is the key of the session of the old service that this one came of, at a
	// browser of the same desk. To applications the two are one, by one sid: they
	// end together. "" is of none.
	Of    string    `json:"of,omitempty"`
	Until time.Time `json:"-"` // when that one ends if nobody uses it, as it was found with this one

	// Also are, of a session of the old service, the sids of browsers' own sessions
	// of the same person and card that were there when the browser was entered by
	// this one: what they were used with goes on, and ends with it.
	Also []string `json:"also,omitempty"`
}

// mostAlso bounds them. What a browser had before the next one ends when it is
// entered.
const mostAlso = 16

// LegacyDesk is where a session of the old service was made: what its agent says
// of itself. Such a session has an SSO token and no browser: its key has a form
// that no cookie's has.
type LegacyDesk struct {
	Device     string `json:"device"`        // as the agent names the computer
	LogSession string `json:"log_session"`   // as the agent names the session
	Address    string `json:"address"`       // of the computer, as the agent says it
	Version    string `json:"version"`       // of the agent
	Key        string `json:"key,omitempty"` // the thumbprint of the agent's key that the card signed; "" an agent of the old service's, or an older one of ours
}

// AtDesk says whether s is a session of the old service that only the agent at
// its desk can show: that which has the key that the card signed. The old agents
// give their SSO token to every application, so whoever shows one need not be at
// the desk.
func (s Session) AtDesk() bool { return s.Legacy != nil && s.Legacy.Key != "" }

// Timers are how long a session lives: at most, and without an act of its
// person. Zero means no limit of one's own.
type Timers struct {
	Max  time.Duration `json:"max,omitempty"`
	Idle time.Duration `json:"idle,omitempty"`
}

// LongestAt returns the longest that a session of that level may live. NIST SP
// 800-63B-3 §4.2.3, §4.3.3.
func LongestAt(level authenticators.Level) Timers {
	if level >= authenticators.AAL3 {
		return Timers{12 * time.Hour, 15 * time.Minute}
	}
	return Timers{12 * time.Hour, 30 * time.Minute}
}

// LongestLegacy returns the longest that a session of the old service may live,
// as that service had it. What it gives here lives no longer than its level says.
func LongestLegacy() Timers { return Timers{10 * time.Hour, time.Hour} }

// timers are those of its level, or of the old service, or its own where they
// are shorter.
func (s Session) timers() Timers {
	l, longest := s.Timers, LongestAt(s.Level)
	if s.Legacy != nil {
		longest = LongestLegacy()
	}
	if l.Max <= 0 || l.Max > longest.Max {
		l.Max = longest.Max
	}
	if l.Idle <= 0 || l.Idle > longest.Idle {
		l.Idle = longest.Idle
	}
	return l
}

// Limits are how long s lives: in all, and without an act of its person.
func (s Session) Limits() Timers { return s.timers() }

// clocksApart is how far the clocks of two servers may differ before what one
// has written is not believed by the other.
const clocksApart = time.Minute

// Live says whether s has time left. If its person seems to have acted later
// than now, the clock was set back, and would give s that time once more: it
// is over then.
func (s Session) Live(now time.Time) bool {
	return now.Before(s.Expires()) && !s.LastAct.After(now.Add(clocksApart))
}

// Expires returns when s ends if its person does nothing more.
func (s Session) Expires() time.Time {
	l := s.timers()
	absolute, idle := s.AuthTime.Add(l.Max), s.LastAct.Add(l.Idle)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// AsOurs returns what s, of the old service, would be as a session of ours with
// those timers. What comes of it here is worth nothing that this is not: of two
// lives the shorter counts.
func (s Session) AsOurs(t Timers) Session {
	s.Legacy, s.Timers = nil, t
	return s
}

// Shown says whether s, of the old service, still is worth to a session of ours
// with those timers what its card was. Its person was last there when they showed
// the card: that it was used since at the old service any program can say that has
// its token.
func (s Session) Shown(t Timers, now time.Time) bool {
	s.LastAct = s.AuthTime
	return s.AsOurs(t).Live(now)
}

// Over are the fences of a session that was ended, of all that came of it or goes
// on by it, and of that of the old service that it came of.
func (s Session) Over() []Fence {
	over := []Fence{{Kind: SessionFence, Hash: s.Key}, {Kind: SIDFence, Hash: s.ID}}
	if s.Of != "" {
		over = append(over, Fence{Kind: SessionFence, Hash: s.Of})
	}
	for _, sid := range s.Also {
		over = append(over, Fence{Kind: SIDFence, Hash: sid})
	}
	return over
}

// SessionStore keeps sessions. Ending one there ends it everywhere at once.
type SessionStore interface {
	// SaveSession keeps s until it expires, under s.Key.
	SaveSession(ctx context.Context, s Session) error

	// Session returns the session with that key, or ErrNotFound.
	Session(ctx context.Context, key string, now time.Time) (Session, error)

	// UpdateSession replaces s if it is still there, and ErrNotFound if not:
	// an ended session must not come back.
	UpdateSession(ctx context.Context, s Session) error

	// EndSession removes the session; ending one that is gone is no error.
	EndSession(ctx context.Context, key string) error
}

// OwnSession is a session, and the ids of the clients that it was used with.
type OwnSession struct {
	Session
	Clients []string
}

// OwnSessions shows people where they are signed in.
type OwnSessions interface {
	// SessionsOf returns the live sessions of a person, the newest first, but for
	// those that came of one of the old service: they are the same as that. What
	// it does not know of is that somebody signed out of everything, or that a
	// fence tells of an end: who asks looks at these too.
	SessionsOf(ctx context.Context, uid string, now time.Time) ([]OwnSession, error)
}
