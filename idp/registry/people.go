package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// PersonName is a person's name in its parts.
type PersonName struct {
	Title   string `json:"title,omitempty"`
	Given   string `json:"given,omitempty"`
	Middle  string `json:"middle,omitempty"`
	Family  string `json:"family,omitempty"`
	Display string `json:"display,omitempty"`
}

// Professional holds a person's numbers in professional registers.
type Professional struct {
	GMC        string `json:"gmc_id,omitempty"`
	NMC        string `json:"nmc_id,omitempty"`
	GDC        string `json:"gdc_id,omitempty"`
	GPhC       string `json:"gphc_id,omitempty"`
	GMP        string `json:"gmp_id,omitempty"`
	GDP        string `json:"gdp_id,omitempty"`
	RCN        string `json:"rcn_id,omitempty"`
	Consultant string `json:"consultant_id,omitempty"`
}

// Details are what a registration authority writes down of a person.
type Details struct {
	Name         PersonName   `json:"name"`
	Email        string       `json:"email,omitempty"`
	Mobile       string       `json:"mobile,omitempty"`
	NINumber     string       `json:"ni_number,omitempty"`
	Professional Professional `json:"professional,omitzero"`

	// HRLink would tie the profile to one of a system of human resources. It is
	// refused: an unverified profile must not have one, and the registry keeps
	// none.
	HRLink string `json:"hr_link,omitempty"`
}

// IdentityCheck is how somebody made sure who a person is.
type IdentityCheck struct {
	How       How      `json:"how"`
	By        string   `json:"by,omitempty"`        // the uid of who did; empty: the actor
	Documents []string `json:"documents,omitempty"` // their kinds, and no numbers
	Assurance int      `json:"assurance"`           // 0 to 3
}

// How says how an identity was checked.
type How string

// The ways to check an identity.
const (
	InPerson How = "in_person"
	ByVideo  How = "video"
	Vouched  How = "vouched" // by somebody who knows them
)

// person returns a person who may be changed: nobody who was closed or merged.
func (r *Records) person(uid string) (*Person, error) {
	p, err := r.anybody(uid)
	if err != nil {
		return nil, err
	}
	if p.Profile == idp.Closed {
		return nil, ErrClosed
	}
	return p, nil
}

// anybody returns a person whatever their profile, but no duplicate.
func (r *Records) anybody(uid string) (*Person, error) {
	p := r.People[uid]
	switch {
	case p == nil:
		return nil, ErrNoPerson
	case p.MergedInto != "":
		return nil, ErrMerged
	}
	return p, nil
}

// places are the codes of where people work, or will.
func (r *Records) places(uids ...string) []string {
	var codes []string
	for _, uid := range uids {
		p := r.People[uid]
		if p == nil {
			continue
		}
		for _, pos := range p.Positions {
			if (pos.To == "" || pos.To >= r.Today) && !slices.Contains(codes, pos.Organisation) {
				codes = append(codes, pos.Organisation)
			}
		}
	}
	return codes
}

// of is whom a change of one person concerns: the authority of one of the
// organisations where they work is enough.
func (r *Records) of(uid string) About { return About{People: []string{uid}, Any: r.places(uid)} }

// AddPerson adds a person. The service chooses the uid.
type AddPerson struct {
	Details
	Profile   idp.Profile   `json:"profile"`          // verified or unverified
	Check     IdentityCheck `json:"check,omitzero"`   // of a verified one
	Confirmed bool          `json:"confirmed"`        // those that are alike are other people
	Reason    string        `json:"reason,omitempty"` // or where the request came from
}

// Kind implements Change.
func (AddPerson) Kind() Kind { return PersonAdded }

func (ch AddPerson) words() string { return ch.Reason }

func (ch AddPerson) check() error {
	var f checks
	f.details(ch.Details)
	f.reason(ch.Reason, false)
	switch ch.Profile {
	case idp.Verified:
		f.identity("check", ch.Check)
	case idp.Unverified:
	default:
		f.add("profile", Unknown)
	}
	return cmp.Or(f.err(), ch.linked(ch.Profile))
}

