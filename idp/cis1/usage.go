package cis1

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// The parts of the old service, as they are counted and switched.
const (
	Gateway        = "gateway"
	Assertion      = "assertion"
	SessionManager = "session_manager"
	Exchange       = "exchange"
	AtDesk         = "desk"      // sessions that new agents let people into applications of ours by
	DeskAuth       = "desk_auth" // sign-ins by desk-auth/1: no part of the old service, and seen for its agents alone
)

// Use is what is counted of a call: who still calls what. An application of the
// old service does not prove itself, so its name is its own word.
type Use struct {
	Day          idp.Date
	Part         string
	Call         string
	Application  string
	Version      string // of the application or agent, as it says; "" if it does not
	Organisation string // where its person works; "" if nobody can say
	Person       string // uid
}

// Counted is how often something was used.
type Counted struct {
	Use
	Calls int64
}

// Uses keeps what was counted.
type Uses interface {
	// AddUses adds to what was counted, and forgets what was before the day
	// from.
	AddUses(ctx context.Context, add []Counted, from idp.Date) error

	// UsesSince returns what was counted on that day and later.
	UsesSince(ctx context.Context, day idp.Date) ([]Counted, error)
}

// UsesKept is for how many days uses are kept: a little longer than anybody asks
// for.
const UsesKept = 40

// mostUses is how many different uses are remembered until they are kept.
const mostUses = 50_000

// Usage counts on one server, until it is kept. A call waits for nobody.
type Usage struct {
	now func() time.Time

	mu    sync.Mutex
	calls map[Use]int64
}

// NewUsage returns one that has counted nothing.
func NewUsage(now func() time.Time) *Usage { return &Usage{now: now, calls: map[Use]int64{}} }

// Count counts one call, today.
func (u *Usage) Count(use Use) {
	if u == nil {
		return
	}
	use.Day = idp.DateOf(u.now())
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.calls[use]; !known && len(u.calls) >= mostUses {
		use = Use{Day: use.Day, Part: use.Part, Call: use.Call} // by whom is lost, that it was used is not
	}
	u.calls[use]++
}

// Keep gives what was counted to uses. What they do not take waits for the next
// time.
func (u *Usage) Keep(ctx context.Context, uses Uses) error {
	u.mu.Lock()
	counted := u.calls
	u.calls = map[Use]int64{}
	u.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	var all []Counted
	for use, calls := range counted {
		all = append(all, Counted{use, calls})
	}
	err := uses.AddUses(ctx, all, idp.DateOf(u.now().AddDate(0, 0, -UsesKept)))
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for use, calls := range counted {
			u.calls[use] += calls
		}
	}
	return err
}

// WorksAt is the organisation that a session is counted for: that of the role
// that was chosen, or the one at which its person works if there is no other.
func WorksAt(role string, p idp.Person, now time.Time) string {
	if pos, ok := p.Position(role, now); ok {
		return pos.Organisation.Code
	}
	codes := map[string]struct{}{}
	for _, pos := range p.Current(now) {
		codes[pos.Organisation.Code] = struct{}{}
	}
	if len(codes) != 1 {
		return ""
	}
	return slices.Collect(maps.Keys(codes))[0]
}

// Switch is when an application is not answered any more by the old service.
type Switch map[string]idp.Date

// Off says whether the application with that name is switched off at now.
func (s Switch) Off(application string, now time.Time) bool {
	day, ok := s[application]
	return ok && idp.DateOf(now) >= day
}

// ReadSwitch reads rows of NAME:DATE. It returns the first that it cannot read.
func ReadSwitch(rows []string) (s Switch, wrong string) {
	s = Switch{}
	for _, row := range rows {
		i := strings.LastIndex(row, ":")
		if i < 1 {
			return nil, row
		}
		day := idp.Date(row[i+1:])
		if _, err := day.Begins(); err != nil {
			return nil, row
		}
		s[row[:i]] = day
	}
	return s, ""
}

// Line is a line of the report: who uses what at which organisation.
type Line struct {
	Application  string   `json:"application"`
	Part         string   `json:"part"`
	Call         string   `json:"call"`
	Version      string   `json:"version"`
	Organisation string   `json:"organisation"`
	Calls        int64    `json:"calls"`
	People       int      `json:"people"`
	Last         idp.Date `json:"last"`
	Off          idp.Date `json:"off,omitempty"` // from which day on it is switched off
}

// Seen is one version of an agent that people signed in with at an organisation.
type Seen struct {
	Product      string   `json:"product"` // as rules about agents call it
	Version      string   `json:"version"`
	Organisation string   `json:"organisation"`
	People       int      `json:"people"`
	Last         idp.Date `json:"last"`
	Taken        bool     `json:"taken"` // no rule ends it, now or later
}

