package web

// Enrol is the page "enrol": type the code of the registration authority.
type Enrol struct {
	Page
	Problem *Message
}

// EnrolKey is the page "enrol-key": whose code it is, and add the key.
type EnrolKey struct {
	Page
	Display string // the person's name
	UID     string
	Inviter string // who invited them; "" is not said
	ByVideo bool   // they see each other by video, not in person
	Until   string // a time of day
	Name    string // as entered before
	Problem *Message
}

// EnrolDone is the page "enrol-done": the key was added.
type EnrolDone struct {
	Page
	High bool // it is worth the highest level
}