// linked refuses a link to a system of human resources.
func (d Details) linked(profile idp.Profile) error {
	switch {
	case d.HRLink == "":
		return nil
	case profile != idp.Verified:
		return refuse(ErrUnverified, "hr_link", Unknown)
	}
	return refuse(ErrHRLink, "hr_link", Unknown)
}

func (AddPerson) touches() Touch          { return Touch{} }
func (ch AddPerson) about(*Records) About { return About{New: ch.Details} }

func (ch AddPerson) make(r *Records, c *Case) error {
	c.warnAlike(ch.Confirmed)
	c.warnFaster(r, "")
	if ch.Email == "" && ch.Mobile == "" {
		c.warn(Warning{Code: WarnNoContact})
	}
	p := &Person{Person: directory.Person{UID: c.NewID(), Profile: ch.Profile}, AddedAt: c.Now}
	if r.People[p.UID] != nil {
		return idp.ErrTaken
	}
	ch.put(p)
	words := []string{ch.Reason}
	if ch.Profile == idp.Verified {
		p.IdentityAssurance = ch.Check.Assurance
		words = append(words, ch.Check.written())
	}
	r.People[p.UID] = p
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Reason: join(words...)})
	return nil
}

// warnAlike warns of those who could be the person whom it is about.
func (c *Case) warnAlike(confirmed bool) {
	for _, f := range c.Alike {
		c.warn(Warning{Code: cmp.Or(f.Why, WarnAlike), UID: f.UID, Args: []string{f.Display}, Confirm: !confirmed})
	}
}

// warnFaster warns of those who got the number of the person to be added, or of
// the one called uid, after it was looked for: somebody else has written it down
// at the same time. Nobody was told of them yet, so nothing that was confirmed
// before is about them.
func (c *Case) warnFaster(r *Records, uid string) {
	for _, f := range r.SameNumber {
		if f.UID != uid && !slices.ContainsFunc(c.Alike, func(known Found) bool { return known.UID == f.UID }) {
			c.warn(Warning{Code: WarnSameNumber, UID: f.UID, Args: []string{f.Display}, Confirm: true})
		}
	}
}

// join puts words of the journal one behind the other.
func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "; ")
}

// put writes the details down.
func (d Details) put(p *Person) {
	p.Name, p.Professional = directory.Name(d.Name), directory.Professional(d.Professional)
	p.Email, p.Mobile, p.NINumber = d.Email, d.Mobile, d.NINumber
}

// detailsOf are what is written down of a person.
func detailsOf(p directory.Person) Details {
	return Details{Name: PersonName(p.Name), Email: p.Email, Mobile: p.Mobile, NINumber: p.NINumber, Professional: Professional(p.Professional)}
}

// numbers are those that only one person has.
func (d Details) numbers() []string {
	n := d.Professional
	return []string{d.NINumber, n.GMC, n.NMC, n.GDC, n.GPhC, n.GMP, n.GDP, n.RCN, n.Consultant}
}

// sameNumbers says whether one of the numbers in d is p's: then it is p whom
// they describe, whatever the name. A second profile of one's own would be a way
// to act on oneself.
func sameNumbers(d Details, p *Person) bool {
	if p == nil {
		return false
	}
	theirs := detailsOf(p.Person).numbers()
	for i, number := range d.numbers() {
		if number != "" && strings.EqualFold(number, theirs[i]) {
			return true
		}
	}
	return false
}

// likeApplicant finds who could be an applicant, whose number it returns too.
func (s *Service) likeApplicant(ctx context.Context, id string) (number string, alike []Found, err error) {
	r, err := s.Keeper.Records(ctx, Touch{Applicants: []string{id}})
	if err != nil {
		return "", nil, fmt.Errorf("applicant %s: %w", id, err)
	}
	a := r.Applicants[id]
	if a == nil || a.State != HasApplied {
		return "", nil, nil // who may not be told so is told that first
	}
	alike, err = s.alike(ctx, a.details())
	return a.Said.NINumber, alike, err
}

