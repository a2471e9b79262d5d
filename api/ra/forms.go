package ra

import (
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// entry is how a field is filled in.
type entry int

const (
	text   entry = iota
	area         // several lines of text
	date         // a day
	number       // a whole number
	lines        // a list, one to a line
	codes        // codes with names, one to a line
	radios       // one of a few
	choice       // one of a few, or none
	many         // any of a few
	tick         // yes or no
	target       // comes in the address: to what it is done
)

// field is a field of a form. Its words are ra.field.NAME, ra.field.NAME.hint
// and ra.option.NAME.OPTION in the catalogue.
type field struct {
	name    string // as the JSON of its change has it
	as      entry
	options []string
	width   string
	list    string // of what may be offered: organisations or roles
	is      entry  // of a target: what it is, if not text
	begins  string // the group of fields that begins with it: ra.group.NAME
	file    string // of text that may come as a file too: how the names of such files end
}

// form is what a change asks for. Its words are ra.change.KIND, which stands on
// the link, the page and the button, ra.event.KIND and, where more is to be
// said, ra.text.KIND.
type form struct {
	kind   registry.Kind
	fields []field

	// short forms ask for a reason at most: their page shows at once what the
	// change would do.
	short bool

	// stops is of what takes something away.
	stops bool

	// stand stands in for what is not filled in yet when it is asked whether
	// somebody may make the change at all.
	stand map[string]string
}

// anyOwn stands in for an organisation: each at which the actor holds an
// authority is tried.
const anyOwn = "@"

func to(names ...string) []field {
	var fields []field
	for _, name := range names {
		fields = append(fields, field{name: name, as: target})
	}
	return fields
}

var (
	why   = field{name: "reason", width: ""}
	organ = field{name: "organisation", width: "10", list: "organisations"}
)

// details are the fields of registry.Details.
var details = []field{
	{name: "name.title", width: "10", begins: "name"}, {name: "name.given", width: "20"}, {name: "name.middle", width: "20"},
	{name: "name.family", width: "20"}, {name: "name.display", width: "20"},
	{name: "email", begins: "contact"}, {name: "mobile", width: "20"}, {name: "ni_number", width: "10"},
	{name: "professional.gmc_id", width: "10", begins: "professional"}, {name: "professional.nmc_id", width: "10"},
	{name: "professional.gdc_id", width: "10"}, {name: "professional.gphc_id", width: "10"}, {name: "professional.gmp_id", width: "10"},
	{name: "professional.gdp_id", width: "10"}, {name: "professional.rcn_id", width: "10"}, {name: "professional.consultant_id", width: "10"},
}

// identity are the fields of registry.IdentityCheck.
func identity(how ...registry.How) []field {
	var ways []string
	for _, h := range how {
		ways = append(ways, string(h))
	}
	return []field{
		{name: "check.how", as: radios, options: ways, begins: "check"},
		{name: "check.documents", as: many, options: []string{"passport", "driving_licence", "residence_permit", "birth_certificate", "bank_statement", "utility_bill", "payslip", "other"}},
		{name: "check.assurance", as: choice, options: []string{"0", "1", "2", "3"}},
		{name: "check.by", width: "20"},
	}
}

// work are the fields of registry.Work, the organisation apart.
var work = []field{
	{name: "role_code", width: "20", list: "roles"}, {name: "role_name"},
	{name: "from", as: date}, {name: "to", as: date},
	{name: "activities", as: codes, begins: "more"}, {name: "areas_of_work", as: codes}, {name: "workgroups", as: codes},
}

// card are the fields of registry.CardFacts.
var card = []field{{name: "serial", width: "20"}, {name: "series", as: number, width: "4"}, {name: "ends_on", as: date}}

var standIdentity = map[string]string{"check.how": "in_person", "check.assurance": "1"}

// forms are the forms, in the order in which pages offer what they are of.
var forms = []form{
	{kind: registry.PositionAssigned, fields: slices.Concat([]field{{name: "uids", as: lines}, organ}, work, []field{why}),
		stand: map[string]string{"organisation": anyOwn, "role_code": "R8000"}},
	{kind: registry.TemporaryGranted, fields: slices.Concat(to("uid"), []field{organ}, work, []field{why}),
		stand: map[string]string{"organisation": anyOwn, "role_code": "R8000", "to": "2200-01-01"}},
	{kind: registry.PositionChanged, fields: slices.Concat(to("position", "organisation"), work, []field{why}), stand: map[string]string{"role_code": "R8000"}},
	{kind: registry.PositionEnded, fields: append(to("position"), field{name: "day", as: date}, why), stops: true},
	{kind: registry.PersonLeft, fields: append(to("uid"), organ, field{name: "day", as: date}, why), stops: true,
		stand: map[string]string{"organisation": anyOwn}},

	{kind: registry.PersonAdded, fields: slices.Concat(details,
		[]field{{name: "profile", as: radios, options: []string{string(idp.Verified), string(idp.Unverified)}, begins: "profile"}},
		identity(registry.InPerson, registry.ByVideo, registry.Vouched), []field{why}),
		stand: map[string]string{"name.given": "A", "name.family": "B", "profile": "unverified"}},
	{kind: registry.PersonChanged, fields: slices.Concat(to("uid"), details, []field{why}), stand: map[string]string{"name.given": "A", "name.family": "B"}},
	{kind: registry.PersonVerified, fields: append(to("uid"), identity(registry.InPerson, registry.ByVideo, registry.Vouched)...), stand: standIdentity},
	{kind: registry.PersonRestricted, fields: append(to("uid"), why), short: true, stops: true},
	{kind: registry.PersonReopened, fields: append(to("uid"), why), short: true},
	{kind: registry.PersonClosed, fields: append(to("uid"), why), short: true, stops: true},
	{kind: registry.PeopleMerged, fields: append(to("duplicate"), field{name: "into", width: "20"}, why), stops: true,
		stand: map[string]string{"into": "000000000000"}},
	{kind: registry.RobotAdded, fields: []field{{name: "display"}, {name: "owner", width: "20"}, {name: "until", as: date}, why},
		stand: map[string]string{"display": "A", "owner": "000000000000", "until": "2200-01-01"}},
	{kind: registry.RobotChanged, fields: append(to("uid"), field{name: "display"}, field{name: "owner", width: "20"}, field{name: "until", as: date}, why),
		stand: map[string]string{"display": "A", "owner": "000000000000", "until": "2200-01-01"}},

	{kind: registry.AuthenticatorCode, fields: append(to("uid"), identity(registry.InPerson, registry.ByVideo)...), stand: standIdentity},
	{kind: registry.CardIssued, fields: slices.Concat(to("uid"), card, []field{why}), stand: map[string]string{"serial": "00", "series": "9", "ends_on": "2200-01-01"}},
	{kind: registry.CertificateIssued, fields: append(to("uid", "old"), field{name: "csr", as: area, file: ".csr,.req,.p10,.pem,.txt"}, field{name: "series", as: number, width: "4"}, why),
		stand: map[string]string{"csr": "-", "series": "9"}},
	{kind: registry.CertificateRecorded, fields: append(to("uid", "old"), field{name: "certificate", as: area, file: ".crt,.cer,.pem,.txt"}, field{name: "series", as: number, width: "4"}, why),
		stand: map[string]string{"certificate": "-", "series": "9"}},
	{kind: registry.CardSuspended, fields: append(to("serial"), why), short: true, stops: true},
	{kind: registry.CardResumed, fields: append(to("serial"), why), short: true},
	{kind: registry.CardReplaced, fields: slices.Concat(to("old"), card, []field{why}), stand: map[string]string{"serial": "00", "series": "9", "ends_on": "2200-01-01"}},
	{kind: registry.CardRevoked, fields: append(to("serial"), why), short: true, stops: true},
	{kind: idp.AuthenticatorSuspended, fields: append(to("uid", "id"), why), short: true, stops: true},
	{kind: registry.AuthenticatorBack, fields: append(to("uid", "id"), why), short: true},
	{kind: idp.AuthenticatorRemoved, fields: append(to("uid", "id"), why), short: true, stops: true},
	{kind: registry.LockLifted, fields: append(to("uid", "authenticator"), why), short: true},
	{kind: idp.SessionEnded, fields: append(to("uid", "sid"), why), short: true, stops: true},
	{kind: idp.SignedOutAll, fields: append(to("uid"), why), short: true, stops: true},

	{kind: registry.ApplicantInvited, fields: []field{{name: "email"}, organ, why}, stand: map[string]string{"email": "a@example.org", "organisation": anyOwn}},
	{kind: registry.ApplicantAccepted, fields: append(to("applicant"), identity(registry.InPerson, registry.ByVideo, registry.Vouched)...), stand: standIdentity},
	{kind: registry.ApplicantRefused, fields: append(to("applicant"), why), short: true, stops: true},

	{kind: registry.OrganisationAdded, fields: []field{{name: "code", width: "10"}, {name: "name"}, {name: "parent", width: "10", list: "organisations"}},
		stand: map[string]string{"code": "ZZ99999", "name": "A", "parent": anyOwn}},
	{kind: registry.OrganisationChanged, fields: append(to("code"), field{name: "name"}, field{name: "parent", width: "10", list: "organisations"}, why),
		stand: map[string]string{"name": "A"}},
	{kind: registry.PositionsMoved, fields: append(to("from"), field{name: "to", width: "10", list: "organisations"}, field{name: "day", as: date}, field{name: "uids", as: lines}, why),
		stand: map[string]string{"to": anyOwn, "day": "2200-01-01"}},
	{kind: registry.OrganisationsMerged, fields: append(to("code"), field{name: "successor", width: "10", list: "organisations"}, field{name: "on", as: date}, why), stops: true,
		stand: map[string]string{"successor": anyOwn, "on": "2200-01-01"}},
	{kind: registry.OrganisationClosed, fields: append(to("code"), field{name: "on", as: date}, field{name: "successor", width: "10", list: "organisations"}, why), stops: true,
		stand: map[string]string{"on": "2200-01-01"}},
	{kind: registry.NoticeSent, fields: append(to("organisation"), field{name: "role", width: "20", list: "roles"}, field{name: "series", as: number, width: "4"},
		field{name: "subject"}, field{name: "text", as: area}), stand: map[string]string{"subject": "A", "text": "A"}},

	{kind: registry.SeriesRuleSet, fields: []field{{name: "remove", as: target, is: tick}, {name: "series", as: number, width: "4"}, {name: "blocked_from", as: date}, {name: "legacy_gateway", as: tick}, why},
		stand: map[string]string{"series": "9"}},
	{kind: registry.AgentRuleSet, fields: []field{{name: "remove", as: target, is: tick}, {name: "product", width: "20"}, {name: "below", width: "10"}, {name: "except", width: "10"}, {name: "blocked_from", as: date}, why},
		stand: map[string]string{"product": "lanyard-agent", "below": "1", "blocked_from": "2200-01-01"}},
}

// formOf returns the form of a kind.
func formOf(kind registry.Kind) (form, bool) {
	i := slices.IndexFunc(forms, func(f form) bool { return f.kind == kind })
	if i < 0 {
		return form{}, false
	}
	return forms[i], true
}

func known(kind registry.Kind) bool {
	_, ok := formOf(kind)
	return ok
}

// targets are the names of what comes in the address.
func (f form) targets() []string {
	var names []string
	for _, fl := range f.fields {
		if fl.as == target {
			names = append(names, fl.name)
		}
	}
	return names
}

// visible are the fields that somebody fills in.
func (f form) visible() []field {
	return slices.DeleteFunc(slices.Clone(f.fields), func(fl field) bool { return fl.as == target })
}
