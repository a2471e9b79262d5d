package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// RequestLife is how long a change waits for a second person.
const RequestLife = 14 * 24 * time.Hour

// maxRequest is how long the JSON of a change that waits may be.
const maxRequest = 1 << 20

// kinds are the changes by their kinds.
var kinds = map[Kind]func([]byte) (Change, error){
	PersonAdded: read[AddPerson], PersonChanged: read[ChangePerson], PersonVerified: read[VerifyPerson],
	PersonRestricted: read[RestrictPerson], PersonClosed: read[ClosePerson], PersonReopened: read[ReopenPerson],
	PeopleMerged: read[MergePeople], RobotAdded: read[AddRobot], RobotChanged: read[ChangeRobot],
	OrganisationAdded: read[AddOrganisation], OrganisationChanged: read[ChangeOrganisation],
	OrganisationClosed: read[CloseOrganisation], OrganisationsMerged: read[MergeOrganisations],
	PositionsMoved: read[MovePositions], PositionAssigned: read[AssignPosition], PositionChanged: read[ChangePosition],
	PositionEnded: read[EndPosition], PersonLeft: read[LeavePerson], TemporaryGranted: read[GrantTemporary],
	CardIssued: read[IssueCard], CardSuspended: read[SuspendCard], CardResumed: read[ResumeCard],
	CardRevoked: read[RevokeCard], CardReplaced: read[ReplaceCard],
	CertificateIssued: read[IssueCertificate], CertificateRecorded: read[RecordCertificate],
	idp.AuthenticatorSuspended: read[SuspendAuthenticator], AuthenticatorBack: read[ResumeAuthenticator],
	idp.AuthenticatorRemoved: read[RemoveAuthenticator], AuthenticatorCode: read[InviteAuthenticator], LockLifted: read[LiftLock],
	idp.SessionEnded: read[EndSession], idp.SignedOutAll: read[EndSessions],
	SeriesRuleSet: read[SetSeriesRule], AgentRuleSet: read[SetAgentRule],
	ClientAdded: read[AddClient], ClientChanged: read[ChangeClient], ClientRemoved: read[RemoveClient],
	DocumentApplied:  read[ApplyDocument],
	ApplicantInvited: read[InviteApplicant], ApplicantAccepted: read[AcceptApplicant], ApplicantRefused: read[RefuseApplicant],
	NoticeSent: read[SendNotice],
}

func read[C Change](text []byte) (Change, error) {
	var c C
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", idp.ErrRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, idp.ErrRequest
	}
	return c, nil
}

// Read returns the change of a kind that JSON says. Unknown keys are refused:
// who wrote one meant something by it.
func Read(kind Kind, text []byte) (Change, error) {
	if read, ok := kinds[kind]; ok {
		return read(text)
	}
	return nil, idp.ErrRequest
}

// file keeps a change as a request, if it could be made now.
func (c *Case) file(r *Records, ch Change, j judgement) error {
	tried, trial := r.clone(), *c
	trial.trial = true
	if err := trial.make(&tried, ch); err != nil {
		return err
	}
	text, err := json.Marshal(ch)
	if err != nil {
		return fmt.Errorf("write change: %w", err)
	}
	if len(text) > maxRequest {
		return ErrMany
	}
	q := Request{ID: c.NewID(), Kind: ch.Kind(), Change: text, AskedBy: c.Actor.Person.UID, AskedAt: c.Now,
		Until: c.Now.Add(RequestLife), State: Waiting}
	if len(j.about.People) > 0 {
		q.UID = j.about.People[0]
	}
	if needs := j.needs(); len(needs) > 0 {
		q.At = needs[0]
	}
	r.Requests[q.ID] = &q
	c.Done.Request, c.Done.Warnings = q.ID, trial.Done.Warnings
	c.requested(r, ChangeRequested, q, "")
	return nil
}

// requested writes down what became of a request.
func (c *Case) requested(r *Records, kind Kind, q Request, words string) {
	c.base.Kind, c.base.Reason = kind, string(q.Kind)
	if words != "" {
		c.base.Reason += ": " + words
	}
	c.journal(r, idp.Event{Subject: q.UID, Organisation: q.At})
}

// Decide approves a request, or refuses it. Who asked for the change may refuse
// it too, which withdraws it. An approved change is judged as if it were asked
// for now, and made.
func (s *Service) Decide(ctx context.Context, a Actor, id string, approve bool, reason string) (Done, error) {
	var f checks
	f.id("id", id)
	f.reason(reason, false)
	if err := f.err(); err != nil {
		return Done{}, err
	}
	ch, q, err := s.request(ctx, id)
	if err != nil {
		return Done{}, err
	}
	asker := Actor{Person: idp.Person{UID: q.AskedBy}, Request: a.Request, Lang: a.Lang}
	c, err := s.about(ctx, asker, ch)
	if _, no := errors.AsType[idp.Refusal](err); no && !approve {
		err = nil // what could not be made any more can be refused
	}
	if err != nil {
		return Done{}, err
	}
	t := s.touch(a, ch, c)
	t.People, t.Requests = append(t.People, q.AskedBy), append(t.Requests, id)
	t.People = slices.Compact(slices.Sorted(slices.Values(t.People)))
	var right error
	made, err := s.change(ctx, t, c, func(r *Records, c *Case) error {
		q := r.Requests[id]
		switch {
		case q == nil:
			return ErrNoRequest
		case q.State != Waiting || !c.Now.Before(q.Until):
			return ErrDecided
		}
		q.By, q.Reason = cmp.Or(a.Host, a.Person.UID), reason
		if !approve {
			right = c.decline(r, a, ch, q)
			return right
		}
		q.State = Approved
		right = c.approve(r, a, ch, q)
		if right != nil {
			return right
		}
		return c.make(r, ch)
	})
	if right != nil && errors.Is(err, right) {
		c.base.Actor, c.base.Session = cmp.Or(a.Host, a.Person.UID), a.Session.ID
		return Done{}, s.refused(ctx, c, err)
	}
	if err != nil || !approve {
		return Done{}, err
	}
	return s.finish(ctx, made, ch)
}

