package idp

import (
	"errors"
	"testing"
	"time"
)

// positions are current ones with these ids.
func positions(ids ...string) Person {
	p := Person{UID: "555000000101", Profile: Verified}
	for _, id := range ids {
		p.Positions = append(p.Positions, Position{ID: id, From: "2029-01-01"})
	}
	return p
}

func TestRoleFor(t *testing.T) {
	asks := Login{Scopes: []string{"openid", "selectedrole"}}
	anew := Login{Scopes: []string{"openid", "changedrole"}}
	chosen := func(l Login, role string) Login { l.Role = role; return l }
	for _, tt := range []struct {
		rule    string
		login   Login
		client  Client
		session Session
		person  Person
		last    string
		role    string
		ask     bool
		offered string
		err     error
	}{
		{"role: not asked, none chosen", Login{Scopes: []string{"openid"}}, Client{}, Session{}, positions("1", "2"), "", "", false, "", nil},
		{"role: one is taken silently", asks, Client{}, Session{}, positions("1"), "", "1", false, "", nil},
		{"role: two are asked", asks, Client{}, Session{}, positions("1", "2"), "", "", true, "", nil},
		{"role: the last one is offered", asks, Client{}, Session{}, positions("1", "2"), "2", "", true, "2", nil},
		{"role: the last one has ended", asks, Client{}, Session{}, positions("1", "2"), "3", "", true, "", nil},
		{"role: zero is legal", asks, Client{}, Session{}, positions(), "", "", false, "", nil},
		{"role: zero is not legal here", asks, Client{RequiresRole: true}, Session{}, positions(), "", "", false, "", ErrNoRole},
		{"role: chosen in this login", chosen(asks, "2"), Client{}, Session{}, positions("1", "2"), "1", "2", false, "", nil},
		{"role: chosen, but not theirs", chosen(asks, "9"), Client{}, Session{}, positions("1", "2"), "", "", true, "", nil},
		{"CIS2: chosen in this session is not asked again", asks, Client{}, Session{Role: "2"}, positions("1", "2"), "", "2", false, "", nil},
		{"role: changedrole asks although chosen in this session", anew, Client{}, Session{Role: "2"}, positions("1", "2"), "2", "", true, "", nil},
		{"role: changedrole asks although there is one", anew, Client{}, Session{}, positions("1"), "", "", true, "", nil},
		{"role: changedrole, chosen in this login", chosen(anew, "1"), Client{}, Session{Role: "2"}, positions("1", "2"), "", "1", false, "", nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := RoleFor(tt.login, tt.client, tt.session, tt.person, tt.last, noon)
			if got.Role != tt.role || got.Ask != tt.ask || got.Offered != tt.offered || !errors.Is(got.Err, tt.err) {
				t.Errorf("RoleFor() = %+v; want role %q, ask %v, offered %q, %v", got, tt.role, tt.ask, tt.offered, tt.err)
			}
		})
	}
}

func TestCurrent(t *testing.T) {
	p := Person{Positions: []Position{{ID: "1", From: "2030-06-01", To: "2030-06-30"}}}
	for _, tt := range []struct {
		rule string
		at   string
		want int
	}{
		{"directory: the day before the first", "2030-05-31T22:59:59Z", 0},
		{"directory: the first day begins at midnight in London", "2030-05-31T23:00:00Z", 1},
		{"directory: the last day is included", "2030-06-30T22:59:59Z", 1},
		{"directory: the day after the last", "2030-06-30T23:00:00Z", 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(p.Current(at)); got != tt.want {
				t.Errorf("%d positions at %s, want %d", got, tt.at, tt.want)
			}
		})
	}
}

func TestAdmit(t *testing.T) {
	finder := Client{AcceptsUnverified: true}
	for _, tt := range []struct {
		rule    string
		profile Profile
		client  Client
		want    error
	}{
		{"assurance: verified reaches all", Verified, Client{}, nil},
		{"assurance: unverified reaches who accepts it", Unverified, finder, nil},
		{"assurance: unverified reaches nobody else", Unverified, Client{}, ErrProfileUnverified},
		{"assurance: restricted reaches none", Restricted, finder, ErrProfileRestricted},
		{"assurance: closed reaches none", Closed, finder, ErrProfileClosed},
		{"own rule: a profile that nobody knows reaches none", "", finder, ErrProfileClosed},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if err := (Person{Profile: tt.profile}).Admit(tt.client, time.Now()); !errors.Is(err, tt.want) {
				t.Errorf("Admit() = %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("own rule: after its last day a robot reaches none", func(t *testing.T) {
		robot := Person{Profile: Verified, Robot: true, Until: "2030-06-30"}
		last := time.Date(2030, 6, 30, 22, 59, 59, 0, time.UTC) // in London it is an hour later
		if err := robot.Admit(Client{}, last); err != nil {
			t.Errorf("on the day: %v", err)
		}
		if err := robot.Admit(finder, last.Add(time.Second)); !errors.Is(err, ErrProfileClosed) {
			t.Errorf("after it: %v", err)
		}
	})
}
