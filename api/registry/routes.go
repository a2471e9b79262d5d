package registry

import (
	"net/http"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

const (
	get   = http.MethodGet
	post  = http.MethodPost
	patch = http.MethodPatch
	put   = http.MethodPut
)

// The parts of the API, as its document puts them together.
const (
	people        = "People"
	positions     = "Positions"
	cards         = "Cards"
	held          = "Authenticators"
	signedIn      = "Sessions"
	organisations = "Organisations"
	requests      = "Requests"
	worklists     = "Worklists"
	invited       = "Applicants"
	notices       = "Notices"
	rules         = "Policy"
	applications  = "Applications"
	config        = "Configuration"
	rights        = "Rights"
)

// parts says what they are about.
var parts = map[string]string{
	people:        "Who people are, and the states of their profiles.",
	positions:     "The work that people are assigned to.",
	cards:         "Smartcards.",
	held:          "What else people sign in with.",
	signedIn:      "What people are signed in to.",
	organisations: "Where people work.",
	requests:      "Changes that wait for a second person.",
	invited:       "People who were invited to apply for a care identity.",
	notices:       "Mails to everybody whom something concerns.",
	worklists:     "Lists of people about whom something is to be done.",
	rules:         "Which cards and agents may be used, and until when.",
	applications:  "The applications that people sign in to.",
	config:        "The directory as a document.",
	rights:        "Who may do what, and why something was refused.",
}

// list is a route that shows a part of something.
func list[T any](path, id, tag, does string, query []string, run func(*API, *call) (any, error)) route {
	return route{method: get, path: path, id: id, tag: tag, does: does, query: query, answer: page[T]{}, run: run}
}

// routes are everything that can be asked of the API: the only place that says
// so.
func routes() []route {
	some := []string{"q", "after", "limit"}
	return []route{
		list[registry.Found]("/people", "findPeople", people, "Find people by uid, e-mail, card or the beginnings of names.", []string{"q", "at", "after", "limit"}, (*API).find),
		asks[registry.AddPerson](post, "/people", "addPerson", people, "Add a person. Their uid is chosen for them.").creates("/people/"),
		{method: get, path: "/people/{uid}", id: "showPerson", tag: people, does: "Show a person with what they hold.", answer: person{}, tagged: true, run: (*API).show},
		alters("/people/{uid}", "changePerson", people, "Change what is written down of a person.", (*API).wasPerson),
		asks[registry.VerifyPerson](post, "/people/{uid}/verify", "verifyPerson", people, "Write down that somebody's identity was checked."),
		asks[registry.RestrictPerson](post, "/people/{uid}/restrict", "restrictPerson", people, "Keep somebody from everything until their identity is verified again."),
		asks[registry.ClosePerson](post, "/people/{uid}/close", "closePerson", people, "End everything that somebody holds."),
		asks[registry.ReopenPerson](post, "/people/{uid}/reopen", "reopenPerson", people, "Make a closed profile a restricted one."),
		asks[registry.MergePeople](post, "/people/{uid}/merge", "mergePerson", people, "Move what a duplicate holds to the person whose duplicate they are.").named("uid", "duplicate"),
		list[idp.Event]("/people/{uid}/events", "listEvents", people, "Show what happened to a person or by them, the newest first.", []string{"after", "limit"}, (*API).events),
		asks[registry.AddRobot](post, "/robots", "addRobot", people, "Add a profile that a program works with.").creates("/people/"),
		alters("/robots/{uid}", "changeRobot", people, "Change a robot's owner, name or end.", (*API).wasRobot),

		list[applicant]("/applicants", "listApplicants", invited, "List who was invited to apply for a care identity and is not decided on.", []string{"at", "after", "limit"}, (*API).applicants),
		asks[registry.InviteApplicant](post, "/applicants", "inviteApplicant", invited, "Invite somebody to apply. The code by which they do goes to their address alone.").creates("/applicants/"),
		{method: get, path: "/applicants/{applicant}", id: "showApplicant", tag: invited, does: "Show an applicant.", answer: applicant{}, run: (*API).oneApplicant},
		asks[registry.AcceptApplicant](post, "/applicants/{applicant}/accept", "acceptApplicant", invited, "Make an applicant whose identity was checked a verified person. Their uid is chosen for them."),
		asks[registry.RefuseApplicant](post, "/applicants/{applicant}/refuse", "refuseApplicant", invited, "Refuse an applicant, or take an invitation back."),

		asks[registry.SendNotice](post, "/notices", "sendNotice", notices, "Tell by mail who works at an organisation or below it, by role or by the series of their cards. With check, how many that are."),

		asks[registry.AssignPosition](post, "/positions", "assignPosition", positions, "Give a position to one person or many.").creates(""),
		alters("/positions/{position}", "changePosition", positions, "Change what a position says.", (*API).wasPosition),
		asks[registry.EndPosition](post, "/positions/{position}/end", "endPosition", positions, "End a position with a day."),
		asks[registry.MovePositions](post, "/positions/move", "movePositions", positions, "Let positions go on at another organisation from a day."),
		asks[registry.LeavePerson](post, "/people/{uid}/leave", "leavePerson", positions, "End all positions that somebody has at an organisation."),
		asks[registry.GrantTemporary](post, "/people/{uid}/temporary", "grantTemporary", positions, "Give a position for a time, with its reason.").creates(""),

		asks[registry.IssueCard](post, "/people/{uid}/cards", "issueCard", cards, "Give somebody a card.").creates(""),
		asks[registry.IssueCertificate](post, "/people/{uid}/cards/issue", "issueCertificate", cards, "Give somebody a card whose certificate this service issues, for a request that the card's key has signed.").creates(""),
		asks[registry.RecordCertificate](post, "/people/{uid}/cards/record", "recordCertificate", cards, "Give somebody a card whose certificate another authority has issued, or write down that of a card that they have.").creates(""),
		{method: get, path: "/cards/{serial}/certificate", id: "showCertificate", tag: cards, does: "Show the certificate of a card.", answer: certificate{}, run: (*API).certificate},
		asks[registry.SuspendCard](post, "/cards/{serial}/suspend", "suspendCard", cards, "Stop a card until it is resumed."),
		asks[registry.ResumeCard](post, "/cards/{serial}/resume", "resumeCard", cards, "Let a card be used again."),
		asks[registry.RevokeCard](post, "/cards/{serial}/revoke", "revokeCard", cards, "End a card for good."),
		asks[registry.ReplaceCard](post, "/cards/{old}/replace", "replaceCard", cards, "Give a card in the place of another, which is revoked.").creates(""),

		asks[registry.SuspendAuthenticator](post, "/people/{uid}/authenticators/{id}/suspend", "suspendAuthenticator", held, "Stop an authenticator until it is resumed."),
		asks[registry.ResumeAuthenticator](post, "/people/{uid}/authenticators/{id}/resume", "resumeAuthenticator", held, "Let an authenticator be used again."),
		asks[registry.RemoveAuthenticator](post, "/people/{uid}/authenticators/{id}/remove", "removeAuthenticator", held, "Take an authenticator away."),
		asks[registry.InviteAuthenticator](post, "/people/{uid}/invite", "inviteAuthenticator", held, "Make a code with which somebody adds a security key or Windows Hello in the next 15 minutes.").creates(""),
		asks[registry.LiftLock](post, "/people/{uid}/unlock", "liftLock", held, "Forget the wrong tries at an authenticator."),

		list[session]("/people/{uid}/sessions", "listSessions", signedIn, "Show what somebody is signed in to.", nil, (*API).sessions),
		asks[registry.EndSession](post, "/people/{uid}/sessions/{sid}/end", "endSession", signedIn, "End one session."),
		asks[registry.EndSessions](post, "/people/{uid}/sign-out", "signOutPerson", signedIn, "End everything that somebody is signed in to."),

		list[organisation]("/organisations", "findOrganisations", organisations, "Find organisations by code or the beginning of a name.", some, (*API).findOrganisations),
		asks[registry.AddOrganisation](post, "/organisations", "addOrganisation", organisations, "Add an organisation.").creates("/organisations/"),
		{method: get, path: "/organisations/{code}", id: "showOrganisation", tag: organisations, does: "Show an organisation.", answer: organisation{}, run: (*API).showOrganisation},
		alters("/organisations/{code}", "changeOrganisation", organisations, "Change an organisation's name or parent.", (*API).wasOrganisation),
		asks[registry.CloseOrganisation](post, "/organisations/{code}/close", "closeOrganisation", organisations, "Close an organisation, and end all positions there."),
		asks[registry.MergeOrganisations](post, "/organisations/{code}/merge", "mergeOrganisation", organisations, "Close an organisation whose positions go on at its successor."),

		list[request]("/requests", "listRequests", requests, "Show what waits for a second person, the oldest first.", []string{"at", "after", "limit"}, (*API).waiting),
		{method: get, path: "/requests/{id}", id: "showRequest", tag: requests, does: "Show a request, whatever became of it.", answer: request{}, run: (*API).oneRequest},
		{method: post, path: "/requests/{id}/approve", id: "approveRequest", tag: requests, does: "Approve a change that somebody else asked for, which makes it.", body: reason{}, answer: registry.Done{}, run: decides(true)},
		{method: post, path: "/requests/{id}/refuse", id: "refuseRequest", tag: requests, does: "Refuse a change that somebody else asked for.", body: reason{}, answer: registry.Done{}, run: decides(false)},
		{method: post, path: "/requests/{id}/withdraw", id: "withdrawRequest", tag: requests, does: "Withdraw a change that one asked for.", body: reason{}, answer: registry.Done{}, run: decides(false)},

		{method: get, path: "/worklists/{name}", id: "showWorklist", tag: worklists, does: "Show who is on a list: a part of it, or as CSV the whole.", query: []string{"at", "after", "limit", "on"},
			answer: page[registry.Found]{}, csv: true, limit: long, run: (*API).worklist},

		{method: get, path: "/policy", id: "showPolicy", tag: rules, does: "Show the rules on series of cards and on agents.", answer: policy{}, run: (*API).showPolicy},
		asks[registry.SetSeriesRule](put, "/policy/series/{series}", "setSeriesRule", rules, "Say what is known of a series of cards, or forget it."),
		asks[registry.SetAgentRule](put, "/policy/agents/{product}", "setAgentRule", rules, "Block versions of a program that shows cards, or let them be used again."),

		list[application]("/clients", "listClients", applications, "Show the applications.", nil, (*API).applications),
		asks[registry.AddClient](post, "/clients", "addClient", applications, "Register an application. Its secret is in the answer, this once.").creates("/clients/"),
		{method: get, path: "/clients/{id}", id: "showClient", tag: applications, does: "Show what is registered of an application.", answer: registry.Client{}, run: (*API).showClient},
		alters("/clients/{id}", "changeClient", applications, "Change what is registered of an application.", (*API).wasClient),
		asks[registry.RemoveClient](post, "/clients/{id}/remove", "removeClient", applications, "Stop an application for good."),

		{method: post, path: "/config/plan", id: "planConfig", tag: config, does: "Say what a directory document would change.", body: registry.ApplyDocument{}, change: true, most: maxDocument, limit: long,
			answer: registry.Preview{}, run: (*API).plan},
		asks[registry.ApplyDocument](post, "/config/apply", "applyConfig", config, "Make the registry what a directory document says.").large(),
		{method: get, path: "/config/export", id: "exportConfig", tag: config, does: "Show the directory as a document.", answer: written{}, yaml: true, limit: long, run: (*API).export},

		list[happened]("/references/{reference}", "showReference", rights, "Lead from the reference that somebody reads out to its cause and what to do.", nil, (*API).reference),
		list[permission]("/permissions", "listPermissions", rights, "Show who may make which change.", nil, (*API).permissions),
		{method: post, path: "/why", id: "explainRight", tag: rights, does: "Explain who may make a change, and why the caller may not.", body: question{}, answer: explanation{}, run: (*API).why},
		{method: get, path: "/me", id: "showCaller", tag: rights, does: "Show who the caller is, and what they hold.", answer: caller{}, run: (*API).me},
	}
}
