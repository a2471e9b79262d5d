package web

import "fmt"

// sample is one page with data for it, named after what it shows.
type sample struct {
	name, page string
	data       any
}

func aPage() Page {
	return Page{Here: "/login?id=l0g1n&x=\"y", Development: true, RequestID: "7f3k9qpd-2m1x-8c4v", Application: "Riverside demo application"}
}

// sampleCards are as many, and as different, as in the demo directory.
func sampleCards() []VirtualCard {
	cards := []VirtualCard{
		{Serial: "0000101", Holder: "Dr Asha Smith", Hint: "One role"},
		{Serial: "0000102", Holder: "Ben Okafor", Hint: "Five roles"},
		{Serial: "0000103", Holder: "Prof Carys Llewellyn-Featherstonehaugh", Hint: "Forty roles at eleven organisations"},
		{Serial: "0000104", Holder: "Dewi Parry", Hint: "No role"},
		{Serial: "0000106", Holder: "Farah Aziz", Hint: "Certificate ends in 12 days"},
		{Serial: "0000107", Holder: "Grace Mensah", Hint: "Registration authority manager"},
		{Serial: "0000108", Holder: "Hugo Brandt", Hint: "Unverified profile"},
		{Serial: "0000109", Holder: "Iris Chan", Hint: "Two tries left"},
	}
	for i, hint := range []string{"Certificate expired", "Card locked", "Card cancelled", "Card suspended", "Card type stopped working", "Card not registered", "Profile restricted", "Profile closed", "Certificate revoked", "Cannot be checked"} {
		cards = append(cards, VirtualCard{Serial: fmt.Sprintf("00002%02d", i), Holder: "Jamie Example-Person", Hint: hint, Refused: true})
	}
	return cards
}

func sampleRoles(n int) []RoleOption {
	names := []string{"Clinical Practitioner Access Role", "Nurse Access Role", "Admin/Clinical Support Access Role", "Receptionist Access Role"}
	places := []string{"Riverside Surgery", "Northgate and Eastfield Community Hospital NHS Trust Example", "Hill Top Pharmacy"}
	roles := make([]RoleOption, n)
	for i := range roles {
		roles[i] = RoleOption{ID: fmt.Sprintf("5550000002%02d", i), Role: names[i%len(names)], Organisation: places[i%len(places)], Code: fmt.Sprintf("A9A%02d", i)}
	}
	return roles
}

func sampleWays() []Way {
	return []Way{{Name: "smartcard"}, {Name: "passkey"}, {Name: "totp"}, {Name: "federated"}}
}

// devSamples are the pages for developers.
func devSamples() []sample {
	facts := []Detail{{"Issuer", "http://localhost:8080"}, {"Client ID", "demo-rp"}}
	return []sample{
		{"dev-people", "dev-people", DevPeople{Page: aPage(), Facts: facts, People: []DevPerson{
			{UID: "555000000101", Name: "Dr Asha Smith", Profile: "verified", Positions: 1, Cards: []DevCard{{"0000101", "One role", "123456", 3}}},
			{UID: "555000000105", Name: "Rowan Campbell", Profile: "verified", Positions: 1},
		}}},
		{"dev-requests", "dev-requests", DevRequests{Page: aPage(), Requests: []DevRequest{
			{ID: "7F3K9QPD2M1X8C4V7F3K9QPD2M", At: "12:00:00", Method: "GET", Route: "/authorize", Status: "303", Client: "demo-rp",
				Rules:  []DevRule{{"client_id is registered", true, ""}, {"scope has openid", false, "a scope is missing or not allowed"}},
				Lines:  []string{"request refused error=invalid_scope"},
				Events: []string{"signed_in of 555000000101"}},
		}}},
		{"dev-requests-none", "dev-requests", DevRequests{Page: aPage(), Query: "ABC"}},
		{"dev-upstream", "dev-upstream", DevUpstream{Page: aPage(), Action: "http://localhost:8080/dev/upstream/choose", Asked: "asked", People: []DevAccount{
			{Sub: "riverside-1", Name: "Dr Asha Smith", Email: "asha.smith@riverside.example"},
			{Sub: "riverside-2", Name: "Ms Oluwaseun Adeyemi", Email: "oluwaseun.adeyemi@calder.example", PasswordOnly: true},
		}}},
		{"dev-mail", "dev-mail", DevMail{Page: aPage(), Mails: []DevMailed{{"a@b.example", "Your code", "Your code is <b>.\n\nTwo"}}}},
		{"dev-logouts", "dev-logouts", DevLogouts{Page: aPage(), Logouts: []DevLogout{{Client: "ward", SID: "s1d", Result: "told", Said: "200", At: "12:00:00", Tries: 1}, {Client: "l<ist", SID: "s1d"}}}},
		{"dev-logouts-none", "dev-logouts", DevLogouts{Page: aPage()}},
		{"dev-mail-none", "dev-mail", DevMail{Page: aPage()}},
		{"dev-keys", "dev-keys", DevKeys{Page: aPage(), Facts: facts, Key: "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"}},
	}
}

