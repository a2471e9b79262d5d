package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Service judges changes and makes them. It is what all faces call.
type Service struct {
	Keeper    Keeper
	Finder    Finder
	Own       idp.OwnSessions
	Sessions  idp.SessionStore
	Limits    idp.Limits
	Locks     Locks
	Uses      Uses
	Managing  Managing
	Addresses Addresses
	Policy    Approvals
	Now       func() time.Time
	NewID     func() string // 12 digits; nil: NewNumber
	Address   string        // where people reach the service, for mails

	CardAuthority CardAuthority // nil: this service issues no certificates
	CardTrust     CardTrust     // nil: nobody judges those of others
}

// NewNumber returns 12 digits by chance: for a person or a position. The keeper
// says when they are somebody's.
func NewNumber() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000_000))
	if err != nil {
		panic(err) // never: crypto/rand ends the program instead
	}
	return fmt.Sprintf("%012d", n)
}

// tell has a person told by mail, at the address that they have now.
func (c *Case) tell(r *Records, p *Person, text string, args map[string]string) {
	if p.Email != "" {
		r.Mails = append(r.Mails, idp.Mail{To: p.Email, Lang: c.Actor.Lang, Text: text, Args: args})
	}
}

// journal writes what happened to one person, or one organisation. The first is
// the event of the change, the others stand beside it.
func (c *Case) journal(r *Records, e idp.Event) {
	base := c.base
	base.Subject, base.Organisation, base.Role = e.Subject, e.Organisation, e.Role
	base.Authenticator, base.Level = e.Authenticator, e.Level
	base.Reason = cmp.Or(e.Reason, base.Reason)
	base.Session = cmp.Or(e.Session, base.Session)
	base.Client = cmp.Or(e.Client, base.Client)
	if p := r.People[e.Subject]; p != nil {
		base.Robot = p.Robot.Owner != ""
	}
	if !c.journalled {
		c.Event, c.journalled = base, true
		return
	}
	r.Events = append(r.Events, base)
}

// warn says what the actor should know.
func (c *Case) warn(w Warning) {
	if len(c.Done.Warnings) < maxPeople {
		c.Done.Warnings = append(c.Done.Warnings, w)
	}
}

// unconfirmed refuses what was to be confirmed and was not.
func (c *Case) unconfirmed() error {
	for _, w := range c.Done.Warnings {
		if w.Confirm {
			return &Refused{Refusal: ErrConfirm, Warnings: c.Done.Warnings}
		}
	}
	return nil
}

// finisher is a change with something to do once it is made.
type finisher interface {
	finish(ctx context.Context, s *Service, c *Case) error
}

// Do judges a change and makes it, or keeps it as a request where a second
// person is needed: Done.Request says which.
func (s *Service) Do(ctx context.Context, a Actor, ch Change) (Done, error) {
	c, err := s.about(ctx, a, ch)
	if err != nil {
		return Done{}, err
	}
	var right error // why the actor has no right to it
	made, err := s.change(ctx, s.touch(a, ch, c), c, func(r *Records, c *Case) error {
		j := c.judgement(r, ch)
		var second []Authority
		if second, right = j.ask(a, c.Now); right != nil {
			return right
		}
		if len(second) > 0 {
			return c.file(r, ch, j)
		}
		return c.make(r, ch)
	})
	if right != nil && errors.Is(err, right) {
		return Done{}, s.refused(ctx, c, err)
	}
	if err != nil {
		return Done{}, err
	}
	return s.finish(ctx, made, ch)
}

// make makes the change, and refuses what was not confirmed.
func (c *Case) make(r *Records, ch Change) error {
	before, certified := r.revokedCards(), r.certified()
	if err := ch.make(r, c); err != nil {
		return err
	}
	r.remember(certified)
	r.date(before, c.Now)
	if !c.journalled {
		c.journal(r, idp.Event{})
	}
	return c.unconfirmed()
}

