package prompt

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// form is a window with text, at most one thing to fill in, and buttons.
type form struct {
	title  string
	texts  []string  // from top to bottom
	field  field     // what there is to fill in
	label  string    // of the field
	items  []string  // to pick from
	left   string    // format of the time that is left; empty: none is shown
	until  time.Time // when it has passed
	ok     string
	cancel string // empty: there is one button
}

// field is what a form has to fill in.
type field int

const (
	noField field = iota
	secretField
	listField
)

// asking is the window for a passcode.
func asking(q Question) form {
	q = q.plain()
	w := In(q.Language)
	texts := []string{q.Wrong, w.Asks(q), fmt.Sprintf(w.Number, q.Code), w.Stranger,
		fmt.Sprintf(w.Holder, q.Holder), fmt.Sprintf(w.TriesLeft, q.TriesLeft)}
	return form{title: w.Title, texts: append(texts, q.Notices[:min(len(q.Notices), maxNotices)]...), field: secretField, label: w.Passcode,
		left: w.TimeLeft, until: q.Until, ok: w.OK, cancel: w.Cancel}
}

// warning is the window before the last try.
func warning(q Question) form {
	q = q.plain()
	w := In(q.Language)
	return form{title: w.Title, texts: []string{q.Wrong, w.Asks(q), fmt.Sprintf(w.Number, q.Code), w.Stranger, fmt.Sprintf(w.Holder, q.Holder), w.LastTry},
		left: w.TimeLeft, until: q.Until, ok: w.UseLastTry, cancel: w.Cancel}
}

// choosing is the window with several cards.
func choosing(q Question, holders []string) form {
	q, holders = q.plain(), lines(holders, maxName)
	w := In(q.Language)
	return form{title: w.Title, texts: []string{w.Asks(q), fmt.Sprintf(w.Number, q.Code), w.Stranger},
		field: listField, label: w.Several, items: holders, left: w.TimeLeft, until: q.Until, ok: w.UseCard, cancel: w.Cancel}
}

// telling is the window with words.
func telling(language, words string) form {
	w := In(language)
	return form{title: w.Title, texts: []string{words}, ok: w.Close}
}

// timeLeft is how long there is at a moment, in words.
func (f form) timeLeft(now time.Time) string {
	seconds := max(0, int(f.until.Sub(now)/time.Second))
	return fmt.Sprintf(f.left, fmt.Sprintf("%d:%02d", seconds/60, seconds%60))
}

// Bounds: more would not fit on a screen, and a word that is longer than a line
// would be cut off.
const (
	maxNotices = 4
	maxText    = 400
	maxLines   = 8 // that the text itself begins
	maxWord    = 40
)

// shown is text as windows show it: what is a control, or turns letters round,
// is none. Some of it was written by whoever made the card.
func shown(text string) string {
	var b strings.Builder
	word, lines := 0, 1
	for i, r := range []rune(text) {
		if i == maxText {
			b.WriteString("...")
			break
		}
		if r != '\n' && strange(r) {
			r = ' '
		}
		if word++; word > maxWord && !unicode.IsSpace(r) && lines < maxLines {
			b.WriteByte('\n')
			word, lines = 1, lines+1
		}
		if unicode.IsSpace(r) {
			word = 0
		}
		if r == '\n' {
			if lines++; lines > maxLines {
				r = ' '
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}
