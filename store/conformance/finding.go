package conformance

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// pages asks until there is no more, and returns the last digits of the uids of
// all who were found, each with why.
func (w registration) pages(q registry.Query, ask func(registry.Query) ([]registry.Found, string, error)) []string {
	w.t.Helper()
	var all []string
	for range 100 {
		part, cursor, err := ask(q)
		if err != nil {
			w.t.Error(err)
			return nil
		}
		for _, f := range part {
			all = append(all, strings.TrimSpace(strings.TrimPrefix(f.UID, "555000000")+" "+f.Why))
		}
		if q.After = cursor; cursor == "" {
			return all
		}
	}
	w.t.Error("the pages have no end")
	return nil
}

func (w registration) found() {
	t := w.t
	find := func(q registry.Query) ([]registry.Found, string, error) { return w.FindPeople(t.Context(), q) }
	for text, want := range map[string][]string{
		"555000000102":                    {"102"},
		" ADA.cole@millbrook.EXAMPLE ":    {"101"},
		"ada.c":                           {"101"},
		"cole@brook.example":              {"103"},
		"0abc":                            {"101"},
		"0000102":                         {"102"},
		"cole":                            {"101", "105", "103", "102"}, // whole family names, beginnings, given names
		"COLE":                            {"101", "105", "103", "102"},
		"ada":                             {"102", "101", "103"},
		"ada cole":                        {"101", "103", "102"}, // Adam Coleman and Cole Adams too
		"cole ada":                        {"102", "101", "103"},
		"ada may cole":                    {"101"},
		"ada ma co":                       {"101"},
		"ada zoe cole":                    nil,
		"ms ada cole":                     {"101"},
		"dr adams":                        {"102"},
		"prof":                            {"103"},
		"professor co":                    {"103"},
		"":                                nil,
		"   ":                             nil,
		"%":                               nil,
		"_da":                             nil,
		"a\x00":                           nil,
		"\xff":                            nil,
		strings.Repeat("x", 10_000):       nil,
		strings.Repeat("a ", 90):          nil,
		"555000000999":                    nil,
		"'; DROP TABLE people; SELECT '":  nil,
		"nobody@nowhere.example":          nil,
		strings.Repeat("9", 100) + "999a": nil,
	} {
		for _, most := range []int{0, 1, 2} {
			if got := w.pages(registry.Query{Text: text, Most: most}, find); !slices.Equal(got, want) {
				t.Errorf("%.30q finds %v in pages of %d, want %v", text, got, most, want)
			}
		}
	}
	for at, want := range map[string][]string{"RT1": {"101", "102"}, "RT101": {"101", "102"}, "RT1W1": {"101"}, "B81": {"101", "103"}, "none": nil} {
		if got := w.pages(registry.Query{Text: "cole", At: at}, find); !slices.Equal(got, want) {
			t.Errorf("cole at %s finds %v, want %v", at, got, want)
		}
	}
	for _, after := range []string{"x", "%%%", "e30", registry.Place{Rank: -3, Keys: [3]string{"\x00"}}.Cursor(), registry.Place{Rank: 99}.Cursor(), strings.Repeat("A", 1<<16)} {
		if _, _, err := find(registry.Query{Text: "cole", After: after}); err != nil && !errors.Is(err, idp.ErrRequest) {
			t.Errorf("after %.20q: %v", after, err)
		}
	}
	got, _, err := find(registry.Query{Text: "555000000102"})
	if err != nil || len(got) != 1 || got[0].Display != "Dr Cole Adams" || got[0].Profile != idp.Unverified || !slices.Equal(got[0].At, []string{"RT101"}) {
		t.Errorf("found %+v, %v", got, err)
	}
}

