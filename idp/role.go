package idp

import (
	"slices"
	"time"
)

// RoleChoice is what the role rules say of one login.
type RoleChoice struct {
	Role    string     // the position to work in; "" is none
	Ask     bool       // the person must say
	Offers  []Position // what they may choose from
	Offered string     // the one they used last with this client; "" is none
	Err     error      // why the login cannot go on
}

// RoleFor decides which position a login of p ends with. last is the position
// that p last used with c.
//
//   - A client that does not ask for a role gets none.
//   - No position is legal, unless the client needs one.
//   - One is taken silently; of several the person chooses, once a session.
//   - changedrole always asks anew.
func RoleFor(l Login, c Client, s Session, p Person, last string, now time.Time) RoleChoice {
	asks, anew := l.asksRole()
	current := p.Current(now)
	holds := func(id string) bool {
		return slices.ContainsFunc(current, func(pos Position) bool { return pos.ID == id })
	}
	switch {
	case c.RequiresRole && len(current) == 0:
		return RoleChoice{Err: ErrNoRole}
	case !asks, len(current) == 0:
		return RoleChoice{}
	case l.Role != "" && holds(l.Role):
		return RoleChoice{Role: l.Role}
	case len(current) == 1 && !anew:
		return RoleChoice{Role: current[0].ID}
	case !anew && holds(s.Role):
		return RoleChoice{Role: s.Role}
	}
	choice := RoleChoice{Ask: true, Offers: current}
	if !anew && holds(last) {
		choice.Offered = last
	}
	return choice
}
