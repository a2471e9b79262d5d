package web

import (
	"encoding/json"
	"html/template"
	"net/url"
	"slices"
	"strings"
)

// Page is what the frame of every page needs. Every page's own struct embeds
// it. The title comes from the catalogue, by the page's template.
type Page struct {
	Lang        string // the language of the words: one of Site.Languages
	Here        string // the address that shows the page again, for who wants another language; "" offers none
	Development bool   // shows the banner that nothing here is real
	RequestID   string // of this request, for whoever is asked for help
	Application string // name of the application that asks, or ""
	Error       bool   // the title begins with "Error: "
	Who         string // who is signed in, by name; the page lets somebody else take over
	Login       string // the login that goes on with somebody else; "" none
}

// Framed is any page: its own struct embeds Page.
type Framed interface{ Language() string }

// Language returns the language that the page is to be rendered in.
func (p Page) Language() string { return p.Lang }

// referenceLength is how much of a request ID a person reads out: short enough
// to say over the telephone, long enough to be found in the log.
const referenceLength = 8

// Reference returns the first eight letters and digits of the request ID.
func (p Page) Reference() string {
	id := strings.ReplaceAll(p.RequestID, "-", "")
	if len(id) > referenceLength {
		return id[:referenceLength]
	}
	return id
}

// Message is one thing that went wrong, in words for people: what happened,
// and the one thing to do. Site.Message makes one from the catalogue.
type Message struct {
	Code    string // for example PAS-01: the same in the log, the audit and the metrics
	Heading string
	Text    string
	Action  string // what to do now; may be empty
	Request string // the request ID of what it tells of; empty: the page's own
}

// About says whether it is one of the messages with these codes: a form with
// several fields shows it at the one that is to be put right.
func (m *Message) About(codes ...string) bool { return m != nil && slices.Contains(codes, m.Code) }

// Ways is the page "ways": choose how to sign in.
type Ways struct {
	Page
	LoginID string
	Ways    []Way
	Cards   []VirtualCard // development only; shown under the way called smartcard
	Claim   bool          // who has none of them may add one, and is told where
	Message *Message      // why the last try failed, or nil
	Why     *Message      // why somebody who is signed in must sign in again, or nil
}

// Has says whether the way called name is offered.
func (w Ways) Has(name string) bool {
	return slices.ContainsFunc(w.Ways, func(way Way) bool { return way.Name == name })
}

// CardsThat returns the virtual cards that are refused, or those that are not.
func (w Ways) CardsThat(refused bool) []VirtualCard {
	return slices.DeleteFunc(slices.Clone(w.Cards), func(c VirtualCard) bool { return c.Refused != refused })
}

// Choice is a virtual card to choose for one login.
type Choice struct {
	VirtualCard
	LoginID string
}

// Choice returns c as a choice of w's login.
func (w Ways) Choice(c VirtualCard) Choice { return Choice{c, w.LoginID} }

// Way is one way of signing in: a button that posts LoginID, as id, to
// /login/{Name}/begin. Label and Hint are catalogue keys; an empty one means
// way.{Name}.label and way.{Name}.hint.
type Way struct {
	Name  string
	Label string
	Hint  string
}

// LabelKey returns the catalogue key of the way's name.
func (w Way) LabelKey() string { return orKey(w.Label, "way."+w.Name+".label") }

// HintKey returns the catalogue key of what the way needs.
func (w Way) HintKey() string { return orKey(w.Hint, "way."+w.Name+".hint") }

// VirtualCard is a card in software that a developer may sign in with.
type VirtualCard struct {
	Serial  string
	Holder  string
	Hint    string // what it shows, in English: "One role", "Card expired"
	Refused bool   // it is there to be refused: listed apart
}

// Passcode is the page "passcode": a virtual card asks for its passcode.
type Passcode struct {
	Page
	LoginID   string
	Serial    string
	Holder    string
	Hint      string // the passcode itself, shown in development; "" shows none
	TriesLeft int    // shown when it is below three and there is no Problem
	Problem   *Message
}

// triesToTell is how few tries are left when a page says so unasked.
const triesToTell = 2

// Warns says whether to tell how many tries are left.
func (p Passcode) Warns() bool {
	return p.Problem == nil && p.TriesLeft > 0 && p.TriesLeft <= triesToTell
}

