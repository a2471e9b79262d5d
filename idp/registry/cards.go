package registry

import (
	"strconv"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// The states of a card.
const (
	active    directory.CardState = "active"
	suspended directory.CardState = "suspended"
	blocked   directory.CardState = "blocked" // by wrong passcodes
	revoked   directory.CardState = "revoked"
)

// longestCard is how many days the certificate of a card may last.
const longestCard = 5 * 366

// CardFacts are what a certificate says of the card that it is on.
type CardFacts struct {
	Serial string   `json:"serial"` // of the certificate, in hex
	Series int      `json:"series"`
	EndsOn idp.Date `json:"ends_on"` // the last day of the certificate
}

func (f *checks) card(facts CardFacts) {
	if facts.Serial == "" {
		f.add("serial", Missing)
	} else if directory.CardSerial(facts.Serial) == "" {
		f.add("serial", Form)
	}
	if facts.Series < 1 || facts.Series > 99 {
		f.add("series", Range)
	}
	f.day("ends_on", facts.EndsOn, true)
}

// card returns a card that the registry knows, and whose it is.
func (r *Records) card(serial string) (*Person, *directory.Card) {
	serial = directory.CardSerial(serial)
	for _, p := range r.People {
		for i := range p.Cards {
			if p.Cards[i].Registered && directory.CardSerial(p.Cards[i].Serial) == serial {
				return p, &p.Cards[i]
			}
		}
	}
	return nil, nil
}

// aboutCard is whom a change of a card concerns.
func (r *Records) aboutCard(serial string) About {
	p, _ := r.card(serial)
	if p == nil {
		return About{}
	}
	return r.of(p.UID)
}

// fit says whether a person may have what signs them in at the highest level.
func (p *Person) fit() error {
	switch p.Profile {
	case idp.Verified:
		return nil
	case idp.Restricted:
		return ErrRestricted
	case idp.Unverified:
		return ErrUnverified
	case idp.Closed:
	}
	return ErrClosed // and whatever nobody knows
}

// issue gives p a card.
func (facts CardFacts) issue(r *Records, c *Case, p *Person) error {
	if err := p.fit(); err != nil {
		return err
	}
	if _, taken := r.card(facts.Serial); taken != nil {
		return refuse(idp.ErrTaken, "serial", Taken)
	}
	if len(p.Cards) >= maxCards {
		return ErrMany
	}
	if facts.EndsOn < r.Today || facts.EndsOn > shift(r.Today, longestCard) {
		return refuse(ErrCertificate, "ends_on", Range)
	}
	if err := r.usable(c, facts.Series); err != nil {
		return err
	}
	serial := directory.CardSerial(facts.Serial)
	p.Cards = append(p.Cards, directory.Card{Serial: serial, Series: facts.Series, State: active, Registered: true,
		Certificate: "valid", TriesLeft: 3, EndsOn: facts.EndsOn})
	p.issuedNow(serial, c.Now)
	c.tell(r, p, "mail.added", map[string]string{"name": serial})
	c.Done.ID, c.Done.Person = serial, p
	return nil
}

// usable says whether cards of a series may be used, and warns of the day from
// which they may not.
func (r *Records) usable(c *Case, series int) error {
	if r.Policy == nil {
		return nil
	}
	for _, rule := range r.Policy.CardSeries {
		if rule.Series != series || rule.BlockedFrom == "" {
			continue
		}
		if rule.BlockedFrom <= r.Today {
			return refuse(ErrSeries, "series", Unknown)
		}
		c.warn(Warning{Code: WarnSeriesEnds, Args: []string{string(rule.BlockedFrom), strconv.Itoa(series)}})
	}
	return nil
}

// IssueCard gives a card to a person. Who proved whose certificate it is did so
// before: where a certificate is at hand, RecordCertificate does.
type IssueCard struct {
	UID string `json:"uid"`
	CardFacts
	Reason string `json:"reason,omitempty"`
}

// Kind implements Change.
func (IssueCard) Kind() Kind { return CardIssued }

func (ch IssueCard) words() string { return ch.Reason }

func (ch IssueCard) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.card(ch.CardFacts)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch IssueCard) touches() Touch {
	return Touch{People: []string{ch.UID}, Cards: []string{directory.CardSerial(ch.Serial)}, Policy: true}
}

func (ch IssueCard) about(r *Records) About { return r.of(ch.UID) }

func (ch IssueCard) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if err := ch.issue(r, c, p); err != nil {
		return err
	}
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: "card:" + c.Done.ID})
	return nil
}

// onCard checks what the changes of one card have.
func onCard(serial, reason string) error {
	var f checks
	if directory.CardSerial(serial) == "" {
		f.add("serial", Form)
	}
	f.reason(reason, true)
	return f.err()
}

