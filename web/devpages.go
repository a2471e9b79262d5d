package web

// DevPeople is the page "dev-people": everybody, with what they show.
type DevPeople struct {
	Page
	Facts  []Detail
	People []DevPerson
}

// DevPerson is one person of a development service.
type DevPerson struct {
	UID       string
	Name      string
	Profile   string
	Positions int
	Cards     []DevCard
}

// DevCard is a virtual card with what a developer needs to use it.
type DevCard struct {
	Serial    string
	Shows     string
	Passcode  string
	TriesLeft int
}

// DevRequests is the page "dev-requests": the last requests, rule by rule.
type DevRequests struct {
	Page
	Query    string // the reference that is looked for
	Requests []DevRequest
}

// DevRequest is one request of an application or a person.
type DevRequest struct {
	ID     string
	At     string
	Method string
	Route  string
	Status string
	Client string
	Rules  []DevRule
	Lines  []string // of the log
	Events []string // of the audit
}

// DevRule is a rule that a request was held to.
type DevRule struct {
	Name string
	Kept bool
	Why  string
}

// DevKeys is the page "dev-keys": what the client demo-jwt signs with.
type DevKeys struct {
	Page
	Facts []Detail
	Key   string // PEM
}

// DevUpstream is the page "dev-upstream": whom to sign in as at the provider
// that stands in for the organisation's own.
type DevUpstream struct {
	Page
	Action string // where the choice is posted
	Asked  string // names what it answers
	People []DevAccount
}

// DevAccount is an account there.
type DevAccount struct {
	Sub          string
	Name         string
	Email        string
	PasswordOnly bool
}

// DevMail is the page "dev-mail": mails that nobody got.
type DevMail struct {
	Page
	Mails []DevMailed // the latest first
}

// DevMailed is one of them.
type DevMailed struct{ To, Subject, Body string }

// DevLogouts is the page "dev-logouts": what applications were told.
type DevLogouts struct {
	Page
	Logouts []DevLogout // the latest first
}

// DevLogout is one of them.
type DevLogout struct {
	Client, SID  string
	Result, Said string
	At           string // of the last try; "" before the first
	Tries        int
}