// likePerson finds who else could be a person on file.
func (s *Service) likePerson(ctx context.Context, uid string) ([]Found, error) {
	r, err := s.Keeper.Records(ctx, Touch{People: []string{uid}})
	if err != nil {
		return nil, fmt.Errorf("person %s: %w", uid, err)
	}
	p := r.People[uid]
	if p == nil || p.Profile == idp.Verified {
		return nil, nil // there is nobody to verify: that is told first
	}
	return s.alikeBut(ctx, uid, Details{Name: PersonName(p.Name), Email: p.Email, NINumber: p.NINumber})
}

// likeChanged finds who else could be a person on file by what a change writes
// down anew, and returns the number if it is such. Of what stays as it was those
// who are alike were confirmed before.
func (s *Service) likeChanged(ctx context.Context, ch ChangePerson) (number string, alike []Found, err error) {
	r, err := s.Keeper.Records(ctx, Touch{People: []string{ch.UID}})
	if err != nil {
		return "", nil, fmt.Errorf("person %s: %w", ch.UID, err)
	}
	p := r.People[ch.UID]
	if p == nil || p.Profile == idp.Closed || p.Robot.Owner != "" {
		return "", nil, nil // that is told first
	}
	var fresh Details
	if !strings.EqualFold(ch.NINumber, p.NINumber) {
		fresh.NINumber = ch.NINumber
	}
	if idp.EmailKey(ch.Email) != idp.EmailKey(p.Email) {
		fresh.Email = ch.Email
	}
	if ch.Name.Given != p.Name.Given || ch.Name.Family != p.Name.Family {
		fresh.Name = ch.Name
	}
	alike, err = s.alikeBut(ctx, ch.UID, fresh)
	return fresh.NINumber, alike, err
}

// alikeBut is alike without the person called uid.
func (s *Service) alikeBut(ctx context.Context, uid string, d Details) ([]Found, error) {
	alike, err := s.alike(ctx, d)
	return slices.DeleteFunc(alike, func(f Found) bool { return f.UID == uid }), err
}

// alike finds who could be the person that somebody is about to add: who has the
// e-mail, the National Insurance number, or the name.
func (s *Service) alike(ctx context.Context, d Details) ([]Found, error) {
	const few = 5
	var alike []Found
	if d.NINumber != "" {
		same, err := s.Finder.ByNINumber(ctx, d.NINumber)
		if err != nil {
			return nil, fmt.Errorf("find who has the number: %w", err)
		}
		for _, p := range same {
			p.Why = WarnSameNumber
			alike = append(alike, p)
		}
	}
	for _, text := range []string{d.Email, d.Name.Given + " " + d.Name.Family} {
		if strings.TrimSpace(text) == "" {
			continue
		}
		found, _, err := s.Finder.FindPeople(ctx, Query{Text: text, Most: few})
		if err != nil {
			return nil, fmt.Errorf("find who is alike: %w", err)
		}
		for _, p := range found {
			if !slices.ContainsFunc(alike, func(f Found) bool { return f.UID == p.UID }) {
				alike = append(alike, p)
			}
		}
	}
	return alike, nil
}

// ChangePerson replaces what is written down of a person.
type ChangePerson struct {
	UID string `json:"uid"`
	Details
	Confirmed bool   `json:"confirmed"` // those that are alike are other people
	Reason    string `json:"reason,omitempty"`
}

// Kind implements Change.
func (ChangePerson) Kind() Kind { return PersonChanged }

func (ch ChangePerson) words() string { return ch.Reason }

func (ch ChangePerson) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.details(ch.Details)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch ChangePerson) touches() Touch { return Touch{People: []string{ch.UID}} }

func (ch ChangePerson) about(r *Records) About {
	a := r.of(ch.UID)
	a.New = ch.Details
	return a
}

func (ch ChangePerson) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if err := ch.linked(p.Profile); err != nil {
		return err
	}
	if p.Robot.Owner != "" {
		return ErrRobot
	}
	if idp.EmailKey(p.Email) != idp.EmailKey(ch.Email) {
		c.tell(r, p, "mail.email", map[string]string{"email": ch.Email}) // at the old address
	}
	c.warnAlike(ch.Confirmed)
	c.warnFaster(r, p.UID)
	if ch.Email == "" && ch.Mobile == "" {
		c.warn(Warning{Code: WarnNoContact, UID: p.UID})
	}
	ch.put(p)
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}