// Describes names what describes the passcode field to a screen reader.
func (p Passcode) Describes() string {
	var ids []string
	if p.Hint != "" || p.Warns() {
		ids = append(ids, "answer-hint")
	}
	if p.Problem != nil {
		ids = append(ids, "answer-error")
	}
	return strings.Join(ids, " ")
}

// Smartcard is the page "smartcard": it waits for a card at the person's desk.
type Smartcard struct {
	Page
	LoginID     string
	Transaction string
	DisplayCode string
	Start       template.URL // starts the agent; empty where what does is spent
	Started     bool         // an agent has come
	Now         Message      // what happens at the desk; Heading is not shown
	Soon        Message      // what ends soon of the agent; Heading is not shown
	NotThere    Message      // for when no agent comes
	Origin      string       // of our pages, as browsers' policies name it
}

// Launch is the value of the policy AutoLaunchProtocolsFromOrigins that lets
// browsers start the agent from our pages without a question.
func (s Smartcard) Launch() string {
	b, _ := json.Marshal([]any{map[string]any{"protocol": "lanyard-desk", "allowed_origins": []string{s.Origin}}}) // text alone
	return string(b)
}

// Again is the address of the page.
func (s Smartcard) Again() string {
	return "/login/smartcard?" + url.Values{"id": {s.LoginID}, "tx": {s.Transaction}}.Encode()
}

// StartAgent is the address that starts the agent at the desk with a handle,
// for the service that it knows as alias.
func StartAgent(handle, alias string) template.URL {
	q := url.Values{"h": {handle}, "i": {alias}}
	return template.URL("lanyard-desk:start?" + q.Encode()) //nolint:gosec // a scheme that templates do not know, and values that are escaped
}

// SmartcardSigned is the page "smartcard-signed": it goes to the agent on the
// person's computer by a form that submits itself, or by its button where there
// is no script.
type SmartcardSigned struct {
	Page
	Transaction string
	Action      string  // the agent's address
	Entered     bool    // without the card, by a session that it opened before
	Blocked     Message // for when the browser does not go there
	Origin      string  // of our pages, as browsers' policies name it
	Domain      string  // of our pages, as the one of Firefox does
}

// Notice is the page "notice": something to know before going on.
type Notice struct {
	Page
	Message
	LoginID string
}

// Role is the page "role": choose a role to work in.
type Role struct {
	Page
	LoginID string
	Roles   []RoleOption // those that fit Query
	Query   string       // what the person searches for
	Total   int          // how many roles there are without Query; 0 means len(Roles)
	Problem *Message     // nothing was chosen, or what was chosen cannot be
}

// SearchFrom is how many roles it takes before the page offers a search box.
const SearchFrom = 6

// Search says whether the page offers a search box.
func (r Role) Search() bool { return r.All() >= SearchFrom }

// All returns how many roles there are without the search.
func (r Role) All() int { return max(r.Total, len(r.Roles)) }

// RoleOption is one position to choose.
type RoleOption struct {
	ID           string
	Role         string // the last part of the role's name
	Organisation string
	Code         string // the organisation's
}

// RoleConfirm is the page "role-confirm": go on with the role used last?
type RoleConfirm struct {
	Page
	LoginID string
	Role    RoleOption
}

// Failure is the page "failure": something went wrong and this is where it
// ends, or where Link leads on.
type Failure struct {
	Page
	Message
	Link    *Link
	Details []Detail // for the developer of the application that asked
}

// Link is where a person can go from a page. Label is the words themselves.
type Link struct {
	Href  string
	Label string
}

// Detail is one fact for a developer.
type Detail struct {
	Name  string
	Value string
}

// SignOut is the page "sign-out": shall this browser's session end?
type SignOut struct {
	Page
	Asks   string   // the application that asks for it, or ""
	Fields []Detail // what the form brings along
}

// SignedOut is the page "signed-out": nobody is signed in here any more.
type SignedOut struct {
	Page
	Back *Link // to the application that asked; nil: there is none
}

// FormPost is the page "form-post": it hands the answer to the application by
// a form that submits itself, or by its button where there is no script.
// OAuth 2.0 Form Post Response Mode §2. The page "signing-out" does the same
// with what an application has posted here.
type FormPost struct {
	Page
	Action string
	Fields []Detail
}

// Home is the page "home": what stands at the root of the service.
type Home struct {
	Page
	DemoURL string   // the demo application, in development
	Facts   []Detail // issuer, client and whatever else a developer copies
	Cards   []VirtualCard
}

func orKey(key, otherwise string) string {
	if key != "" {
		return key
	}
	return otherwise
}