func touchCard(serial string) Touch { return Touch{Cards: []string{directory.CardSerial(serial)}} }

// turn gives a card another state, if it is in one of those from which it may
// get there, and tells its person.
func (c *Case) turn(r *Records, serial string, to directory.CardState, mail string, from ...directory.CardState) error {
	p, card := r.card(serial)
	if p == nil {
		return ErrNoCard
	}
	was := card.State
	for _, state := range from {
		if was == state {
			card.State = to
		}
	}
	if card.State == was {
		return ErrCardState
	}
	serial = directory.CardSerial(serial)
	c.tell(r, p, mail, map[string]string{"name": serial})
	c.Done.ID, c.Done.Person = serial, p
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: "card:" + serial})
	return nil
}

// SuspendCard stops a card until it is resumed.
type SuspendCard struct {
	Serial string `json:"serial"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (SuspendCard) Kind() Kind { return CardSuspended }

func (ch SuspendCard) words() string          { return ch.Reason }
func (ch SuspendCard) check() error           { return onCard(ch.Serial, ch.Reason) }
func (ch SuspendCard) touches() Touch         { return touchCard(ch.Serial) }
func (ch SuspendCard) about(r *Records) About { return r.aboutCard(ch.Serial) }

func (ch SuspendCard) make(r *Records, c *Case) error {
	return c.turn(r, ch.Serial, suspended, "mail.lost", active, blocked)
}

// ResumeCard lets a card be used again that was suspended, or blocked by wrong
// passcodes.
type ResumeCard struct {
	Serial string `json:"serial"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (ResumeCard) Kind() Kind { return CardResumed }

func (ch ResumeCard) words() string          { return ch.Reason }
func (ch ResumeCard) check() error           { return onCard(ch.Serial, ch.Reason) }
func (ch ResumeCard) touches() Touch         { return touchCard(ch.Serial) }
func (ch ResumeCard) about(r *Records) About { return r.aboutCard(ch.Serial) }

func (ch ResumeCard) make(r *Records, c *Case) error {
	p, card := r.card(ch.Serial)
	if p == nil {
		return ErrNoCard
	}
	if err := p.fit(); err != nil {
		return err
	}
	if card.EndsOn != "" && card.EndsOn < r.Today {
		return ErrCertificate
	}
	if card.State == blocked {
		card.TriesLeft = max(card.TriesLeft, 3) // of the virtual card
	}
	return c.turn(r, ch.Serial, active, "mail.back", suspended, blocked)
}

// RevokeCard ends a card for good.
type RevokeCard struct {
	Serial string `json:"serial"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (RevokeCard) Kind() Kind { return CardRevoked }

func (ch RevokeCard) words() string          { return ch.Reason }
func (ch RevokeCard) check() error           { return onCard(ch.Serial, ch.Reason) }
func (ch RevokeCard) touches() Touch         { return touchCard(ch.Serial) }
func (ch RevokeCard) about(r *Records) About { return r.aboutCard(ch.Serial) }

func (ch RevokeCard) make(r *Records, c *Case) error {
	return c.turn(r, ch.Serial, revoked, "mail.removed", active, suspended, blocked)
}

// ReplaceCard gives a person a card in the place of another, which is revoked.
type ReplaceCard struct {
	Old string `json:"old"` // serial number
	CardFacts
	Reason string `json:"reason"`
}

// Kind implements Change.
func (ReplaceCard) Kind() Kind { return CardReplaced }

func (ch ReplaceCard) words() string { return ch.Reason }

func (ch ReplaceCard) check() error {
	var f checks
	f.card(ch.CardFacts)
	if old := directory.CardSerial(ch.Old); old == "" {
		f.add("old", Form)
	} else if old == directory.CardSerial(ch.Serial) {
		f.add("serial", Twice)
	}
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch ReplaceCard) touches() Touch {
	return Touch{Cards: []string{directory.CardSerial(ch.Old), directory.CardSerial(ch.Serial)}, Policy: true}
}

func (ch ReplaceCard) about(r *Records) About { return r.aboutCard(ch.Old) }

func (ch ReplaceCard) make(r *Records, c *Case) error {
	p, old := r.card(ch.Old)
	if p == nil {
		return ErrNoCard
	}
	if err := p.fit(); err != nil {
		return err
	}
	if old.State != revoked { // one that was revoked already is replaced as well
		old.State = revoked
		c.tell(r, p, "mail.removed", map[string]string{"name": directory.CardSerial(ch.Old)})
	}
	if err := ch.issue(r, c, p); err != nil {
		return err
	}
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: "card:" + c.Done.ID,
		Reason: join(ch.Reason, "in the place of "+directory.CardSerial(ch.Old))})
	return nil
}
