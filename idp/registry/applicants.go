package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// Refusals of somebody who applies for a care identity, and of who decides.
const (
	ErrNoApplicant idp.Refusal = "there is no such applicant"
	ErrApplicant   idp.Refusal = "the applicant has not applied yet, or was decided on"
	ErrNotInvited  idp.Refusal = "the code of the applicant is wrong, used or too old"
)

// How long an invitation to apply works, and how long what somebody said waits
// for an ID checker.
const (
	ApplyLife   = 14 * 24 * time.Hour
	WaitingLife = 90 * 24 * time.Hour
)

// youngest is how old somebody must be to have a care identity, in years.
const youngest = 14

// Applicant is somebody who was invited to apply for a care identity.
type Applicant struct {
	ID        string
	State     ApplicantState
	Hash      string // of the code by which they apply, which nobody keeps
	Email     string // where it was sent: whoever has the code reads it; "" once they were decided on
	At        string // code of the organisation that invites them
	By        string // uid of who did; "" an operator
	InvitedAt time.Time
	Until     time.Time // until when that state may last

	Said      Said
	AppliedAt time.Time

	UID       string // who they became
	DecidedBy string
	DecidedAt time.Time
}

// ApplicantState says how far an applicant is.
type ApplicantState string

// The states of an applicant.
const (
	HasInvitation ApplicantState = "invited"
	HasApplied    ApplicantState = "applied"
	IsAccepted    ApplicantState = "accepted"
	IsRefused     ApplicantState = "refused"
)

// Said is what an applicant says of themself.
type Said struct {
	Name     PersonName `json:"name"`
	Born     idp.Date   `json:"born"`
	Mobile   string     `json:"mobile,omitempty"`
	NINumber string     `json:"ni_number"`
}

// details are what is written down of who becomes a person.
func (a Applicant) details() Details {
	return Details{Name: a.Said.Name, Email: a.Email, Mobile: a.Said.Mobile, NINumber: a.Said.NINumber}
}

// check says whether what somebody says of themself has its form.
func (s Said) check(today idp.Date) error {
	var f checks
	f.details(Details{Name: s.Name, Mobile: s.Mobile, NINumber: s.NINumber})
	if s.NINumber == "" {
		f.add("ni_number", Missing)
	}
	f.day("born", s.Born, true)
	if err := f.err(); err != nil {
		return err
	}
	born, err := time.Parse(time.DateOnly, string(s.Born))
	if err != nil {
		return refuse(ErrField, "born", Form)
	}
	if idp.Date(born.AddDate(youngest, 0, 0).Format(time.DateOnly)) > today || idp.Date(born.AddDate(110, 0, 0).Format(time.DateOnly)) < today {
		return refuse(ErrField, "born", Range)
	}
	return nil
}

// InviteApplicant invites somebody to apply for a care identity. The code by
// which they do goes to their address, and to nobody else: not to who invites
// them either.
type InviteApplicant struct {
	Email        string `json:"email"`
	Organisation string `json:"organisation"`
	Confirmed    bool   `json:"confirmed"` // whoever has that address is known
	Reason       string `json:"reason,omitempty"`
}

// Kind implements Change.
func (InviteApplicant) Kind() Kind { return ApplicantInvited }

func (ch InviteApplicant) words() string { return ch.Reason }

func (ch InviteApplicant) check() error {
	var f checks
	if ch.Email == "" {
		f.add("email", Missing)
	} else if email, err := idp.ParseEmail(ch.Email); err != nil || email != ch.Email {
		f.add("email", Form)
	}
	f.like("organisation", ch.Organisation, orgCode, true)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch InviteApplicant) touches() Touch       { return Touch{Organisations: []string{ch.Organisation}} }
func (ch InviteApplicant) about(*Records) About { return About{All: []string{ch.Organisation}} }