// Check says what Do would do, and makes nothing.
func (s *Service) Check(ctx context.Context, a Actor, ch Change) (Preview, error) {
	c, err := s.about(ctx, a, ch)
	if err != nil {
		return Preview{}, err
	}
	r, err := s.Keeper.Records(ctx, s.touch(a, ch, c))
	if err != nil {
		return Preview{}, fmt.Errorf("records of %s: %w", ch.Kind(), err)
	}
	r.Today = idp.DateOf(c.Now)
	second, err := c.judgement(&r, ch).ask(a, c.Now)
	if err != nil {
		return Preview{}, err
	}
	after := r.clone()
	c.trial = true
	if err := ch.make(&after, &c); err != nil {
		return Preview{}, err
	}
	p := Preview{Kind: ch.Kind(), Second: second, Warnings: c.Done.Warnings, Differences: c.Done.Differences, Told: c.Done.Told,
		Confirm: c.unconfirmed() != nil}
	if p.Differences == nil {
		p.Differences = differences(&r, &after)
	}
	if ch.Kind() == CertificateIssued {
		for i := range p.Differences {
			if p.Differences[i].Op == directory.Add {
				p.Differences[i].ID = "" // its number is chosen when it is issued
			}
		}
	}
	return p, nil
}

// Why explains who may make a change, and why this actor may not.
func (s *Service) Why(ctx context.Context, a Actor, ch Change) (Explanation, error) {
	e := Explanation{Kind: ch.Kind(), May: s.Policy.Table(ch.Kind()), Holds: Authorities(a.Person, s.Now())}
	if err := ch.check(); err != nil {
		return e, err
	}
	c := Case{Actor: a, Now: s.Now(), Policy: s.Policy}
	r, err := s.Keeper.Records(ctx, s.touch(a, ch, c))
	if err != nil {
		return e, fmt.Errorf("records of %s: %w", ch.Kind(), err)
	}
	r.Today = idp.DateOf(c.Now)
	j := c.judgement(&r, ch)
	e.Needs = j.needs()
	if p := r.People[a.Person.UID]; p != nil {
		e.Holds = p.held(j.today, false)
	}
	second, err := j.ask(a, c.Now)
	e.Second, e.Allowed = second, err == nil
	if err == nil {
		return e, nil
	}
	refusal, ok := errors.AsType[idp.Refusal](err)
	if !ok {
		return e, err
	}
	e.Why = refusal
	return e, nil
}

// Admit says whether somebody may use the registration authority at all: with
// what they hold in it, or a refusal.
func (s *Service) Admit(a Actor) ([]Held, error) {
	if a.Host != "" {
		return nil, nil
	}
	if a.Person.Profile != idp.Verified || a.Person.Robot {
		return nil, ErrNotActive
	}
	held := Authorities(a.Person, s.Now())
	if len(held) == 0 {
		return nil, ErrNoAuthority
	}
	if a.Session.Level < authenticators.AAL3 {
		return nil, idp.ErrTooLow
	}
	return held, nil
}

// AdmitToAll says whether somebody may see the whole directory at once, which is
// for whoever might replace it: nil, or a refusal.
func (s *Service) AdmitToAll(a Actor) error {
	held, err := s.Admit(a)
	if err != nil || a.Host != "" {
		return err
	}
	for _, h := range held {
		if h.Authority == Manager && s.Policy.Home != "" && h.Organisation == s.Policy.Home {
			return nil
		}
	}
	return ErrNoAuthority
}

// about begins a case: it checks the form of the change, and finds what only
// other stores know.
func (s *Service) about(ctx context.Context, a Actor, ch Change) (Case, error) {
	c := Case{Actor: a, Now: s.Now(), Policy: s.Policy, NewID: s.NewID, Address: s.Address}
	if c.NewID == nil {
		c.NewID = NewNumber
	}
	c.base = idp.Event{At: c.Now, Kind: ch.Kind(), Request: a.Request, Actor: cmp.Or(a.Host, a.Person.UID), Session: a.Session.ID}
	if w, ok := ch.(interface{ words() string }); ok {
		c.base.Reason = w.words()
	}
	if err := ch.check(); err != nil {
		return c, err
	}
	var err error
	if of, ok := ch.(interface{ sessionsOf() string }); ok {
		if c.Sessions, err = s.Own.SessionsOf(ctx, of.sessionsOf(), c.Now); err != nil {
			return c, fmt.Errorf("sessions of %s: %w", of.sessionsOf(), err)
		}
	}
	switch ch := ch.(type) {
	case AddPerson:
		c.NINumber = ch.NINumber
		c.Alike, err = s.alike(ctx, ch.Details)
	case InviteApplicant:
		c.Alike, err = s.alike(ctx, Details{Email: ch.Email})
	case ChangePerson:
		c.NINumber, c.Alike, err = s.likeChanged(ctx, ch)
	case VerifyPerson:
		c.Alike, err = s.likePerson(ctx, ch.UID)
	case AcceptApplicant:
		c.NINumber, c.Alike, err = s.likeApplicant(ctx, ch.Applicant)
	case CloseOrganisation:
		c.Below, err = s.below(ctx, ch.Code)
	case MergeOrganisations:
		c.Below, err = s.below(ctx, ch.Code)
	case SendNotice:
		c.Told, err = s.told(ctx, ch, c.Now)
	case ApplyDocument:
		c.Managed, err = s.managed(ctx)
	case IssueCertificate, RecordCertificate:
		err = s.shown(&c, ch)
	}
	return c, err
}

