package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// NoticeSent is a mail of a manager's to everybody whom it concerns. It changes
// nothing in the registry.
const NoticeSent Kind = "notice_sent"

const (
	mostTold   = 1000 // by one notice
	maxSubject = 100
	maxNotice  = 2000

	// mostHeld is how many positions of those who are told are read: some have
	// several there.
	mostHeld = 4 * mostTold
)

// lastCode is that of a role, as Audience has it.
var lastCode = regexp.MustCompile(`^R[0-9]{1,6}$`)

// SendNotice tells by mail who works at an organisation, or below it, today. Who
// that is is found out when it is sent. It is plain text, and says whose it is.
type SendNotice struct {
	Organisation string `json:"organisation"`
	Role         string `json:"role,omitempty"`   // its last code, such as R8001; empty: every role
	Series       int    `json:"series,omitempty"` // of a card that they have; 0: whatever they have
	Subject      string `json:"subject"`
	Text         string `json:"text"`
}

// Kind implements Change.
func (SendNotice) Kind() Kind { return NoticeSent }

func (ch SendNotice) check() error {
	var f checks
	f.like("organisation", ch.Organisation, orgCode, true)
	f.like("role", ch.Role, lastCode, false)
	if ch.Series < 0 || ch.Series > 99 {
		f.add("series", Range)
	}
	f.text("subject", ch.Subject, maxSubject, true)
	f.text("text", strings.ReplaceAll(ch.Text, "\n", " "), maxNotice, true)
	return f.err()
}

func (ch SendNotice) touches() Touch       { return Touch{Organisations: []string{ch.Organisation}} }
func (ch SendNotice) about(*Records) About { return About{All: []string{ch.Organisation}} }

// audience is who is told, at the organisations of codes.
func (ch SendNotice) audience(codes []string) Audience {
	a := Audience{At: codes, Series: ch.Series}
	if ch.Role != "" {
		a.Roles = []string{ch.Role}
	}
	return a
}

func (ch SendNotice) make(r *Records, c *Case) error {
	o := r.Organisations[ch.Organisation]
	if o == nil {
		return refuse(ErrNoOrganisation, "organisation", Unknown)
	}
	told := slices.CompactFunc(slices.Clone(c.Told), func(a, b Addressee) bool { return a.UID == b.UID })
	if len(told) > mostTold || len(c.Told) > mostHeld {
		return ErrMany
	}
	sender, from := c.sender(r, ch.Organisation)
	for _, a := range told {
		r.Mails = append(r.Mails, idp.Mail{To: a.Email, Lang: c.Actor.Lang, Text: "mail.notice",
			Args: map[string]string{"sender": sender, "organisation": from, "subject": ch.Subject, "text": ch.Text}})
	}
	n := len(told)
	c.Done.Told = &n
	role, series := "", ""
	if ch.Role != "" {
		role = "role " + ch.Role
	}
	if ch.Series > 0 {
		series = "series " + strconv.Itoa(ch.Series)
	}
	c.journal(r, idp.Event{Organisation: ch.Organisation, Reason: join(fmt.Sprintf("told %d", n), role, series, ch.Subject)})
	return nil
}

// sender returns the name of who acts, and of the organisation by whose
// authority over another they do.
func (c *Case) sender(r *Records, code string) (name, organisation string) {
	name, from := c.Actor.Host, code
	if p := r.People[c.Actor.Person.UID]; p != nil {
		name = p.IDP(nil).Name.Display
		for _, h := range p.held(r.Today, false) {
			if h.Authority == Manager && (slices.Contains(r.above(code), h.Organisation) || h.Organisation == c.Policy.Home) {
				from = h.Organisation
			}
		}
	}
	if o := r.Organisations[from]; o != nil && o.Name != "" {
		return name, o.Name
	}
	return name, from
}