func (ch InviteApplicant) make(r *Records, c *Case) error {
	if err := r.open(ch.Organisation, ""); err != nil {
		return err
	}
	c.warnAlike(ch.Confirmed)
	code := newCode()
	a := &Applicant{ID: c.NewID(), State: HasInvitation, Hash: HashCode(code), Email: ch.Email, At: ch.Organisation, By: c.Actor.Person.UID,
		InvitedAt: c.Now, Until: c.Now.Add(ApplyLife)}
	r.Applicants[a.ID] = a
	r.Mails = append(r.Mails, idp.Mail{To: a.Email, Lang: c.Actor.Lang, Text: "mail.invited", Args: map[string]string{
		"code": code, "organisation": r.Organisations[ch.Organisation].Name, "address": c.Address + ApplyPath}})
	c.Done.ID, c.Done.Until = a.ID, a.Until
	c.journal(r, idp.Event{Organisation: ch.Organisation})
	return nil
}

// ApplyPath is where people apply.
const ApplyPath = "/apply"

// applicant returns an applicant who may be decided on.
func (r *Records) applicant(id string, now time.Time, states ...ApplicantState) (*Applicant, error) {
	a := r.Applicants[id]
	switch {
	case a == nil:
		return nil, ErrNoApplicant
	case !slices.Contains(states, a.State) || !now.Before(a.Until):
		return nil, ErrApplicant
	}
	return a, nil
}

// ofApplicant is what a decision about an applicant concerns.
func (r *Records) ofApplicant(id string) About {
	if a := r.Applicants[id]; a != nil {
		return About{All: []string{a.At}}
	}
	return About{}
}

// AcceptApplicant makes an applicant a person whose identity was checked.
type AcceptApplicant struct {
	Applicant string        `json:"applicant"`
	Check     IdentityCheck `json:"check"`
	Confirmed bool          `json:"confirmed"` // those that are alike are other people
}

// Kind implements Change.
func (AcceptApplicant) Kind() Kind { return ApplicantAccepted }

func (ch AcceptApplicant) words() string { return "" }

func (ch AcceptApplicant) check() error {
	var f checks
	f.id("applicant", ch.Applicant)
	f.identity("check", ch.Check)
	return f.err()
}

func (ch AcceptApplicant) touches() Touch { return Touch{Applicants: []string{ch.Applicant}} }

func (ch AcceptApplicant) about(r *Records) About {
	about := r.ofApplicant(ch.Applicant)
	if a := r.Applicants[ch.Applicant]; a != nil {
		about.New = a.details()
	}
	return about
}

func (ch AcceptApplicant) make(r *Records, c *Case) error {
	a, err := r.applicant(ch.Applicant, c.Now, HasApplied)
	if err != nil {
		return err
	}
	if a.is(r.People[c.Actor.Person.UID]) || a.is(r.People[c.Approver]) {
		return ErrSelf
	}
	if ch.Check.Assurance < 3 {
		c.warn(Warning{Code: WarnBelowLevel3})
	}
	add := AddPerson{Details: a.details(), Profile: idp.Verified, Check: ch.Check, Confirmed: ch.Confirmed, Reason: "applicant " + a.ID}
	if err := add.make(r, c); err != nil {
		return err
	}
	a.State, a.UID = IsAccepted, c.Done.ID
	r.Mails = append(r.Mails, idp.Mail{To: a.Email, Lang: c.Actor.Lang, Text: "mail.accepted", Args: map[string]string{"uid": a.UID, "name": c.Done.Person.Name.Given}})
	a.decide(c)
	return nil
}

// is says whether an applicant has the address of somebody who decides about
// them. Whether they have a number of theirs was judged with the right to decide.
func (a *Applicant) is(p *Person) bool {
	return p != nil && p.Email != "" && idp.EmailKey(p.Email) == idp.EmailKey(a.Email)
}

// decide writes down that an applicant was decided on. What they said of
// themself, and their address, are a person's now, or nobody's: they are not
// kept twice.
func (a *Applicant) decide(c *Case) {
	a.DecidedBy, a.DecidedAt, a.Said, a.Email = c.base.Actor, c.Now, Said{}, ""
}

// RefuseApplicant refuses an applicant, or takes an invitation back.
type RefuseApplicant struct {
	Applicant string `json:"applicant"`
	Reason    string `json:"reason"`
}