// request returns a request and what it asks for.
func (s *Service) request(ctx context.Context, id string) (Change, Request, error) {
	r, err := s.Keeper.Records(ctx, Touch{Requests: []string{id}})
	if err != nil {
		return nil, Request{}, fmt.Errorf("request %s: %w", id, err)
	}
	q := r.Requests[id]
	if q == nil {
		return nil, Request{}, ErrNoRequest
	}
	ch, err := Read(q.Kind, q.Change)
	if err != nil {
		return nil, Request{}, fmt.Errorf("request %s: %w", id, err)
	}
	return ch, *q, nil
}

// approve judges the rights of both anew: of who asked, as if they asked now,
// and of the second person.
func (c *Case) approve(r *Records, a Actor, ch Change, q *Request) error {
	if a.Host == "" && a.Person.UID == q.AskedBy {
		return ErrSamePerson
	}
	j := c.judgement(r, ch)
	by, err := j.approvers(q)
	if err != nil {
		return err
	}
	if err := j.approve(a, by, c.Now); err != nil {
		return err
	}
	c.Approver = cmp.Or(a.Host, a.Person.UID)
	c.base.Approver, c.base.Session = c.Approver, a.Session.ID
	return nil
}

// approvers are the authorities of which a second person must hold one, as
// things are now.
func (j judgement) approvers(q *Request) ([]Authority, error) {
	uses, err := j.uses(j.r.People[q.AskedBy], j.rule.may)
	if err != nil {
		return nil, ErrAskerNoMore
	}
	if by := j.seconds(uses); len(by) > 0 {
		return by, nil
	}
	return j.rule.may, nil // they could do it alone by now, and did not
}

// decline refuses a request, or withdraws it where its asker does so.
func (c *Case) decline(r *Records, a Actor, ch Change, q *Request) error {
	c.base.Actor, c.base.Session = cmp.Or(a.Host, a.Person.UID), a.Session.ID
	if a.Host == "" && a.Person.UID == q.AskedBy {
		q.State = Withdrawn // that gives nobody anything, whatever they may by now
		c.requested(r, ChangeWithdrawn, *q, q.Reason)
		return nil
	}
	// Whoever could approve may refuse, and whoever could make the change, should
	// its asker not have the right to it any more.
	j := c.judgement(r, ch)
	by, err := j.approvers(q)
	if err != nil {
		by = j.rule.may
	}
	if err := j.approve(a, by, c.Now); err != nil {
		return err
	}
	q.State = Declined
	c.requested(r, ChangeRefused, *q, q.Reason)
	return nil
}

// clone returns a copy of the records that shares nothing with them that a
// change changes.
func (r *Records) clone() Records {
	c := Records{
		Today: r.Today, People: map[string]*Person{}, Organisations: map[string]*directory.Organisation{}, Clients: map[string]*directory.Client{},
		Requests: map[string]*Request{}, Applicants: map[string]*Applicant{}, Managed: map[Name]bool{},
	}
	for uid, p := range r.People {
		copied := *p
		copied.Person, copied.Issuers, copied.Issued = p.Clone(), maps.Clone(p.Issuers), maps.Clone(p.Issued)
		c.People[uid] = &copied
	}
	for code, o := range r.Organisations {
		copied := *o
		c.Organisations[code] = &copied
	}
	for id, cl := range r.Clients {
		copied := *cl
		c.Clients[id] = &copied
	}
	for id, q := range r.Requests {
		copied := *q
		c.Requests[id] = &copied
	}
	for id, a := range r.Applicants {
		copied := *a
		c.Applicants[id] = &copied
	}
	if r.Policy != nil {
		policy := directory.Document{Policy: *r.Policy}.Clone().Policy
		c.Policy = &policy
	}
	return c
}

// differences are what a change made of records, without its secrets.
func differences(was, is *Records) []directory.Difference {
	return directory.Compare(was.document(), is.document())
}

// document is what records hold, as a document.
func (r *Records) document() directory.Document {
	var d directory.Document
	for _, o := range r.Organisations {
		d.Organisations = append(d.Organisations, *o)
	}
	for _, p := range r.People {
		d.People = append(d.People, p.Person)
	}
	for _, c := range r.Clients {
		d.Clients = append(d.Clients, *c)
	}
	if r.Policy != nil {
		d.Policy = *r.Policy
	}
	return d
}