// samples are every page in every shape that it has, in one language.
func samples(s *Site, lang string) []sample {
	message := func(code string, args ...any) *Message {
		m := s.Message(lang, code, args...)
		return &m
	}
	bare := Page{RequestID: "7f3k9qpd-2m1x-8c4v"}
	return append(append(devSamples(), accountSamples(s, lang)...), []sample{
		{"ways", "ways", Ways{Page: aPage(), LoginID: "l0g1n", Ways: sampleWays()[:1], Cards: sampleCards()}},
		{"ways-all", "ways", Ways{Page: bare, LoginID: "l0g1n", Ways: sampleWays(), Claim: true}},
		{"ways-message", "ways", Ways{Page: aPage(), LoginID: "l0g1n", Ways: sampleWays(), Message: message("CRT-01", "date", "3 March 2026")}},
		{"ways-cards-only", "ways", Ways{Page: aPage(), LoginID: "l0g1n", Cards: sampleCards()[:3]}},
		{"ways-none", "ways", Ways{Page: Page{}, LoginID: "l0g1n"}},
		{"notice", "notice", Notice{Page: aPage(), LoginID: "l0g1n", Message: *message("CRT-02", "days", "12 days")}},
		{"passcode", "passcode", Passcode{Page: aPage(), LoginID: "l0g1n", Serial: "0000101", Holder: "Dr Asha Smith", Hint: "123456", TriesLeft: 3}},
		{"passcode-warned", "passcode", Passcode{Page: aPage(), LoginID: "l0g1n", Serial: "0000101", Holder: "Dr Asha Smith", TriesLeft: 1}},
		{"passcode-wrong", "passcode", Passcode{Page: aPage(), LoginID: "l0g1n", Serial: "0000101", Holder: "Dr Asha Smith", Hint: "123456", TriesLeft: 2,
			Problem: message("PAS-01", "tries", s.Count(lang, "try", 2))}},
		{"smartcard", "smartcard", Smartcard{Page: aPage(), LoginID: "l0g1n", Transaction: "tx", DisplayCode: "4821", Start: StartAgent("h&ndle", "id.example:8443"), Now: Message{Text: s.Text(lang, "desk.open")},
			NotThere: *message("AGT-01"), Origin: "https://id.example:8443"}},
		{"smartcard-started", "smartcard", Smartcard{Page: bare, LoginID: "l0g1n", Transaction: "tx", DisplayCode: "4821", Started: true, Now: *message("PAS-01", "tries", s.Count(lang, "try", 2)),
			Soon: *message("AGT-04", "date", "31 March 2027")}},
		{"smartcard-again", "smartcard", Smartcard{Page: aPage(), LoginID: "l0g1n", Transaction: "tx", DisplayCode: "4821", Now: *message("AGT-01"), Origin: "https://id.example:8443"}},
		{"smartcard-signed", "smartcard-signed", SmartcardSigned{Page: aPage(), Transaction: "tx", Action: "http://127.0.0.1:40000/v1/done", Blocked: *message("AGT-02"), Origin: "https://id.example:8443", Domain: "id.example"}},
		{"smartcard-entered", "smartcard-signed", SmartcardSigned{Page: aPage(), Transaction: "tx", Action: "http://127.0.0.1:40000/v1/done", Entered: true, Blocked: *message("AGT-02"), Origin: "https://id.example:8443", Domain: "id.example"}},
		{"role", "role", Role{Page: aPage(), LoginID: "l0g1n", Roles: sampleRoles(3)}},
		{"role-many", "role", Role{Page: aPage(), LoginID: "l0g1n", Roles: sampleRoles(12)}},
		{"role-search", "role", Role{Page: aPage(), LoginID: "l0g1n", Roles: sampleRoles(2), Query: "hill", Total: 40}},
		{"role-none-found", "role", Role{Page: aPage(), LoginID: "l0g1n", Query: "zzz", Total: 40}},
		{"role-problem", "role", Role{Page: aPage(), LoginID: "l0g1n", Roles: sampleRoles(7), Problem: message("ROL-03")}},
		{"role-confirm", "role-confirm", RoleConfirm{Page: aPage(), LoginID: "l0g1n", Role: sampleRoles(1)[0]}},
		{"failure", "failure", Failure{Page: aPage(), Message: *message("REQ-02"), Details: []Detail{
			{"error", "invalid_request"}, {"field", "redirect_uri"}, {"received", "http://localhost:3000/callback/of/an/application?with=something&long=yes"}, {"registered", "http://localhost:3000/cb"}}}},
		{"failure-link", "failure", Failure{Page: bare, Message: *message("SES-01"), Link: &Link{Href: "/login", Label: s.Text(lang, "link.again")}}},
		{"failure-bare", "failure", Failure{Message: Message{Heading: "Heading", Text: "Text."}}},
		{"form-post", "form-post", FormPost{Page: aPage(), Action: "http://localhost:8081/callback", Fields: []Detail{{"code", `a"b<c`}, {"state", "s"}, {"submit", "1"}}}},
		{"form-post-bare", "form-post", FormPost{Page: bare, Action: "http://localhost:8081/callback"}},
		{"sign-out", "sign-out", SignOut{Page: aPage(), Asks: "Ward <list>", Fields: []Detail{{"client_id", "ward"}, {"state", `a"b`}}}},
		{"sign-out-bare", "sign-out", SignOut{Page: bare}},
		{"signed-out", "signed-out", SignedOut{Page: aPage(), Back: &Link{Href: "http://localhost:8081/?state=s", Label: s.Text(lang, "signedout.back", "application", "Ward list")}}},
		{"signed-out-bare", "signed-out", SignedOut{Page: bare}},
		{"signing-out", "signing-out", FormPost{Page: aPage(), Action: "/end_session", Fields: []Detail{{"state", "s"}}}},
		{"home", "home", Home{Page: Page{Development: true, RequestID: "7f3k9qpd-2m1x-8c4v"}, DemoURL: "http://localhost:8081", Cards: sampleCards(),
			Facts: []Detail{{"Issuer", "http://localhost:8080"}, {"Discovery", "http://localhost:8080/.well-known/openid-configuration"}, {"Client", "demo-rp"}, {"Secret", "demo-secret"}}}},
		{"home-production", "home", Home{Page: bare}},
	}...)
}

