package web

// Claim is the page "claim": who wants to add a way to sign in without anybody's
// help. Its puzzle is solved by a script while the page is read.
type Claim struct {
	Page
	Email   string // as entered before
	Puzzle  string
	Bits    int // how hard the puzzle is
	Problem *Message
}

// ClaimCode is the page "claim-code": type the code from the mail. It says the
// same to whom none was sent.
type ClaimCode struct {
	Page
	New     bool // a profile is to be made
	Problem *Message
}

// ClaimChoose is the page "claim-choose": what to add, and is it theirs alone.
type ClaimChoose struct {
	Page
	Display string // the person's name
	Ways    []Addable
	Chosen  string // the name of a way, as chosen before
	Problem *Message
}

// ClaimDone is the page "claim-done": it was added.
type ClaimDone struct{ Page }

// Register is the page "register": who makes a profile for themself. Its puzzle
// is as that of a claim.
type Register struct {
	Page
	Given, Family, Email string // as entered before
	Puzzle               string
	Bits                 int
	Problem              *Message
}

// Registered is the page "register-done": the profile was made.
type Registered struct{ Page }
