package idp

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// signedIn is a session that a card made, at a time before noon.
func signedIn(before time.Duration) *Session {
	return &Session{Subject: "555000000101", Method: authenticators.Smartcard, Level: authenticators.AAL3,
		AuthTime: noon.Add(-before), LastAct: noon.Add(-before), Login: "earlier"}
}

func TestNext(t *testing.T) {
	minute, zero := time.Minute, time.Duration(0)
	card := []ACR{AAL3Any}
	this := signedIn(0)
	this.Login = "this"
	byTOTP := signedIn(0)
	byTOTP.Method, byTOTP.Level = authenticators.TOTP, authenticators.AAL2
	for _, tt := range []struct {
		rule    string
		login   Login
		client  Client
		session *Session
		role    RoleChoice
		want    Step
		err     error
	}{
		{"OIDC Core §3.1.2.3: nobody is signed in", Login{Wants: card}, Client{}, nil, RoleChoice{}, Authenticate, nil},
		{"OIDC Core §3.1.2.3: somebody is signed in", Login{Wants: card}, Client{}, signedIn(0), RoleChoice{}, Return, nil},
		{"NIST SP 800-63B §4.3.3: the session was idle for 15 minutes", Login{Wants: card}, Client{}, signedIn(15 * minute), RoleChoice{}, Authenticate, nil},
		{"NIST SP 800-63B §4.3.3: not quite 15 minutes", Login{Wants: card}, Client{}, signedIn(15*minute - time.Second), RoleChoice{}, Return, nil},
		{"OIDC Core §3.1.2.1: prompt=login", Login{Wants: card, Fresh: true}, Client{}, signedIn(0), RoleChoice{}, Authenticate, nil},
		{"OIDC Core §3.1.2.1: prompt=login, and this login signed in", Login{ID: "this", Wants: card, Fresh: true}, Client{}, this, RoleChoice{}, Return, nil},
		{"OIDC Core §3.1.2.1: max_age has passed", Login{Wants: card, MaxAge: &minute}, Client{}, signedIn(2 * minute), RoleChoice{}, Authenticate, nil},
		{"OIDC Core §3.1.2.1: max_age has not passed", Login{Wants: card, MaxAge: &minute}, Client{}, signedIn(minute), RoleChoice{}, Return, nil},
		{"OIDC Core §3.1.2.1: max_age=0, in the instant of the sign-in before", Login{Wants: card, MaxAge: &zero}, Client{}, signedIn(0), RoleChoice{}, Authenticate, nil},
		{"OIDC Core §3.1.2.1: max_age=0, and this login signed in", Login{ID: "this", Wants: card, MaxAge: &zero}, Client{}, this, RoleChoice{}, Return, nil},
		{"OIDC Core §3.1.2.1: login_hint names somebody else", Login{Wants: card, Hint: "555000000102"}, Client{}, signedIn(0), RoleChoice{}, Authenticate, nil},
		{"OIDC Core §3.1.2.1: login_hint names who is there", Login{Wants: card, Hint: "555000000101"}, Client{}, signedIn(0), RoleChoice{}, Return, nil},
		{"OIDC Core §3.1.2.1: prompt=none and nobody is signed in", Login{Wants: card, Silent: true}, Client{}, nil, RoleChoice{}, Authenticate, ErrLoginRequired},
		{"OIDC Core §3.1.2.1: prompt=none and a role must be chosen", Login{Wants: card, Silent: true}, Client{}, signedIn(0), RoleChoice{Ask: true}, ChooseRole, ErrInteraction},
		{"OIDC Core §3.1.2.1: prompt=none and all is well", Login{Wants: card, Silent: true}, Client{}, signedIn(0), RoleChoice{}, Return, nil},
		{"assurance: the session is not what was asked for", Login{Wants: card}, Client{}, byTOTP, RoleChoice{}, Authenticate, nil},
		{"assurance: the session is below the client's least level", Login{Wants: []ACR{AAL2Any}}, Client{MinLevel: 3}, byTOTP, RoleChoice{}, Authenticate, nil},
		{"role: a role must be chosen", Login{Wants: card}, Client{}, signedIn(0), RoleChoice{Ask: true}, ChooseRole, nil},
		{"role: the client needs a role and there is none", Login{ID: "this", Wants: card}, Client{}, this, RoleChoice{Err: ErrNoRole}, Return, ErrNoRole},
		{"S7: who is signed in may not use this client, but somebody else may sign in", Login{Wants: card}, Client{}, signedIn(0), RoleChoice{Err: ErrProfileUnverified}, Authenticate, nil},
		{"S7: without a page nobody else can", Login{Wants: card, Silent: true}, Client{}, signedIn(0), RoleChoice{Err: ErrProfileUnverified}, Return, ErrProfileUnverified},
		{"own rule: a refused login only returns", Login{Wants: card, Refused: ErrCancelled}, Client{}, nil, RoleChoice{}, Return, ErrCancelled},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := Next(View{Login: tt.login, Client: tt.client, Session: tt.session, Role: tt.role}, noon)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Next() = %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestSessionLimits(t *testing.T) {
	t.Run("NIST SP 800-63B §4.3.3: 12 hours at most, whatever the person does", func(t *testing.T) {
		s := signedIn(12 * time.Hour)
		s.LastAct = noon
		if s.Live(noon) || !s.Live(noon.Add(-time.Second)) {
			t.Errorf("a session of %v ends at %v, want noon", s.AuthTime, s.Expires())
		}
	})
	t.Run("NIST SP 800-63B §4.2.3: at AAL2 half an hour without an act", func(t *testing.T) {
		s := signedIn(30 * time.Minute)
		s.Level = authenticators.AAL2
		if s.Live(noon) || !s.Live(noon.Add(-time.Second)) {
			t.Errorf("a session of %v ends at %v, want noon", s.LastAct, s.Expires())
		}
	})
	t.Run("NIST SP 800-63B §4.3.3: a service may make sessions shorter, never longer", func(t *testing.T) {
		began := noon.Add(-time.Hour)
		for _, tt := range []struct {
			level  authenticators.Level
			timers Timers
			want   time.Duration // after it began, without an act
		}{
			{authenticators.AAL3, Timers{}, 15 * time.Minute},
			{authenticators.AAL3, Timers{Idle: 5 * time.Minute}, 5 * time.Minute},
			{authenticators.AAL3, Timers{Max: 3 * time.Minute}, 3 * time.Minute},
			{authenticators.AAL3, Timers{Max: 100 * time.Hour, Idle: 100 * time.Hour}, 15 * time.Minute},
			{authenticators.AAL3, Timers{Max: -1, Idle: -1}, 15 * time.Minute},
			{authenticators.AAL2, Timers{Idle: 31 * time.Minute}, 30 * time.Minute},
			{authenticators.AAL2, Timers{Idle: 20 * time.Minute}, 20 * time.Minute},
		} {
			s := Session{Level: tt.level, AuthTime: began, LastAct: began, Timers: tt.timers}
			if got := s.Expires().Sub(began); got != tt.want {
				t.Errorf("at level %d with %v it lives for %v, want %v", tt.level, tt.timers, got, tt.want)
			}
		}
	})
}