// foundByUID: of many uids all are found at once, but for 105, who is closed.
func (w registration) foundByUID() {
	t := w.t
	everybody := []string{ada, "555000000105", "555000000103", "555000000102", "555000000999", "nobody", ""}
	for name, tt := range map[string]struct {
		uids []string
		at   string
		most int
		want string
	}{
		"everybody":          {everybody, "", 9, "101 102 103"},
		"the first":          {everybody, "", 2, "101 102"},
		"at an organisation": {everybody, "RT1", 9, "101 102"},
		"nowhere":            {everybody, "none", 9, ""},
		"nobody":             {nil, "", 9, ""},
	} {
		found, err := w.FindUIDs(t.Context(), tt.uids, tt.at, tt.most)
		var got []string
		for _, f := range found {
			got = append(got, strings.TrimPrefix(f.UID, "555000000"))
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
	}
	if found, err := w.FindUIDs(t.Context(), []string{"555000000102"}, "", 1); err != nil || len(found) != 1 || found[0].Display != "Dr Cole Adams" || !slices.Equal(found[0].At, []string{"RT101"}) {
		t.Errorf("found %+v, %v", found, err)
	}
}

func (w registration) listed() {
	t := w.t
	w.must(w.Record(t.Context(), idp.Event{At: noon.AddDate(0, 0, -100), Kind: idp.SignedIn, Subject: ada}))
	for l, want := range map[registry.List][]string{
		registry.Expiring:   {"101 2030-02-01 0101"},
		registry.Locked:     {"103 0103"},
		registry.Unreached:  {"102"},
		registry.Dormant:    {"101 2029-09-23", "102"},
		registry.Unproven:   {"102"},
		registry.Leavers:    {"103 2029-12-31"},
		registry.RuleStops:  {"102 2030-01-01 0102 4"},
		registry.Temporary:  {"101 2030-01-07 202 cover"},
		registry.Robots:     {"104 2030-06-30 " + ada},
		registry.Suspension: {"101 card:0ABC"},
	} {
		for _, most := range []int{0, 1} {
			got := w.pages(registry.Query{Most: most}, func(q registry.Query) ([]registry.Found, string, error) { return w.Worklist(t.Context(), l, q, noon) })
			if !slices.Equal(got, want) {
				t.Errorf("%s has %q, want %q", l, got, want)
			}
		}
	}
	at := func(l registry.List, code string, now time.Time) []string {
		return w.pages(registry.Query{At: code}, func(q registry.Query) ([]registry.Found, string, error) { return w.Worklist(t.Context(), l, q, now) })
	}
	if got := at(registry.Locked, "RT1", noon); len(got) != 0 {
		t.Errorf("locked at RT1 are %q", got)
	}
	if got := at(registry.Locked, "B81", noon); len(got) != 1 {
		t.Errorf("locked at B81 are %q", got)
	}
	if got := at(registry.RuleStops, "", noon.AddDate(0, 0, -1)); len(got) != 0 {
		t.Errorf("the day before %q are stopped", got)
	}
	w.must(w.Record(t.Context(), idp.Event{At: noon.AddDate(0, 0, -89), Kind: idp.SignedIn, Subject: ada}))
	if got := at(registry.Dormant, "", noon); !slices.Equal(got, []string{"102"}) {
		t.Errorf("dormant are %q", got)
	}
	if _, _, err := w.Worklist(t.Context(), "none", registry.Query{}, noon); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a list that there is not: %v", err)
	}
}