// accountSamples are the pages of people's accounts, and those on which they
// sign in without a card.
func accountSamples(s *Site, lang string) []sample {
	problem := func(code string) *Message {
		m := s.Message(lang, code)
		return &m
	}
	page := aPage()
	page.Who, page.Login = "Dr Asha Smith", "l0g1n"
	key := Held{ID: "a1", Name: "Blue key <i>", Kind: "passkey", Model: "Example Key 5", Level: 3, Added: "3 March 2026", Used: "4 March 2026"}
	lost := key
	lost.ID, lost.Suspended, lost.Used = "a2", true, ""
	code := Held{ID: "a3", Name: "Phone", Kind: "totp", Level: 2, Added: "3 March 2026", Password: true}
	card := Held{ID: "0000101", Name: "0000101", Kind: "smartcard", Level: 3}
	return []sample{
		{"account", "account", Account{Page: page, Name: "Dr Asha Smith", Email: "asha.smith@riverside.example", Held: []Held{key, lost, code}, Cards: []Held{card},
			Sessions: []OpenSession{{ID: "s1", Applications: "Demo application", Way: "held.smartcard", Since: "3 March 2026, 14:05", This: true}, {ID: "s2", Way: "held.totp", Since: "3 March 2026, 9:00"}}, Done: "done.added"}},
		{"account-empty", "account", Account{Page: page, Name: "Dewi Parry"}},
		{"account-add", "account-add", AccountAdd{Page: page, Ways: []Addable{{"passkey", false}, {"totp", true}, {"federated", false}}}},
		{"account-key", "account-key", AccountKey{Page: page}},
		{"account-key-problem", "account-key", AccountKey{Page: page, Name: "x", Problem: problem("KEY-03")}},
		{"account-code", "account-code", AccountCode{Page: page, Question: "q", Email: "a@b.example", Secret: "JBSW Y3DP EHPK 3PXP", QRSize: 2, QRPath: "M0 0h1v1H0z"}},
		{"account-code-problem", "account-code", AccountCode{Page: page, Question: "q", Email: "a@b.example", Secret: "JBSW", Problem: problem("PWD-01")}},
		{"account-password", "account-password", AccountPassword{Page: page, ID: "a3", Email: "a@b.example"}},
		{"account-password-problem", "account-password", AccountPassword{Page: page, ID: "a3", Problem: problem("PWD-02")}},
		{"account-email", "account-email", AccountEmail{Page: page, Email: "a@b.example"}},
		{"account-email-sent", "account-email", AccountEmail{Page: page, New: "c@d.example", Problem: problem("ACC-05")}},
		{"account-name", "account-name", AccountName{Page: page, ID: "a1", Name: "Blue key"}},
		{"account-name-problem", "account-name", AccountName{Page: page, ID: "a1", Problem: problem("ACC-03")}},
		{"account-remove", "account-confirm", AccountConfirm{Page: page, Act: "remove", ID: "a1", Name: "Blue key", Action: "/account/remove"}},
		{"account-lost", "account-confirm", AccountConfirm{Page: page, Act: "lost", ID: "a1", Name: "Blue key", Action: "/account/lost"}},
		{"account-everywhere", "account-confirm", AccountConfirm{Page: page, Act: "everywhere", Action: "/account/everywhere"}},
		{"ra", "ra", aDesk(page)},
		{"ra-stranger", "ra", RA{Page: page, Title: "Not yours", Message: problem("RA-02"), Intro: "Ask."}},
		{"ra-form", "ra-form", aDeskForm(page, nil)},
		{"ra-form-problem", "ra-form", aDeskForm(page, problem("RA-05"))},
		{"apply", "apply", Apply{Page: aPage()}},
		{"apply-problem", "apply", Apply{Page: aPage(), Problem: problem("RA-57")}},
		{"apply-details", "apply-details", anApplication(nil)},
		{"apply-details-problem", "apply-details", anApplication([]FieldProblem{{"f-name-given", "Given name: enter it"}})},
		{"apply-done", "apply-done", aPage()},
		{"register", "register", Register{Page: aPage(), Puzzle: "puzzle", Bits: 3}},
		{"register-problem", "register", Register{Page: aPage(), Given: "Ann <b>", Email: "a@b.example", Puzzle: "puzzle", Bits: 3, Problem: problem("CLM-01")}},
		{"register-code", "claim-code", ClaimCode{Page: aPage(), New: true}},
		{"register-done", "register-done", Registered{Page: aPage()}},
		{"claim", "claim", Claim{Page: aPage(), Puzzle: "puzzle", Bits: 3}},
		{"claim-problem", "claim", Claim{Page: aPage(), Email: "a@b.example", Puzzle: "puzzle", Bits: 3, Problem: problem("CLM-01")}},
		{"claim-code", "claim-code", ClaimCode{Page: aPage()}},
		{"claim-code-problem", "claim-code", ClaimCode{Page: aPage(), Problem: problem("ACC-05")}},
		{"claim-choose", "claim-choose", ClaimChoose{Page: aPage(), Display: "Dr Asha <Smith>", Ways: []Addable{{"passkey", false}, {"totp", false}, {"federated", false}}}},
		{"claim-choose-problem", "claim-choose", ClaimChoose{Page: aPage(), Display: "Dr Asha Smith", Ways: []Addable{{"passkey", false}, {"totp", false}}, Chosen: "totp", Problem: problem("CLM-02")}},
		{"claim-done", "claim-done", ClaimDone{Page: aPage()}},
		{"claim-key", "account-key", AccountKey{Page: aPage(), Claim: true}},
		{"claim-totp", "account-code", AccountCode{Page: aPage(), Claim: true, Question: "q", Email: "a@b.example", Secret: "JBSW", QRSize: 2, QRPath: "M0 0h1v1H0z"}},
		{"enrol", "enrol", Enrol{Page: aPage()}},
		{"enrol-problem", "enrol", Enrol{Page: aPage(), Problem: problem("RA-39")}},
		{"enrol-key", "enrol-key", EnrolKey{Page: aPage(), Display: "Dr Asha <Smith>", UID: "555000000101", Inviter: "Grace Mensah", Until: "14:05"}},
		{"enrol-key-problem", "enrol-key", EnrolKey{Page: aPage(), Display: "Dr Asha Smith", UID: "555000000101", Inviter: "Grace Mensah", ByVideo: true, Until: "14:05", Name: "x", Problem: problem("KEY-03")}},
		{"enrol-done", "enrol-done", EnrolDone{Page: aPage(), High: true}},
		{"enrol-done-low", "enrol-done", EnrolDone{Page: aPage()}},
		{"ways-stronger", "ways", Ways{Page: page, LoginID: "l0g1n", Ways: sampleWays(), Why: &Message{Text: s.Text(lang, "ways.why.level", "application", "Referrals")}}},
		{"totp", "totp", OneTime{Page: aPage(), LoginID: "l0g1n", Question: "q", Email: "a@b.example"}},
		{"totp-wrong", "totp", OneTime{Page: aPage(), LoginID: "l0g1n", Question: "q", Problem: problem("OTP-01")}},
		{"forgotten", "forgotten", Forgotten{Page: aPage(), LoginID: "l0g1n", Problem: problem("ACC-04")}},
		{"forgotten-sent", "forgotten", Forgotten{Page: aPage(), LoginID: "l0g1n", Email: "a@b.example", Sent: true}},
	}
}

