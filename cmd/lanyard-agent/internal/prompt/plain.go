package prompt

import (
	"strings"
	"unicode"
)

// Bounds of what others have written. Names are parts of sentences of ours, and
// must not push the rest of them out of sight.
const (
	maxName   = 60
	maxNotice = 400
)

// Line is text of others in one line of so many letters at most, without what is
// a control or turns letters round: whoever made a card, or registered an
// application, has written it.
func Line(text string, most int) string {
	letters := []rune(strings.ToValidUTF8(text, "?"))
	cut := len(letters) > most
	letters = letters[:min(len(letters), most)]
	for i, r := range letters {
		if strange(r) {
			letters[i] = ' '
		}
	}
	line := strings.TrimSpace(string(letters))
	if cut {
		line += "..."
	}
	return line
}

// Name is Line for a name.
func Name(text string) string { return Line(text, maxName) }

// strange says whether a letter is none.
func strange(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// plain is q as it can be shown.
func (q Question) plain() Question {
	q.Service, q.Application, q.Code, q.Holder = Name(q.Service), Name(q.Application), Name(q.Code), Name(q.Holder)
	q.Wrong = Line(q.Wrong, maxNotice)
	q.Notices = lines(q.Notices, maxNotice)
	return q
}

func lines(all []string, most int) []string {
	plain := make([]string, len(all))
	for i, text := range all {
		plain[i] = Line(text, most)
	}
	return plain
}

// Text is text of others in which lines may break, and nothing else is strange.
func Text(text string) string {
	var plain []string
	for line := range strings.SplitSeq(text, "\n") {
		plain = append(plain, Line(line, maxParagraph))
	}
	return strings.Join(plain, "\n")
}

// maxParagraph bounds a line of what the service says.
const maxParagraph = 1000