// Estate is how far the agents of an organisation are up to date.
type Estate struct {
	Organisation string  `json:"organisation"` // "" are those of whom nobody can say where they work
	People       int     `json:"people"`
	Current      float64 `json:"current"` // the share of them who signed in with no agent that a rule ends, from 0 to 1
}

// Report is who still uses what of the old service, and with which agents people
// sign in by card, at desks and at the gateway.
type Report struct {
	From    idp.Date `json:"from"`
	Uses    []Line   `json:"uses"`
	Agents  []Seen   `json:"agents"`
	Estates []Estate `json:"estates"`
	// Current is the share of all people, as Estate has it.
	Current float64 `json:"current"`
}

// ReportOf sums up what was counted from a day on. taken says whether agents of a
// version go on being taken.
func ReportOf(from idp.Date, counted []Counted, off Switch, taken func(product, version string) bool) Report {
	type place struct{ application, part, call, version, organisation string }
	lines, people := map[place]*Line{}, map[place]map[string]struct{}{}
	var signIns []Counted
	for _, c := range counted {
		if c.Person != "" && c.Call == SignIn && (c.Part == Gateway || c.Part == DeskAuth) {
			signIns = append(signIns, c)
		}
		if c.Part == DeskAuth {
			continue
		}
		at := place{c.Application, c.Part, c.Call, c.Version, c.Organisation}
		l := lines[at]
		if l == nil {
			l = &Line{Application: c.Application, Part: c.Part, Call: c.Call, Version: c.Version, Organisation: c.Organisation, Off: off[c.Application]}
			lines[at], people[at] = l, map[string]struct{}{}
		}
		l.Calls += c.Calls
		l.Last = max(l.Last, c.Day)
		if c.Person != "" {
			people[at][c.Person] = struct{}{}
		}
	}
	r := Report{From: from, Uses: []Line{}}
	for at, l := range lines {
		l.People = len(people[at])
		r.Uses = append(r.Uses, *l)
	}
	slices.SortFunc(r.Uses, func(a, b Line) int {
		return slices.Compare([]string{a.Application, a.Part, a.Call, a.Version, a.Organisation}, []string{b.Application, b.Part, b.Call, b.Version, b.Organisation})
	})
	r.Agents = agentsOf(signIns, taken)
	r.Estates, r.Current = estatesOf(signIns, taken)
	return r
}

// agentsOf lists the agents that people signed in with.
func agentsOf(signIns []Counted, taken func(product, version string) bool) []Seen {
	type place struct{ product, version, organisation string }
	agents, people := map[place]*Seen{}, map[place]map[string]struct{}{}
	for _, c := range signIns {
		at := place{c.Application, c.Version, c.Organisation}
		if agents[at] == nil {
			agents[at], people[at] = &Seen{Product: c.Application, Version: c.Version, Organisation: c.Organisation, Taken: taken(c.Application, c.Version)}, map[string]struct{}{}
		}
		agents[at].Last = max(agents[at].Last, c.Day)
		people[at][c.Person] = struct{}{}
	}
	all := []Seen{}
	for at, a := range agents {
		a.People = len(people[at])
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Seen) int {
		return slices.Compare([]string{a.Product, a.Version, a.Organisation}, []string{b.Product, b.Version, b.Organisation})
	})
	return all
}

// estatesOf says how far agents are up to date, by organisation and in all. Who
// has several is as far as the oldest.
func estatesOf(signIns []Counted, taken func(product, version string) bool) ([]Estate, float64) {
	places, all := map[string]map[string]bool{}, map[string]bool{}
	note := func(people map[string]bool, uid string, good bool) {
		was, seen := people[uid]
		people[uid] = good && (was || !seen)
	}
	for _, c := range signIns {
		if places[c.Organisation] == nil {
			places[c.Organisation] = map[string]bool{}
		}
		good := taken(c.Application, c.Version)
		note(places[c.Organisation], c.Person, good)
		note(all, c.Person, good)
	}
	estates := []Estate{}
	for _, organisation := range slices.Sorted(maps.Keys(places)) {
		estates = append(estates, Estate{Organisation: organisation, People: len(places[organisation]), Current: share(places[organisation])})
	}
	return estates, share(all)
}

func share(people map[string]bool) float64 {
	good := 0
	for _, is := range people {
		if is {
			good++
		}
	}
	if good == 0 {
		return 0
	}
	return float64(good) / float64(len(people))
}

// SignIn is the call by which somebody signs in, at the gateway or at a desk.
const SignIn = "authvalidate"
