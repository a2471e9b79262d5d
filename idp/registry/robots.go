package registry

import (
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// AddRobot adds a profile that a program works with.
type AddRobot struct {
	Display string   `json:"display"`
	Owner   string   `json:"owner"` // uid of who answers for it
	Until   idp.Date `json:"until"` // its last day
	Reason  string   `json:"reason"`
}

// Kind implements Change.
func (AddRobot) Kind() Kind { return RobotAdded }

func (ch AddRobot) words() string { return ch.Reason }

func (ch AddRobot) check() error {
	var f checks
	robot(&f, ch.Display, ch.Owner, ch.Until)
	f.reason(ch.Reason, true)
	return f.err()
}

func robot(f *checks, display, owner string, until idp.Date) {
	f.text("display", display, 2*maxName, true)
	f.uid("owner", owner)
	f.day("until", until, true)
}

func (ch AddRobot) touches() Touch { return Touch{People: []string{ch.Owner}} }

// about: the robot is nobody yet. The authority is that of where its owner works.
func (ch AddRobot) about(r *Records) About {
	return About{Owners: []string{ch.Owner}, Any: r.places(ch.Owner)}
}

func (ch AddRobot) make(r *Records, c *Case) error {
	if err := r.answers(ch.Owner, ch.Until); err != nil {
		return err
	}
	p := &Person{Person: directory.Person{UID: c.NewID(), Profile: idp.Verified, Name: directory.Name{Display: ch.Display},
		Robot: directory.Robot{Owner: ch.Owner, Until: ch.Until}}, AddedAt: c.Now}
	if r.People[p.UID] != nil {
		return idp.ErrTaken
	}
	r.People[p.UID] = p
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Reason: join(ch.Reason, "owner "+ch.Owner)})
	return nil
}

// mostRobot is for how long somebody answers for a robot before they say so
// again.
const mostRobot = 2 * 366

// answers says whether somebody may answer for a robot until that day.
func (r *Records) answers(owner string, until idp.Date) error {
	p, err := r.person(owner)
	switch {
	case err != nil:
		return refuse(refusalOf(err), "owner", Unknown)
	case p.Robot.Owner != "":
		return refuse(ErrRobot, "owner", Unknown)
	case p.Profile != idp.Verified:
		return refuse(ErrUnverified, "owner", Unknown)
	case until < r.Today:
		return refuse(ErrDay, "until", Order)
	case until > shift(r.Today, mostRobot):
		return refuse(ErrDay, "until", Range)
	}
	return nil
}

// ChangeRobot gives a robot another owner, name or end.
type ChangeRobot struct {
	UID     string   `json:"uid"`
	Display string   `json:"display"`
	Owner   string   `json:"owner"`
	Until   idp.Date `json:"until"`
	Reason  string   `json:"reason"`
}

// Kind implements Change.
func (ChangeRobot) Kind() Kind { return RobotChanged }

func (ch ChangeRobot) words() string { return ch.Reason }

func (ch ChangeRobot) check() error {
	var f checks
	f.uid("uid", ch.UID)
	robot(&f, ch.Display, ch.Owner, ch.Until)
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch ChangeRobot) touches() Touch { return Touch{People: []string{ch.UID, ch.Owner}} }

func (ch ChangeRobot) about(r *Records) About {
	return About{People: []string{ch.UID}, Owners: []string{ch.Owner}, Any: r.places(ch.UID)}
}

func (ch ChangeRobot) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if p.Robot.Owner == "" {
		return ErrRobot
	}
	if err := r.answers(ch.Owner, ch.Until); err != nil {
		return err
	}
	p.Name.Display, p.Robot = ch.Display, directory.Robot{Owner: ch.Owner, Until: ch.Until}
	for i := range p.Positions {
		if pos := &p.Positions[i]; pos.To == "" || pos.To > ch.Until {
			pos.To = ch.Until
		}
	}
	p.Positions = slices.DeleteFunc(p.Positions, func(pos directory.Position) bool { return pos.From > pos.To && pos.To != "" })
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Reason: join(ch.Reason, "owner "+ch.Owner)})
	return nil
}
