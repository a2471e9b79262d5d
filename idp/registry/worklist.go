package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Soon is how long before something ends it is on a worklist, and Long how long
// somebody has not signed in who is on one.
const (
	Soon = 90 // days
	Long = 90
)

// Item is one reason why somebody is on a list. Lists are in order of the key,
// then of uids, then of the names.
type Item struct{ Key, Name, Why string }

// Known is what a worklist rests on beside the person.
type Known struct {
	Policy directory.Policy
	Last   time.Time // when they last signed in; zero: nobody knows of it
	Now    time.Time
}

// Items returns why p is on list l. Stores that keep people elsewhere find the
// same by other means.
func (l List) Items(p directory.Person, k Known) []Item {
	if p.Profile == idp.Closed && l != Robots && l != Suspension {
		return nil
	}
	today := idp.DateOf(k.Now)
	switch l {
	case Unreached:
		if p.Email == "" && p.Mobile == "" {
			return []Item{{}}
		}
	case Unproven:
		if p.Profile == idp.Unverified && working(p, today) {
			return []Item{{}}
		}
	case Dormant:
		return dormant(p, k, today)
	case Leavers:
		return leaver(p, today)
	case Robots:
		if p.Robot.Owner != "" {
			until := string(cmp.Or(p.Robot.Until, "-"))
			return []Item{{Key: until, Why: until + " " + p.Robot.Owner}}
		}
	case Temporary:
		return temporary(p, today)
	case Expiring, Locked, RuleStops, Suspension:
		return held(l, p, k, today)
	}
	return nil
}

// working says whether p has a position on that day.
func working(p directory.Person, day idp.Date) bool {
	return slices.ContainsFunc(p.Positions, func(s directory.Position) bool { return s.From <= day && (s.To == "" || day <= s.To) })
}

func dormant(p directory.Person, k Known, today idp.Date) []Item {
	since := k.Now.AddDate(0, 0, -Long)
	if !working(p, today) || k.Last.After(since) {
		return nil
	}
	if k.Last.IsZero() {
		return []Item{{}}
	}
	day := string(idp.DateOf(k.Last))
	return []Item{{Why: day}}
}

func leaver(p directory.Person, today idp.Date) []Item {
	var last idp.Date
	for _, s := range p.Positions {
		if s.To == "" || s.To >= today {
			return nil
		}
		last = max(last, s.To)
	}
	if last == "" {
		return nil
	}
	return []Item{{Why: string(last)}}
}

func temporary(p directory.Person, today idp.Date) []Item {
	var items []Item
	for _, s := range p.Positions {
		if s.Reason != "" && (s.To == "" || s.To >= today) {
			until := string(cmp.Or(s.To, "-"))
			items = append(items, Item{until, s.ID, until + " " + s.ID + " " + s.Reason})
		}
	}
	return items
}

// Worklist returns who is on a list, as Finder does; with Locked those too whose
// tries are counted elsewhere than in the registry.
func (s *Service) Worklist(ctx context.Context, l List, q Query, now time.Time) ([]Found, string, error) {
	people, next, err := s.Finder.Worklist(ctx, l, q, now)
	if err != nil || l != Locked {
		return people, next, err
	}
	locked, err := s.locked(ctx, q)
	if err != nil || len(locked) == 0 {
		return people, next, err
	}
	people = append(people, locked...)
	slices.SortFunc(people, func(a, b Found) int { return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Why, b.Why)) })
	if len(people) > q.Size() {
		people = people[:q.Size()]
		next = people[q.Size()-1].locked().Cursor()
	}
	return people, next, nil
}

// locked is where f stands in the list of those whom something is locked of.
func (f Found) locked() Place { return Place{Keys: [3]string{"", f.UID, f.Why}} }

// locked are those whom wrong tries have locked out, as many as a page of q can
// have.
func (s *Service) locked(ctx context.Context, q Query) ([]Found, error) {
	locks, err := s.Locks.Locked(ctx, s.Now())
	if err != nil {
		return nil, fmt.Errorf("what is locked: %w", err)
	}
	slices.SortFunc(locks, func(a, b idp.LimitKey) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Authenticator, b.Authenticator))
	})
	after, goesOn := q.Place()
	locks = slices.DeleteFunc(slices.Clone(locks), func(k idp.LimitKey) bool {
		return goesOn && !after.Less(Found{UID: k.Account, Why: k.Authenticator}.locked())
	})
	var uids []string
	for _, k := range locks {
		uids = append(uids, k.Account)
	}
	if uids = slices.Compact(uids); len(uids) == 0 {
		return nil, nil
	}
	found, err := s.Finder.FindUIDs(ctx, uids, q.At, q.Size()+1) // something is locked of each
	if err != nil {
		return nil, fmt.Errorf("who is locked out: %w", err)
	}
	var people []Found
	for _, k := range locks {
		if i := slices.IndexFunc(found, func(f Found) bool { return f.UID == k.Account }); i >= 0 {
			f := found[i]
			f.Why = k.Authenticator
			people = append(people, f)
		}
	}
	return people, nil
}

// held returns why p is on a list of cards or authenticators.
func held(l List, p directory.Person, k Known, today idp.Date) []Item {
	var items []Item
	soon := idp.DateOf(k.Now.AddDate(0, 0, Soon))
	for _, c := range p.Cards {
		serial := directory.CardSerial(c.Serial)
		stops := firstStop(k.Policy, c.Series)
		switch {
		case !c.Registered:
		case l == Expiring && c.State == "active" && today <= c.EndsOn && c.EndsOn <= soon:
			items = append(items, Item{string(c.EndsOn), serial, string(c.EndsOn) + " " + serial})
		case l == Locked && c.State == "blocked", l == Suspension && c.State == "suspended":
			why := serial
			if l == Suspension {
				why = "card:" + serial
			}
			items = append(items, Item{"", serial, why})
		case l == RuleStops && c.State == "active" && stops != "" && stops <= today:
			items = append(items, Item{string(stops), serial, string(stops) + " " + serial + " " + strconv.Itoa(c.Series)})
		}
	}
	for _, a := range p.Authenticators {
		if l == Suspension && a.State == authenticators.Suspended {
			items = append(items, Item{"", a.ID, a.Held(p.UID).Called()})
		}
	}
	return items
}

// firstStop returns the day from which on cards of a series are refused: of
// several the earliest; "" for never.
func firstStop(p directory.Policy, series int) idp.Date {
	var first idp.Date
	for _, r := range p.CardSeries {
		if r.Series == series && r.BlockedFrom != "" && (first == "" || r.BlockedFrom < first) {
			first = r.BlockedFrom
		}
	}
	return first
}