// aDesk is a page of the registration authority with all that one may have.
func aDesk(page Page) RA {
	table := &Table{Caption: "Positions", Heads: []string{"Role", "Days"}, Acts: "Actions", Rows: []Row{
		{Cells: []Cell{{Text: "Nurse <i>", Lines: []string{"R8001"}, Href: "/ra/people/1"}, {Head: "Days", Text: "From today", Tags: []Tag{{"Later", "warn"}}}}, Acts: []Act{{Href: "/ra/change/x", Label: "End", Of: "Nurse", Stops: true}}},
		{Cells: []Cell{{Text: "Clerk", Code: true}, {Head: "Days", Text: "Over"}}, Off: true},
	}}
	return RA{Page: page, Title: "Dr Asha Smith", Caption: "555000000101", Tags: []Tag{{"Verified", "good"}}, Back: &Link{"/ra", "Back"}, Done: "Done.",
		Nav:    []NavItem{{Href: "/ra", Label: "Find", Here: true}, {Href: "/ra/requests", Label: "Requests", Count: "2"}},
		Secret: &Secret{"Read it out", "ABCD-EFGH-JKMN", "Once.", &Link{"/enrol", "They type it there."}}, Intro: "Words.", Search: &Search{Action: "/ra", Name: "q", Label: "Who", Hint: "A name", Value: "smith", Button: "Find", Type: "search"},
		Facts: []Fact{{Name: "E-mail", Value: "a@b.example"}, {Name: "GMC", Value: "C1", Code: true}, {Name: "Owner", Value: "Asha", Href: "/ra/people/1", Tags: []Tag{{"New", ""}}}},
		Body: []Section{{ID: "s1", Heading: "Positions", Intro: "Now.", Table: table}, {ID: "s2", Heading: "Ended", Folded: true, Table: table},
			{ID: "s3", Heading: "None", None: "Nothing.", Links: []Act{{Href: "/ra/lists/x", Label: "A list"}}}},
		Groups: []Group{{ID: "g1", Heading: "Work", Acts: []Act{{Href: "/ra/change/y", Label: "Assign"}}}}}
}