// below are the codes of the organisations below one.
func (s *Service) below(ctx context.Context, code string) ([]string, error) {
	codes, err := s.Finder.Below(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("organisations below %s: %w", code, err)
	}
	return codes, nil
}

// told are who a notice is for, up to more than it may have.
func (s *Service) told(ctx context.Context, ch SendNotice, now time.Time) ([]Addressee, error) {
	codes, err := s.below(ctx, ch.Organisation)
	if err != nil || len(codes) == 0 {
		return nil, err // of an organisation that there is not, it is told later
	}
	told, err := s.Addresses.Addressees(ctx, ch.audience(codes), idp.DateOf(now), mostHeld+1)
	if err != nil {
		return nil, fmt.Errorf("who a notice is for: %w", err)
	}
	return told, nil
}

func (s *Service) managed(ctx context.Context) (map[Name]bool, error) {
	names, err := s.Managing.Managed(ctx)
	if err != nil {
		return nil, fmt.Errorf("what documents manage: %w", err)
	}
	managed := make(map[Name]bool, len(names))
	for _, n := range names {
		managed[n] = true
	}
	return managed, nil
}

// touch is what the change touches, and its actor: their right is judged by what
// they hold at that instant, and kept from changing until it is used.
func (s *Service) touch(a Actor, ch Change, c Case) Touch {
	t := ch.touches()
	t.Organisations = append(slices.Clone(t.Organisations), c.Below...)
	t.NINumber = c.NINumber
	if c.Shown.Serial != "" {
		t.Cards = append(slices.Clone(t.Cards), c.Shown.Serial)
	}
	t.CardKey = c.Shown.Key
	for n := range c.Managed {
		switch n.Kind {
		case directory.PersonKind:
			t.People = append(t.People, n.Name)
		case directory.OrganisationKind:
			t.Organisations = append(t.Organisations, n.Name)
		case directory.ClientKind:
			t.Clients = append(t.Clients, n.Name)
		}
	}
	if a.Host == "" {
		t.People = append([]string{a.Person.UID}, t.People...)
	}
	for _, names := range []*[]string{&t.People, &t.Organisations, &t.Clients} {
		*names = slices.Compact(slices.Sorted(slices.Values(*names)))
	}
	return t
}

// change has decide change records, under numbers that nobody has, and ends
// what sessions it ends.
func (s *Service) change(ctx context.Context, t Touch, begun Case, decide func(*Records, *Case) error) (*Case, error) {
	const tries = 3 // a number that is somebody's is met once in many lives; an e-mail stays taken
	var c Case
	var ends []idp.OwnSession
	var err error
	for range tries {
		err = s.Keeper.Change(ctx, t, func(r *Records) (idp.Act, error) {
			c = begun
			r.Today = idp.DateOf(c.Now)
			if err := decide(r, &c); err != nil {
				return idp.Act{}, err
			}
			ends = r.Ends
			return idp.Act{Event: c.Event}, nil
		})
		if _, named := errors.AsType[*Refused](err); named || !errors.Is(err, idp.ErrTaken) {
			break
		}
	}
	if err != nil {
		return &c, err
	}
	for _, e := range ends {
		// The fences stand: should Redis not answer, the session is worth nothing.
		err = errors.Join(err, s.Sessions.EndSession(ctx, e.Key))
	}
	return &c, err
}

func (s *Service) finish(ctx context.Context, c *Case, ch Change) (Done, error) {
	if f, ok := ch.(finisher); ok && c.Done.Request == "" {
		if err := f.finish(ctx, s, c); err != nil {
			return c.Done, err
		}
	}
	return c.Done, nil
}

// refused returns err, and writes down that somebody tried what they have no
// right to.
func (s *Service) refused(ctx context.Context, c Case, err error) error {
	noted := s.Keeper.Change(ctx, Touch{}, func(*Records) (idp.Act, error) {
		e := c.base
		e.Kind, e.Reason = ChangeNo, string(c.base.Kind)+": "+refusalOf(err).Error()
		return idp.Act{Event: e}, nil
	})
	if noted != nil {
		return errors.Join(err, noted)
	}
	return err
}
