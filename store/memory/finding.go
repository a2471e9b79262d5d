package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var (
	_ registry.Finder = (*Store)(nil)
	_ registry.Uses   = (*Store)(nil)
)

// hit is something that was found, and where.
type hit[T any] struct {
	at registry.Place
	is T
}

// page returns the part of hits that q asks for, and where more begins.
func page[T any](hits []hit[T], q registry.Query) ([]T, string) {
	slices.SortFunc(hits, func(a, b hit[T]) int {
		switch {
		case a.at.Less(b.at):
			return -1
		case b.at.Less(a.at):
			return 1
		}
		return 0
	})
	if after, goesOn := q.Place(); goesOn {
		hits = slices.DeleteFunc(hits, func(h hit[T]) bool { return !after.Less(h.at) })
	}
	cursor := ""
	if len(hits) > q.Size() {
		hits = hits[:q.Size()]
		cursor = hits[len(hits)-1].at.Cursor()
	}
	part := make([]T, 0, len(hits))
	for _, h := range hits {
		part = append(part, h.is)
	}
	return part, cursor
}

// FindPeople implements registry.Finder.
func (s *Store) FindPeople(_ context.Context, q registry.Query) ([]registry.Found, string, error) {
	search, doc := q.Search(), s.Document()
	var hits []hit[registry.Found]
	for _, p := range doc.People {
		if at, found := search.Find(p); found && worksAt(p, belowOrAll(doc, q.At)) {
			hits = append(hits, hit[registry.Found]{at, s.found(p)})
		}
	}
	people, cursor := page(hits, q)
	return people, cursor, nil
}

// FindUIDs implements registry.Finder.
func (s *Store) FindUIDs(_ context.Context, uids []string, at string, most int) ([]registry.Found, error) {
	doc := s.Document()
	codes := belowOrAll(doc, at)
	var found []registry.Found
	for _, p := range doc.People {
		if slices.Contains(uids, p.UID) && p.Profile != idp.Closed && worksAt(p, codes) {
			found = append(found, s.found(p))
		}
	}
	slices.SortFunc(found, func(a, b registry.Found) int { return cmp.Compare(a.UID, b.UID) })
	return found[:min(most, len(found))], nil
}

// found returns p as lists have them.
func (s *Store) found(p directory.Person) registry.Found {
	f := registry.Found{UID: p.UID, Display: p.IDP(nil).Name.Display, Email: p.Email, Profile: p.Profile}
	for _, pos := range p.Positions {
		if s.now != nil && !on(pos, idp.DateOf(s.now())) || slices.Contains(f.At, pos.Organisation) {
			continue
		}
		f.At = append(f.At, pos.Organisation)
	}
	slices.Sort(f.At)
	return f
}

func on(p directory.Position, day idp.Date) bool {
	return p.From <= day && (p.To == "" || day <= p.To)
}

// worksAt says whether p has a position at one of codes; nil is everywhere.
func worksAt(p directory.Person, codes []string) bool {
	return codes == nil || slices.ContainsFunc(p.Positions, func(s directory.Position) bool { return slices.Contains(codes, s.Organisation) })
}

// FindOrganisations implements registry.Finder.
func (s *Store) FindOrganisations(_ context.Context, q registry.Query) ([]directory.Organisation, string, error) {
	text := strings.ToLower(strings.TrimSpace(q.Text))
	var hits []hit[directory.Organisation]
	for _, o := range s.Document().Organisations {
		if name := strings.ToLower(o.Name); strings.HasPrefix(name, text) || strings.ToLower(o.Code) == text {
			hits = append(hits, hit[directory.Organisation]{registry.Place{Keys: [3]string{name, o.Code}}, o})
		}
	}
	all, cursor := page(hits, q)
	return all, cursor, nil
}

// Worklist implements registry.Finder.
func (s *Store) Worklist(_ context.Context, l registry.List, q registry.Query, now time.Time) ([]registry.Found, string, error) {
	if !slices.Contains(registry.Lists, l) {
		return nil, "", idp.ErrNotFound
	}
	doc := s.Document()
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	var hits []hit[registry.Found]
	for _, p := range doc.People {
		if !worksAt(p, belowOrAll(doc, q.At)) {
			continue
		}
		for _, i := range l.Items(p, registry.Known{Policy: doc.Policy, Last: s.journal.lastSignIns[p.UID], Now: now}) {
			f := s.found(p)
			f.Why = i.Why
			hits = append(hits, hit[registry.Found]{registry.Place{Keys: [3]string{i.Key, p.UID, i.Name}}, f})
		}
	}
	people, cursor := page(hits, q)
	return people, cursor, nil
}

