package web

// Apply is the page "apply": type the code of the invitation.
type Apply struct {
	Page
	Problem *Message
}

// ApplyDetails is the page "apply-details": who somebody is who applies.
type ApplyDetails struct {
	Page
	Organisation string // that invited them
	Email        string // to which the code was sent
	Fields       []ApplyField
	Problems     []FieldProblem
}

// ApplyField is a field of the page, and what browsers know it by.
type ApplyField struct {
	FormField
	Known string // autocomplete
}
