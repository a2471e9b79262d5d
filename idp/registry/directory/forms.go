package directory

import (
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// form is what the text under a key must look like.
type form struct {
	fits   func(text string) bool
	noun   string // what it must be
	hidden bool   // never show what it is instead
}

var forms = map[string]form{
	"uid":    {fits: digits(12, 12), noun: "12 digits"},
	"serial": {fits: func(text string) bool { return CardSerial(text) != "" }, noun: "the serial number of a certificate, in hex"},
	// NIST SP 800-73-4 part 2 §2.4.3: 6 to 8 digits and 8 bytes.
	"passcode": {fits: digits(6, 8), noun: "6 to 8 digits", hidden: true},
	"puk":      {fits: digits(8, 8), noun: "8 digits", hidden: true},
	"date":     {fits: isDate, noun: "a date such as 2026-03-31"},
	"time":     {fits: isTime, noun: "a time such as 2026-03-31T12:00:00Z"},
	"told":     {fits: idp.CheckRedirectURI, noun: "an absolute https address, or an http one of this computer: whoever is on the way could read who signed out, and stop it"},
	"keys":     {fits: idp.CheckRedirectURI, noun: "an absolute https address, or an http one of this computer: whoever is on the way could put in a key of theirs"},
	"redirect": {fits: idp.CheckRedirectURI, noun: "an absolute https address, or an http one of this computer, without user, fragment and wildcard"},
}

// shown returns text for a message.
func (f form) shown(text string) string {
	if f.hidden {
		return "what stands here"
	}
	return shown(text)
}

func digits(least, most int) func(string) bool {
	return func(text string) bool {
		other := strings.ContainsFunc(text, func(c rune) bool { return c < '0' || c > '9' })
		return !other && least <= len(text) && len(text) <= most
	}
}

// isDate says whether text is a day of the calendar, written so that days
// compare as text.
func isDate(text string) bool {
	t, err := time.Parse(time.DateOnly, text)
	return err == nil && t.Format(time.DateOnly) == text
}

// isTime says whether text is an instant in the one way in which it is written,
// so that equal times are equal text.
func isTime(text string) bool {
	t, err := time.Parse(time.RFC3339Nano, text)
	return err == nil && written(t) == text
}

// written is how an instant is written; none is "".
func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