// aDeskForm is a form of the registration authority with every kind of field.
func aDeskForm(page Page, problem *Message) RAForm {
	f := RAForm{RA: RA{Page: page, Title: "Assign a position", Message: problem, Intro: "Words.", Facts: []Fact{{Name: "Person", Value: "Asha"}}}, Action: "/ra/change/x", Button: "Continue", Cancel: "/ra", Edit: &Link{"/ra/change/x", "Change what you entered"},
		Hidden: []Detail{{"token", "t"}}, Lists: []Choices{{ID: "roles", Options: []Option{{Value: "R8001", Label: "Nurse"}}}}}
	for _, as := range []string{"text", "area", "date", "number", "choice", "radios", "many", "tick", "file"} {
		field := FormField{ID: "f-" + as, Name: as, Label: "Label " + as, Hint: "Hint", As: as, Value: "true", Lines: 3, List: "roles", Width: "10", Options: []Option{{Value: "a", Label: "A", Chosen: true}, {Value: "b", Label: "B"}}}
		if as == "area" {
			field.Begins = "More"
		}
		if problem != nil {
			field.Problem = "Label " + as + ": enter it"
			f.Problems = append(f.Problems, FieldProblem{field.ID, field.Problem})
		}
		f.Fields = append(f.Fields, field)
	}
	if problem != nil {
		f.Again, f.Problems = &Link{"/ra/again", "Sign in again"}, append(f.Problems, FieldProblem{Text: "All of it"})
	}
	return f
}

// anApplication is the page on which somebody applies for a care identity.
func anApplication(problems []FieldProblem) ApplyDetails {
	given := FormField{ID: "f-name-given", Name: "name.given", Label: "Given name", As: "text", Width: "20", Value: "Ann <b>"}
	if len(problems) > 0 {
		given.Problem = problems[0].Text
	}
	return ApplyDetails{Page: aPage(), Organisation: "Riverside <Surgery>", Email: "ann@example.org", Problems: problems, Fields: []ApplyField{
		{given, "given-name"}, {FormField{ID: "f-born", Name: "born", Label: "Date of birth", Hint: "As in your passport", As: "date", Width: "10"}, "bday"}}}
}