// Addressees implements registry.Addresses.
func (s *Store) Addressees(_ context.Context, a registry.Audience, day idp.Date, most int) ([]registry.Addressee, error) {
	doc := s.Document()
	organisations := map[string]directory.Organisation{}
	for _, o := range doc.Organisations {
		organisations[o.Code] = o
	}
	var all []registry.Addressee
	for _, p := range doc.People {
		has := func(c directory.Card) bool { return c.Series == a.Series && c.Registered && c.State != "revoked" }
		if p.Profile != idp.Verified || p.Robot.Owner != "" || p.Email == "" || a.Series > 0 && !slices.ContainsFunc(p.Cards, has) {
			continue
		}
		for _, w := range p.Positions {
			o := organisations[w.Organisation]
			role := w.RoleCode[strings.LastIndex(w.RoleCode, ":")+1:]
			if on(w, day) && (o.ClosedOn == "" || o.ClosedOn >= day) && (a.Roles == nil || slices.Contains(a.Roles, role)) && (a.At == nil || slices.Contains(a.At, w.Organisation)) {
				all = append(all, registry.Addressee{UID: p.UID, Email: p.Email, Organisation: w.Organisation, Name: o.Name})
			}
		}
	}
	slices.SortFunc(all, func(x, y registry.Addressee) int {
		return cmp.Or(cmp.Compare(x.UID, y.UID), cmp.Compare(x.Organisation, y.Organisation))
	})
	all = slices.Compact(all)
	return all[:min(most, len(all))], nil
}

// LastUses implements registry.Uses.
func (s *Store) LastUses(_ context.Context, uid string) (map[string]time.Time, error) {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	uses := map[string]time.Time{}
	for used, at := range s.journal.lastUses {
		if used[0] == uid && strings.HasPrefix(used[1], "card:") {
			uses[used[1]] = at
		}
	}
	return uses, nil
}

// Waiting implements registry.Finder.
func (s *Store) Waiting(_ context.Context, q registry.Query, now time.Time) ([]registry.Request, string, error) {
	codes := belowOrAll(s.Document(), q.At)
	s.mu.RLock()
	defer s.mu.RUnlock()
	var hits []hit[registry.Request]
	for _, r := range s.requests {
		if r.State == "waiting" && now.Before(r.Until) && (codes == nil || slices.Contains(codes, r.At)) {
			r.Change = slices.Clone(r.Change)
			hits = append(hits, hit[registry.Request]{registry.Place{Keys: [3]string{r.AskedAt.UTC().Format("2006-01-02T15:04:05.000000000"), r.ID}}, r})
		}
	}
	all, cursor := page(hits, q)
	return all, cursor, nil
}

// ByNINumber implements registry.Finder.
func (s *Store) ByNINumber(_ context.Context, number string) ([]registry.Found, error) {
	return s.sameNumber(number), nil
}

func (s *Store) sameNumber(number string) (found []registry.Found) {
	if number == "" {
		return nil
	}
	for _, p := range s.Document().People {
		if p.NINumber == number && p.MergedInto == "" {
			found = append(found, s.found(p))
		}
	}
	return found
}

// Applicants implements registry.Finder.
func (s *Store) Applicants(_ context.Context, q registry.Query, now time.Time) ([]registry.Applicant, string, error) {
	codes := belowOrAll(s.Document(), q.At)
	s.mu.RLock()
	defer s.mu.RUnlock()
	var hits []hit[registry.Applicant]
	for _, a := range s.invited {
		if (a.State == registry.HasInvitation || a.State == registry.HasApplied) && now.Before(a.Until) && (codes == nil || slices.Contains(codes, a.At)) {
			hits = append(hits, hit[registry.Applicant]{registry.Place{Keys: [3]string{a.InvitedAt.UTC().Format("2006-01-02T15:04:05.000000000"), a.ID}}, a})
		}
	}
	all, cursor := page(hits, q)
	return all, cursor, nil
}

// EventsOf implements registry.Finder.
func (s *Store) EventsOf(_ context.Context, uid string, q registry.Query) ([]idp.Event, string, error) {
	skip := 0
	if after, goesOn := q.Place(); goesOn {
		skip = max(after.Rank, 0)
	}
	of := s.newest(func(e idp.Event) bool { return uid != "" && (e.Subject == uid || e.Actor == uid) })
	of = of[min(skip, len(of)):]
	if len(of) > q.Size() {
		return of[:q.Size()], registry.Place{Rank: skip + q.Size()}.Cursor(), nil
	}
	return of, "", nil
}

// ByReference implements registry.Finder.
func (s *Store) ByReference(_ context.Context, reference string) ([]idp.Event, error) {
	reference = idp.Reference(reference)
	return s.newest(func(e idp.Event) bool { return reference != "" && idp.Reference(e.Request) == reference }), nil
}

// newest returns the events that people ask for, the newest first.
func (s *Store) newest(is func(idp.Event) bool) []idp.Event {
	var of []idp.Event
	for _, e := range slices.Backward(s.Events()) {
		if e.Asked() && is(e) {
			of = append(of, e)
		}
	}
	slices.SortStableFunc(of, func(a, b idp.Event) int { return b.At.Compare(a.At) })
	return of
}

// Below implements registry.Finder.
func (s *Store) Below(_ context.Context, code string) ([]string, error) {
	codes := belowOrAll(s.Document(), code)
	if code == "" {
		return nil, nil
	}
	return codes, nil
}

// belowOrAll returns the codes of an organisation and those below it; nil is
// everywhere.
func belowOrAll(doc directory.Document, code string) []string {
	if code == "" {
		return nil
	}
	codes := []string{}
	if _, there := doc.ByCode()[code]; there {
		codes = append(codes, code)
	}
	for i := 0; i < len(codes); i++ {
		for _, o := range doc.Organisations {
			if o.Parent == codes[i] && !slices.Contains(codes, o.Code) {
				codes = append(codes, o.Code)
			}
		}
	}
	slices.Sort(codes)
	return codes
}