// addressed: who can be told by mail is who works there, is verified, no program
// and has an address.
func (w registration) addressed() {
	t := w.t
	for name, tt := range map[string]struct {
		of   registry.Audience
		day  idp.Date
		most int
		want string
	}{
		"everybody":                      {registry.Audience{}, "2030-01-03", 9, "101 B81, 101 RT1W1"},
		"the first":                      {registry.Audience{}, "2030-01-03", 1, "101 B81"},
		"a role":                         {registry.Audience{Roles: []string{"R1", "R9"}}, "2030-01-03", 9, "101 RT1W1"},
		"a role that ended, the day of":  {registry.Audience{Roles: []string{"R1"}}, "2029-12-31", 9, "101 RT1W1, 103 B81"},
		"an organisation":                {registry.Audience{At: []string{"B81"}}, "2030-01-03", 9, "101 B81"},
		"no organisation":                {registry.Audience{At: []string{}}, "2030-01-03", 9, ""},
		"a series":                       {registry.Audience{Series: 5}, "2030-01-03", 9, "101 B81, 101 RT1W1"},
		"a series that only others have": {registry.Audience{Series: 4}, "2030-01-03", 9, ""},
		"before anybody worked":          {registry.Audience{}, "2028-12-31", 9, "103 B81"},
	} {
		all, err := w.Addressees(t.Context(), tt.of, tt.day, tt.most)
		var got []string
		for _, a := range all {
			got = append(got, strings.TrimPrefix(a.UID, "555000000")+" "+a.Organisation)
			if !strings.Contains(a.Email, "@") || a.Name == "" {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if err != nil || strings.Join(got, ", ") != tt.want {
			t.Errorf("%s are %q, %v, want %q", name, got, err, tt.want)
		}
	}
}

// lastUsed: when cards were last used, which they are not where their person comes
// in by a session that they opened before; and what people hold beside them says so
// itself.
func (w registration) lastUsed() {
	t := w.t
	uses := func(uid string) map[string]time.Time {
		t.Helper()
		got, err := w.LastUses(t.Context(), uid)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := uses(ada); len(got) != 0 {
		t.Errorf("before anybody has signed in: %v", got)
	}
	for i, e := range []idp.Event{
		{Kind: idp.SignedIn, Subject: ada, Authenticator: "card:0101"}, {Kind: idp.SignedIn, Subject: ada, Authenticator: "card:0101"},
		{Kind: idp.SignedIn, Subject: ada, Authenticator: "card:0ABC"}, {Kind: idp.SignedIn, Subject: dan, Authenticator: "card:0103"},
		{Kind: idp.SignInNo, Subject: ada, Authenticator: "card:0101"},
		{Kind: idp.SignedIn, Subject: ada, Authenticator: "card:0101", Flag: idp.NotShown}, {Kind: idp.SignedIn, Subject: ada, Authenticator: "card:0ABC", Flag: "odd"},
	} {
		e.At = noon.Add(time.Duration(i-10) * time.Minute)
		w.must(w.Record(t.Context(), e))
	}
	if _, _, err := w.Worklist(t.Context(), registry.Dormant, registry.Query{}, noon); err != nil { // which gathers
		t.Fatal(err)
	}
	if got := uses(ada); len(got) != 2 || !got["card:0101"].Equal(noon.Add(-9*time.Minute)) || !got["card:0ABC"].Equal(noon.Add(-4*time.Minute)) {
		t.Errorf("used were %v", got)
	}
	if got := uses("no uid"); len(got) != 0 {
		t.Errorf("by nobody: %v", got)
	}
}

func (w registration) happened() {
	t := w.t
	const id = "7K3M9PQ2XXXXXXXXXXXXXXXXXX"
	for i, e := range []idp.Event{
		{Kind: idp.SignInNo, Request: id, Subject: ada, Reason: "card blocked"},
		{Kind: idp.SignedIn, Request: "AAAAAAAA", Subject: ada},
		{Kind: idp.EmailChanged, Request: "BBBBBBBB", Subject: dan, Actor: ada, Organisation: "RT1"},
		{Kind: idp.SignInNo, Request: "CCCCCCCC", Subject: dan},
		{Kind: idp.SignInNo, Request: "DDDDDDDD"}, // of nobody known
	} {
		e.At = noon.Add(time.Duration(i) * time.Second)
		w.must(w.Record(t.Context(), e))
	}
	of := func(uid string, most int) string {
		var all []string
		q := registry.Query{Most: most}
		for range 10 {
			part, cursor, err := w.EventsOf(t.Context(), uid, q)
			w.must(err)
			for _, e := range part {
				all = append(all, e.Request[:1])
			}
			if q.After = cursor; cursor == "" {
				break
			}
		}
		return strings.Join(all, "")
	}
	for _, most := range []int{0, 1} {
		for uid, want := range map[string]string{ada: "B7", dan: "CB", "555000000999": "", "": "", "x": ""} {
			if got := of(uid, most); got != want {
				t.Errorf("of %s: %q, want %q", uid, got, want)
			}
		}
	}
	for _, heard := range []string{"7K3M9PQ2", "7k3m-9pq2", " 7k3m9pq2 ", id} {
		if got, err := w.ByReference(t.Context(), heard); err != nil || len(got) != 1 || got[0].Reason != "card blocked" || !got[0].At.Equal(noon) {
			t.Errorf("ByReference(%q) = %+v, %v", heard, got, err)
		}
	}
	for _, heard := range []string{"", "7K3M", "%", "AAAAAAAA", "\x00"} {
		if got, err := w.ByReference(t.Context(), heard); err != nil || len(got) != 0 {
			t.Errorf("ByReference(%q) = %+v, %v; want none", heard, got, err)
		}
	}
	w.must(w.change("EEEEEEEE", registry.Touch{People: []string{ada}}, func(*registry.Records) {}))
	if got, err := w.ByReference(t.Context(), "EEEEEEEE"); err != nil || len(got) != 1 || got[0].Subject != ada {
		t.Errorf("ByReference = %+v, %v", got, err)
	}
}

func (w registration) organisations() {
	t := w.t
	find := func(q registry.Query) string {
		var codes []string
		for range 10 {
			part, cursor, err := w.FindOrganisations(t.Context(), q)
			w.must(err)
			for _, o := range part {
				codes = append(codes, o.Code)
			}
			if q.After = cursor; cursor == "" {
				break
			}
		}
		return strings.Join(codes, " ")
	}
	for text, want := range map[string]string{"mill": "RT101 RT1", " MILLBROOK T": "RT1", "rt1w1": "RT1W1", "": "B81 RT101 RT1 RT1W1", "x": "", "%": "", "a\x00": ""} {
		for _, most := range []int{0, 1} {
			if got := find(registry.Query{Text: text, Most: most}); got != want {
				t.Errorf("%q finds %q, want %q", text, got, want)
			}
		}
	}
	for code, want := range map[string]string{"RT1": "RT1 RT101 RT1W1", "RT101": "RT101 RT1W1", "B81": "B81", "none": "", "": ""} {
		if got, err := w.Below(t.Context(), code); err != nil || strings.Join(got, " ") != want {
			t.Errorf("below %s are %v, %v; want %s", code, got, err, want)
		}
	}
	w.must(w.change("circle", registry.Touch{Organisations: []string{"RT1"}}, func(r *registry.Records) { r.Organisations["RT1"].Parent = "RT1W1" }))
	if got, err := w.Below(t.Context(), "RT1"); err != nil || len(got) != 3 {
		t.Errorf("below a circle are %v, %v", got, err)
	}
	if r, err := w.Records(t.Context(), registry.Touch{Organisations: []string{"RT101"}}); err != nil || len(r.Organisations) != 3 {
		t.Errorf("above in a circle are %v, %v", r.Organisations, err)
	}
}
