package registry

import (
	"slices"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Authority is what a position lets somebody do in the registration authority,
// at its organisation and at those below.
type Authority string

// The authorities. NHS guides name them all; the codes of three are known.
const (
	Manager   Authority = "ra_manager"
	Advanced  Authority = "ra_advanced_agent"
	Agent     Authority = "ra_agent"
	Sponsor   Authority = "sponsor"
	IDChecker Authority = "id_checker"
	CardAdmin Authority = "local_smartcard_administrator"
)

// mark is how a position shows an authority: by the last code of its role, by
// an activity, or by both.
type mark struct {
	authority Authority
	role      string // R code
	activity  string // B code
}

// marks are the codes of positions. R5080, R5090, B1300 and B0267 are those of
// the national tables. Which say that an agent is an advanced one and that
// somebody looks after smartcards is not known outside: B0266 and B0263 are our
// own choice (docs/registry.md).
var marks = []mark{
	{Manager, "R5080", ""},
	{Advanced, "R5090", "B0266"},
	{Agent, "R5090", ""},
	{Sponsor, "", "B1300"},
	{IDChecker, "", "B0267"},
	{CardAdmin, "", "B0263"},
}

// reach says where somebody must hold an authority.
type reach int

const (
	there reach = iota // at the organisations that the change concerns, or above
	home               // at the organisation that runs the service
)

// rule is one row of the table.
type rule struct {
	kind  Kind
	may   []Authority
	where reach

	// raises is of what gives somebody access, or could: it needs a fresh
	// sign-in, and for those who hold an authority themselves a manager.
	raises bool
}

var (
	managers  = []Authority{Manager}
	seniors   = []Authority{Manager, Advanced}
	agents    = []Authority{Manager, Advanced, Agent}
	assigners = []Authority{Manager, Advanced, Agent, Sponsor}
	checkers  = []Authority{Manager, Advanced, Agent, IDChecker}
	inviters  = []Authority{Manager, Advanced, Agent, IDChecker, Sponsor}
	cardStaff = []Authority{Manager, Advanced, Agent, CardAdmin}
)

// rules is the table: who may make which change, and where. A kind that is not
// here nobody makes but the operator at the server's own host.
var rules = []rule{
	{PersonAdded, checkers, there, false},
	{PersonChanged, agents, there, true}, // by e-mail and mobile people get back what they sign in with
	{PersonVerified, checkers, there, true},
	{PersonRestricted, agents, there, false},
	{PersonClosed, seniors, there, false},
	{PersonReopened, seniors, there, true},
	{PeopleMerged, seniors, there, true},
	{RobotAdded, agents, there, true},
	{RobotChanged, seniors, there, true},

	{OrganisationAdded, managers, there, false},
	{OrganisationChanged, managers, there, true}, // another parent has other authorities
	{OrganisationClosed, managers, there, false},
	{OrganisationsMerged, managers, there, true},
	{PositionsMoved, seniors, there, true},

	{PositionAssigned, assigners, there, true},
	{PositionChanged, assigners, there, true},
	{PositionEnded, assigners, there, false},
	{PersonLeft, assigners, there, false},
	{TemporaryGranted, assigners, there, true},

	{CardIssued, agents, there, true},
	{CardSuspended, cardStaff, there, false},
	{CardResumed, cardStaff, there, true},
	{CardRevoked, agents, there, false},
	{CardReplaced, agents, there, true},
	{CertificateIssued, agents, there, true},
	{CertificateRecorded, agents, there, true},

	{idp.AuthenticatorSuspended, cardStaff, there, false},
	{AuthenticatorBack, agents, there, true},
	{idp.AuthenticatorRemoved, seniors, there, false},
	{AuthenticatorCode, seniors, there, true},
	{LockLifted, cardStaff, there, true},

	{idp.SessionEnded, agents, there, false},
	{idp.SignedOutAll, agents, there, false},

	{ApplicantInvited, inviters, there, false},
	{ApplicantAccepted, checkers, there, true},
	{ApplicantRefused, inviters, there, false},
	{NoticeSent, managers, there, true}, // by mail in the name of the service people are led to anything

	{SeriesRuleSet, managers, home, true},
	{AgentRuleSet, managers, home, true},
	{ClientAdded, managers, home, true},
	{ClientChanged, managers, home, true},
	{ClientRemoved, managers, home, true},
	{DocumentApplied, managers, home, true},
}

// ruleOf returns the row of a kind; nobody may make one that has none.
func ruleOf(kind Kind) rule {
	if i := slices.IndexFunc(rules, func(r rule) bool { return r.kind == kind }); i >= 0 {
		return rules[i]
	}
	return rule{kind: kind, where: home, raises: true}
}

// SecondPerson says that a change waits for a second person when somebody asks
// for it by an authority.
type SecondPerson struct {
	Kind  Kind        `json:"change"`
	Asker Authority   `json:"asked_by"`
	By    []Authority `json:"approved_by"` // one of them; none: no second person is needed
}

// Approvals is the policy of a service.
type Approvals struct {
	// Home is the code of the organisation that runs the service. Its managers
	// alone change what concerns everybody: applications, rules on cards, the
	// document. It counts as above all organisations. Empty: nobody but the
	// operator does.
	Home string

	// Second are put before DefaultSecond: the first that fits counts.
	Second []SecondPerson

	// TemporaryDays is how many days temporary access may last; 0: 14.
	TemporaryDays int
}

// DefaultSecond are the changes that wait for a second person where the policy
// says nothing else.
var DefaultSecond = []SecondPerson{
	{PositionAssigned, Agent, []Authority{Sponsor, Manager}},
	{PositionAssigned, Sponsor, []Authority{Agent, Advanced, Manager}},
	{PositionChanged, Agent, []Authority{Sponsor, Manager}},
	{PositionChanged, Sponsor, []Authority{Agent, Advanced, Manager}},
	{TemporaryGranted, Agent, []Authority{Sponsor, Manager}},
	{TemporaryGranted, Sponsor, []Authority{Agent, Advanced, Manager}},
	{RobotAdded, Agent, managers},
	{RobotAdded, Advanced, managers},
	{RobotChanged, Advanced, managers},
	{PeopleMerged, Advanced, managers},
}

// second returns who must approve a change that somebody asks for by an
// authority; none: nobody.
func (p Approvals) second(kind Kind, asker Authority) []Authority {
	for _, list := range [][]SecondPerson{p.Second, DefaultSecond} {
		for _, s := range list {
			if s.Kind == kind && s.Asker == asker {
				return s.By
			}
		}
	}
	return nil
}

// Grant is a row of the table as people are shown it.
type Grant struct {
	Authority Authority   `json:"authority"`
	Level     int         `json:"level"`            // of the sign-in
	Fresh     bool        `json:"fresh"`            // of the last 20 minutes
	Home      bool        `json:"home,omitempty"`   // held at the organisation that runs the service
	Second    []Authority `json:"second,omitempty"` // one of them must approve
}

// Table returns who may make changes of that kind under the policy.
func (p Approvals) Table(kind Kind) []Grant {
	r := ruleOf(kind)
	var grants []Grant
	for _, a := range r.may {
		grants = append(grants, Grant{Authority: a, Level: int(authenticators.AAL3), Fresh: r.raises,
			Home: r.where == home, Second: p.second(kind, a)})
	}
	return grants
}

// Kinds are the kinds of changes, in the order of the table.
func Kinds() []Kind {
	var kinds []Kind
	for _, r := range rules {
		kinds = append(kinds, r.kind)
	}
	return kinds
}

// Held is an authority that somebody holds at an organisation.
type Held struct {
	Authority    Authority `json:"authority"`
	Organisation string    `json:"organisation"`
	Position     string    `json:"position"`
}
