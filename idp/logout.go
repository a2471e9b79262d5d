package idp

import (
	"context"
	"time"
)

// Logout is what a client has to be told: that a session ended. It is how one
// server has taken it.
type Logout struct {
	ID      int64
	SID     string
	Client  string
	Subject string
	At      time.Time // when it was taken first
	Tries   int       // this one included
	Held    time.Time // until then nobody else takes it; it also names this taking

	Result string    // "" waits; or one of the words below
	Said   string    // what came of the last try: the status of HTTP, or a word for none
	SaidAt time.Time // zero: it was not tried yet
}

// What became of a logout.
const (
	LogoutTold    = "told"
	LogoutRefused = "refused"  // the client says that the token is no good, or that it cannot do this
	LogoutGone    = "gone"     // the client is not registered any more, or not to be told
	LogoutGivenUp = "given_up" // it was tried as often, or for as long, as anything is
	LogoutAgain   = "again"    // it is tried again: not of a logout, but of a try
)

// LogoutTokenLife is for how long a client may believe a logout token. OIDC
// Back-Channel Logout §2.4: two minutes at most.
const LogoutTokenLife = 2 * time.Minute

// logoutWaits are the pauses after the first try, the second, and on.
var logoutWaits = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// logoutLife is for how long a client that does not answer is tried, however
// much waits for it.
const logoutLife = time.Hour

// NextTry returns when a logout that failed is tried again, give or take a
// quarter, so that those of many sessions do not come together. It is never, if
// there was enough. luck is from 0 to 1.
func (l Logout) NextTry(now time.Time, luck float64) (next time.Time, ever bool) {
	if l.Tries > len(logoutWaits) || now.Sub(l.At) > logoutLife {
		return time.Time{}, false
	}
	wait := logoutWaits[max(l.Tries, 1)-1]
	return now.Add(time.Duration(float64(wait) * (0.75 + luck/2))), true
}

// LogoutToken is what a client is told, signed. OIDC Back-Channel Logout §2.4.
// It has every member that clients are known to look for: sub and sid both, one
// audience, and exp.
type LogoutToken struct {
	Issuer    string              `json:"iss"`
	Subject   string              `json:"sub"`
	Audience  string              `json:"aud"`
	IssuedAt  int64               `json:"iat"` // seconds, as the next
	Expires   int64               `json:"exp"`
	ID        string              `json:"jti"`
	SessionID string              `json:"sid"`
	Events    map[string]struct{} `json:"events"`
}

// LogoutTokenFor returns what the client of l is told at now.
func LogoutTokenFor(issuer string, l Logout, now time.Time) LogoutToken {
	return LogoutToken{Issuer: issuer, Subject: l.Subject, Audience: l.Client, IssuedAt: now.Unix(), Expires: now.Add(LogoutTokenLife).Unix(),
		ID: random(16), SessionID: l.SID, Events: map[string]struct{}{"http://schemas.openid.net/event/backchannel-logout": {}}}
}

// LogoutTaking says which logouts one server takes.
type LogoutTaking struct {
	Now, Until time.Time // due at Now; nobody else's until Until
	Clients    int       // of how many clients, at most
	Each       int       // and how many of each
	But        []string  // clients of which none are taken
}

// Logouts are those that clients have to be told, in the order of a queue.
type Logouts interface {
	// TakeLogouts takes some that are due, and counts a try for each: of many who
	// ask each gets others. Those of a client are in the order in which they are
	// due.
	TakeLogouts(ctx context.Context, t LogoutTaking) ([]Logout, error)

	// PutBackLogout lets anybody take l from next on, with its tries and what was
	// said. ErrNotFound if another has taken it meanwhile.
	PutBackLogout(ctx context.Context, l Logout, next time.Time) error

	// EndLogout keeps the result of l, which is not tried again, for the log. One
	// that was not told is in the journal too, in the same transaction.
	// ErrNotFound as above.
	EndLogout(ctx context.Context, l Logout) error

	// LastLogouts returns up to most, the newest first, and not those that have
	// been in the log for longer than LogoutLogLife.
	LastLogouts(ctx context.Context, most int) ([]Logout, error)
}

// LogoutLogLife is for how long the log has what was told.
const LogoutLogLife = 24 * time.Hour

// Failed returns the event of a logout that was not told.
func (l Logout) Failed(now time.Time) Event {
	return Event{At: now, Kind: LogoutFailed, Subject: l.Subject, Client: l.Client, Session: l.SID, Reason: l.Result + ": " + l.Said}
}
