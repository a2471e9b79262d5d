package registry

import (
	"github.com/lanyard-id/lanyard/idp"
)

// EndSession ends one session of a person.
type EndSession struct {
	UID    string `json:"uid"`
	SID    string `json:"sid"`
	Reason string `json:"reason,omitempty"`
}

// Kind implements Change.
func (EndSession) Kind() Kind { return idp.SessionEnded }

func (ch EndSession) words() string      { return ch.Reason }
func (ch EndSession) sessionsOf() string { return ch.UID }

func (ch EndSession) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.id("sid", ch.SID)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch EndSession) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch EndSession) about(r *Records) About { return r.of(ch.UID) }

func (ch EndSession) make(r *Records, c *Case) error {
	p, err := r.anybody(ch.UID)
	if err != nil {
		return err
	}
	for _, s := range c.Sessions {
		if s.ID == ch.SID && s.Subject == ch.UID {
			r.Ends = append(r.Ends, s)
			c.Done.ID, c.Done.Person = s.ID, p
			c.journal(r, idp.Event{Subject: ch.UID, Session: s.ID})
			return nil
		}
	}
	return ErrNoSession
}

// EndSessions ends everything that a person is signed in to.
type EndSessions struct {
	UID    string `json:"uid"`
	Reason string `json:"reason,omitempty"`
}

// Kind implements Change.
func (EndSessions) Kind() Kind { return idp.SignedOutAll }

func (ch EndSessions) words() string      { return ch.Reason }
func (ch EndSessions) sessionsOf() string { return ch.UID }

func (ch EndSessions) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch EndSessions) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch EndSessions) about(r *Records) About { return r.of(ch.UID) }

func (ch EndSessions) make(r *Records, c *Case) error {
	p, err := r.anybody(ch.UID)
	if err != nil {
		return err
	}
	p.SignedOutAt = c.Now
	for _, s := range c.Sessions {
		if s.Subject == ch.UID {
			r.Ends = append(r.Ends, s)
		}
	}
	c.tell(r, p, "mail.everywhere", nil)
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}
