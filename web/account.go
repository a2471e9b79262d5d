package web

// Account is the page "account": what a person signs in with, and what they
// are signed in to.
type Account struct {
	Page
	Name     string
	Email    string
	Held     []Held
	Cards    []Held // smartcards: only losing one can be said here
	Sessions []OpenSession
	CanEmail bool   // they are signed in so that they may change their e-mail
	Done     string // catalogue key of what has just been done; "" nothing
}

// Held is an authenticator in a list.
type Held struct {
	ID        string
	Name      string // what its person calls it
	Kind      string // passkey, totp, federated, smartcard: the way of its words
	Model     string
	Level     int
	Added     string // days, in words
	Used      string // "" never
	Suspended bool
	Password  bool // it has a password that can be changed
}

// KindKey returns the catalogue key of what it is.
func (h Held) KindKey() string { return "held." + h.Kind }

// OpenSession is a session in a list.
type OpenSession struct {
	ID           string
	Applications string // names, with commas between; "" none yet
	Way          string // catalogue key of how it was signed in
	Since        string // day and time, in words
	Last         string
	This         bool
}

// AccountAdd is the page "account-add": what can be added.
type AccountAdd struct {
	Page
	Ways []Addable
}

// Addable is a kind of authenticator that can be added, or why not.
type Addable struct {
	Name string // passkey, totp, federated
	Has  bool   // there can be one only, and they have it
}

// LabelKey returns the catalogue key of its name.
func (a Addable) LabelKey() string { return "way." + a.Name + ".label" }

// HintKey returns the catalogue key of what it is.
func (a Addable) HintKey() string { return "account.add." + a.Name }

// AccountKey is the page "account-key": add a passkey or security key.
type AccountKey struct {
	Page
	Claim   bool   // by somebody who claims it and is not signed in
	Name    string // as entered before
	Problem *Message
}

// AccountCode is the page "account-code": add a password with one-time codes.
type AccountCode struct {
	Page
	Claim    bool // as of AccountKey
	Question string
	Email    string
	QRSize   int    // of the picture that the app reads, in its squares
	QRPath   string // what is dark in it, as an SVG path
	Secret   string // the same to be typed, in groups
	Problem  *Message
}

// AccountPassword is the page "account-password": change one's password.
type AccountPassword struct {
	Page
	ID      string
	Email   string
	Problem *Message
}

// AccountEmail is the page "account-email": change one's e-mail. With New it
// asks for the code that was sent there.
type AccountEmail struct {
	Page
	Email   string
	New     string
	Problem *Message
}

// AccountName is the page "account-name": call an authenticator something else.
type AccountName struct {
	Page
	ID      string
	Name    string
	Problem *Message
}

// AccountConfirm is the page "account-confirm": are you sure?
type AccountConfirm struct {
	Page
	Act    string // remove, lost, end, everywhere: the words are account.confirm.{Act}.*
	ID     string
	Name   string
	Action string // where the form goes
}

// HeadingKey returns the catalogue key of its heading.
func (a AccountConfirm) HeadingKey() string { return "account.confirm." + a.Act + ".heading" }

// TextKey returns the key of what will happen.
func (a AccountConfirm) TextKey() string { return "account.confirm." + a.Act + ".text" }

// ButtonKey returns the key of the button.
func (a AccountConfirm) ButtonKey() string { return "account.confirm." + a.Act + ".button" }

// OneTime is the page "totp": sign in with e-mail, password and one-time code.
type OneTime struct {
	Page
	LoginID  string
	Question string
	Email    string
	Problem  *Message
}

// Forgotten is the page "forgotten": a new password for who can read their mail
// and has the app that shows their codes. With Sent it asks for both.
type Forgotten struct {
	Page
	LoginID string
	Email   string
	Sent    bool
	Problem *Message
}
