package web

import "strings"

// RA is a page of the registration authority: the page "ra". All of these pages
// have one shape, so that who works with them all day knows where to look; what
// stands on each is made of the parts below, its words already in the language
// of the page.
type RA struct {
	Page
	Title   string
	Caption string // what the title is of: a uid, a code
	Tags    []Tag
	Nav     []NavItem
	Back    *Link
	Done    string  // what has just been done
	Secret  *Secret // what is shown this once
	Message *Message
	Intro   string
	Search  *Search
	Facts   []Fact
	Body    []Section
	Groups  []Group // of acts, beside the sections
}

// NavItem is a link of the navigation that all pages of the registration
// authority have.
type NavItem struct {
	Href, Label string
	Here        bool
	Count       string // what waits there; "" nothing
}

// Tag says a state in a word.
type Tag struct {
	Text string
	Tone string // good, warn, stop, or "" for what is neither
}

// Secret is something that is shown once, and how long it is good for.
type Secret struct {
	Label, Value, Text string
	Where              *Link // where it is used; nil is not said
}

// Search is a form that asks for something and changes nothing.
type Search struct {
	Action, Name, Label, Hint, Value, Button string
	Type                                     string // search or date
}

// Fact is a name with what it is.
type Fact struct {
	Name  string
	Value string
	Href  string
	Code  bool // it is read out letter by letter
	Tags  []Tag
}

// Section is a part of a page under a heading of its own.
type Section struct {
	ID, Heading, Intro string
	Search             *Search
	Facts              []Fact
	Table              *Table
	None               string // what stands there if the table is empty
	Folded             bool   // shown when it is asked for
	Links              []Act
}

// Table is a table, whose rows stand one over the other where it is narrow.
type Table struct {
	Caption string // for who does not see where it stands
	Heads   []string
	Rows    []Row
	Acts    string // the head of what can be done with a row; "" nothing can
}

// Row is a line of a table.
type Row struct {
	Cells []Cell
	Acts  []Act
	Off   bool // it is over, or stopped
}

// Cell is a place in a row. The head it stands under is repeated where rows
// stand one over the other.
type Cell struct {
	Head  string
	Text  string
	Lines []string // smaller, below
	Href  string
	Code  bool
	Tags  []Tag
}

// Act is a link to something that can be done, or looked at.
type Act struct {
	Href, Label string
	Of          string // to what: for who does not see where it stands
	Stops       bool   // it takes something away
}

// Group is a list of acts under a heading.
type Group struct {
	ID, Heading string
	Acts        []Act
}

// RAForm is the page "ra-form": a form of the registration authority, or the
// page on which its change is looked at before it is made.
type RAForm struct {
	RA
	Action   string
	File     bool // a file is sent
	Problems []FieldProblem
	Fields   []FormField
	Hidden   []Detail
	Lists    []Choices
	Button   string
	Stops    bool
	Cancel   string // address
	Edit     *Link  // sends the form back to be changed
	Again    *Link  // in a tab of its own
}

// FieldProblem is what is wrong with a field, or with the whole.
type FieldProblem struct {
	ID   string // of the field; "" of none
	Text string
}

// Choices are what a browser may offer while somebody types.
type Choices struct {
	ID      string
	Options []Option
}

// FormField is a field of a form.
type FormField struct {
	ID, Name, Label, Hint string
	As                    string // text, area, date, number, choice, radios, many, tick, file
	Value                 string
	Options               []Option
	Accept                string // of a file: how names of such files end
	List                  string // id of Choices
	Width                 string // 4, 10, 20 or "" for all there is
	Lines                 int
	Problem               string
	Begins                string // the heading of a group of fields that begins here
}

// Describes names what describes the field to a screen reader.
func (f FormField) Describes() string {
	ids := ""
	if f.Hint != "" {
		ids = f.ID + "-hint"
	}
	if f.Problem != "" {
		ids += " " + f.ID + "-error"
	}
	return strings.TrimSpace(ids)
}

// Option is one of several things to choose.
type Option struct {
	Value, Label string
	Chosen       bool
}
