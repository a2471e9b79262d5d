package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/idp"
)

// How long things may be, in characters, and how many there may be.
const (
	maxName      = 100
	maxLongName  = 300 // of roles and applications
	maxReason    = 500
	maxCode      = 40
	maxPeople    = 1000 // in one change
	maxCodes     = 200  // of a position
	maxPositions = 500  // of a person
	maxCards     = 20
	maxDocuments = 10
	maxRules     = 500
)

var (
	orgCode  = regexp.MustCompile(`^[A-Z0-9]{2,12}$`)                                   // ODS
	roleCode = regexp.MustCompile(`^([A-Z][0-9]{1,6}:){0,2}R[0-9]{1,6}$`)               // S8000:G8000:R8000
	plainRef = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/\-]*$`)                   // activities, areas of work, workgroups
	number   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 /\-]*$`)                      // of a professional register
	mobile   = regexp.MustCompile(`^\+?[0-9]{6,15}$`)                                   // ITU-T E.164 §6
	insured  = regexp.MustCompile(`^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]$`) // a National Insurance number
	product  = regexp.MustCompile(`^[a-z0-9][a-z0-9.\-]{0,39}$`)
	version  = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,6}){0,4}$`)
	word     = regexp.MustCompile(`^[a-z][a-z_]{1,39}$`) // a kind of document
)

// checks gathers what is wrong with the fields of a change.
type checks []Field

func (f *checks) add(name, problem string) {
	if len(*f) < 20 {
		*f = append(*f, Field{name, problem})
	}
}

// err returns the fields as one refusal, or nil.
func (f checks) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Refused{Refusal: ErrField, Fields: f}
}

// text wants words that people can read: not too long, and nothing that is not
// seen or turns text around.
func (f *checks) text(name, value string, most int, required bool) {
	switch {
	case value == "" && required, value != "" && strings.TrimSpace(value) == "":
		f.add(name, Missing)
	case len(value) > 4*most || utf8.RuneCountInString(value) > most:
		f.add(name, TooLong)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unseen):
		f.add(name, Unseen)
	}
}

func unseen(c rune) bool { return !unicode.IsGraphic(c) || c != ' ' && unicode.IsSpace(c) }

// like wants text of a form; empty is none.
func (f *checks) like(name, value string, form *regexp.Regexp, required bool) {
	switch {
	case value == "" && required:
		f.add(name, Missing)
	case len(value) > maxCode:
		f.add(name, TooLong)
	case value != "" && !form.MatchString(value):
		f.add(name, Form)
	}
}

func (f *checks) uid(name, value string) {
	if value == "" {
		f.add(name, Missing)
	} else if !idp.IsUID(value) {
		f.add(name, Form)
	}
}

// uids wants at least one uid, none of them twice.
func (f *checks) uids(name string, values []string, required bool) {
	if len(values) == 0 && required {
		f.add(name, Missing)
	}
	if len(values) > maxPeople {
		f.add(name, Range)
		return
	}
	seen := make(map[string]bool, len(values))
	for i, uid := range values {
		at := fmt.Sprintf("%s.%d", name, i)
		f.uid(at, uid)
		if seen[uid] {
			f.add(at, Twice)
		}
		seen[uid] = true
	}
}

// day wants a day of the calendar, written as days are.
func (f *checks) day(name string, value idp.Date, required bool) {
	if value == "" {
		if required {
			f.add(name, Missing)
		}
		return
	}
	if t, err := time.Parse(time.DateOnly, string(value)); err != nil || t.Format(time.DateOnly) != string(value) || t.Year() < 1900 || t.Year() > 2200 {
		f.add(name, Form)
	}
}

func (f *checks) reason(value string, required bool) { f.text("reason", value, maxReason, required) }

// id wants the number of a position, an authenticator or a session: what it is
// exactly those know who made it.
func (f *checks) id(name, value string) {
	switch {
	case value == "":
		f.add(name, Missing)
	case len(value) > 100 || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }):
		f.add(name, Form)
	}
}

func (f *checks) codes(name string, codes []Coded) {
	if len(codes) > maxCodes {
		f.add(name, Range)
		return
	}
	seen := make(map[string]bool, len(codes))
	for i, c := range codes {
		at := fmt.Sprintf("%s.%d.", name, i)
		f.like(at+"code", c.Code, plainRef, true)
		f.text(at+"name", c.Name, maxLongName, false)
		if seen[c.Code] {
			f.add(at+"code", Twice)
		}
		seen[c.Code] = true
	}
}

func (f *checks) work(w Work) {
	f.like("organisation", w.Organisation, orgCode, true)
	f.like("role_code", w.RoleCode, roleCode, true)
	f.text("role_name", w.RoleName, maxLongName, false)
	f.codes("activities", w.Activities)
	f.codes("areas_of_work", w.AreasOfWork)
	f.codes("workgroups", w.Workgroups)
	f.day("from", w.From, false)
	f.day("to", w.To, false)
	if w.From != "" && w.To != "" && w.To < w.From {
		f.add("to", Order)
	}
}

func (f *checks) details(d Details) {
	f.text("name.title", d.Name.Title, 40, false)
	f.text("name.given", d.Name.Given, maxName, true)
	f.text("name.middle", d.Name.Middle, maxName, false)
	f.text("name.family", d.Name.Family, maxName, true)
	f.text("name.display", d.Name.Display, 2*maxName, false)
	if d.Email != "" {
		if email, err := idp.ParseEmail(d.Email); err != nil || email != d.Email {
			f.add("email", Form)
		}
	}
	f.like("mobile", d.Mobile, mobile, false)
	f.like("ni_number", d.NINumber, insured, false)
	p := d.Professional
	for _, n := range []struct{ key, value string }{
		{"gmc_id", p.GMC}, {"nmc_id", p.NMC}, {"gdc_id", p.GDC}, {"gphc_id", p.GPhC},
		{"gmp_id", p.GMP}, {"gdp_id", p.GDP}, {"rcn_id", p.RCN}, {"consultant_id", p.Consultant},
	} {
		f.like("professional."+n.key, n.value, number, false)
	}
}

func (f *checks) identity(name string, c IdentityCheck) {
	if !slices.Contains([]How{InPerson, ByVideo, Vouched}, c.How) {
		f.add(name+".how", Unknown)
	}
	if c.By != "" {
		f.uid(name+".by", c.By)
	}
	if len(c.Documents) > maxDocuments {
		f.add(name+".documents", Range)
		return
	}
	for i, d := range c.Documents {
		f.like(fmt.Sprintf("%s.documents.%d", name, i), d, word, true)
	}
	if c.Assurance < 0 || c.Assurance > 3 {
		f.add(name+".assurance", Range)
	}
	// An identity that was proved to a level above the lowest was proved by
	// something.
	if c.Assurance > 1 && len(c.Documents) == 0 && c.How != Vouched {
		f.add(name+".documents", Missing)
	}
}

// written is the check in one line of the journal: no names and no numbers.
func (c IdentityCheck) written() string {
	text := fmt.Sprintf("identity checked: %s, assurance %d", c.How, c.Assurance)
	if len(c.Documents) > 0 {
		text += ", " + strings.Join(c.Documents, " ")
	}
	if c.By != "" {
		text += ", by " + c.By
	}
	return text
}

// next and previous are the days beside a day.
func next(d idp.Date) idp.Date     { return shift(d, 1) }
func previous(d idp.Date) idp.Date { return shift(d, -1) }

func shift(d idp.Date, days int) idp.Date {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return d // no day: whoever wrote it down was not asked by checks
	}
	return idp.Date(t.AddDate(0, 0, days).Format(time.DateOnly))
}