// Kind implements Change.
func (RefuseApplicant) Kind() Kind { return ApplicantRefused }

func (ch RefuseApplicant) words() string { return ch.Reason }

func (ch RefuseApplicant) check() error {
	var f checks
	f.id("applicant", ch.Applicant)
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch RefuseApplicant) touches() Touch         { return Touch{Applicants: []string{ch.Applicant}} }
func (ch RefuseApplicant) about(r *Records) About { return r.ofApplicant(ch.Applicant) }

func (ch RefuseApplicant) make(r *Records, c *Case) error {
	a, err := r.applicant(ch.Applicant, c.Now, HasInvitation, HasApplied)
	if err != nil {
		return err
	}
	a.State = IsRefused
	r.Mails = append(r.Mails, idp.Mail{To: a.Email, Lang: c.Actor.Lang, Text: "mail.refused"})
	a.decide(c)
	c.Done.ID = a.ID
	c.journal(r, idp.Event{Organisation: a.At})
	return nil
}

// Applying lets people apply who were invited: it is the other half of
// InviteApplicant. They have no account, and the code is all that they show.
type Applying struct {
	Keeper Keeper
	Limits idp.Limits
	Now    func() time.Time
}

// Invitation returns what a code stands for, with the name of the organisation,
// or ErrNotInvited. Codes are counted for the network that they come from.
func (s *Applying) Invitation(ctx context.Context, code string, from netip.Prefix) (Applicant, string, error) {
	each, all := idp.LimitKey{Authenticator: "apply", Network: from}, idp.LimitKey{Authenticator: "apply"}
	if err := s.Limits.Attempt(ctx, each, EnrolLimit, s.Now()); err != nil {
		return Applicant{}, "", fmt.Errorf("code of an applicant: %w", err)
	}
	if err := s.Limits.Attempt(ctx, all, EnrolAllLimit, s.Now()); err != nil {
		return Applicant{}, "", fmt.Errorf("codes of applicants: %w", err)
	}
	r, err := s.Keeper.Records(ctx, Touch{Invitation: HashCode(code)})
	if err != nil {
		return Applicant{}, "", fmt.Errorf("code of an applicant: %w", err)
	}
	a, err := r.invited(HashCode(code), s.Now())
	if err != nil {
		return Applicant{}, "", err
	}
	if err := errors.Join(s.Limits.Clear(ctx, each), s.Limits.Clear(ctx, all)); err != nil {
		return Applicant{}, "", err
	}
	name := a.At
	if o := r.Organisations[a.At]; o != nil && o.Name != "" {
		name = o.Name
	}
	return *a, name, nil
}

// invited returns the applicant whose code has that hash.
func (r *Records) invited(hash string, now time.Time) (*Applicant, error) {
	for _, a := range r.Applicants {
		if hash != "" && a.Hash == hash && a.State == HasInvitation && now.Before(a.Until) {
			return a, nil
		}
	}
	return nil, ErrNotInvited
}

// Apply writes down what somebody says of themself, once: of two who have one
// code one applies.
func (s *Applying) Apply(ctx context.Context, code string, said Said, o idp.Owner) error {
	hash := HashCode(code)
	if said.Name.Display == "" {
		said.Name.Display = strings.Join(strings.Fields(said.Name.Title+" "+said.Name.Given+" "+said.Name.Family), " ")
	}
	return s.Keeper.Change(ctx, Touch{Invitation: hash}, func(r *Records) (idp.Act, error) {
		now := s.Now()
		a, err := r.invited(hash, now)
		if err == nil {
			err = said.check(idp.DateOf(now))
		}
		if err != nil {
			return idp.Act{}, err
		}
		a.State, a.Said, a.AppliedAt, a.Until = HasApplied, said, now, now.Add(WaitingLife)
		r.Mails = append(r.Mails, idp.Mail{To: a.Email, Lang: o.Lang, Text: "mail.applied"})
		return idp.Act{Event: idp.Event{At: now, Kind: ApplicantApplied, Request: o.Request, Organisation: a.At, Reason: "applicant " + a.ID}}, nil
	})
}
