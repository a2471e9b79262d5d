package totp

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/lanyard-id/lanyard/authenticators"
)

// How long a password is, in characters.
const (
	shortest = 12
	longest  = 128
	bulkiest = 4 << 10 // bytes: more are not even normalised
)

// Refusals of a new password. Each has a text of its own for the person.
const (
	ErrTooShort authenticators.Refusal = "the password has fewer than 12 characters"
	ErrTooLong  authenticators.Refusal = "the password has more than 128 characters"
	ErrCommon   authenticators.Refusal = "the password is one that many people use, or made of such"
	ErrPersonal authenticators.Refusal = "the password is made of the person's own name or address, or the service's"
)

// CheckPassword says whether people may take that password. about is what is
// known of the person and the service: names, addresses.
//
// Any character may stand in one, and none must: rules of composition make
// passwords that are hard to remember and easy to guess. NIST SP 800-63B
// §5.1.1.2.
func CheckPassword(password string, about ...string) error {
	if len(password) > bulkiest {
		return ErrTooLong
	}
	password = norm.NFKC.String(password)
	n := utf8.RuneCountInString(password)
	switch {
	case n < shortest:
		return ErrTooShort
	case n > longest:
		return ErrTooLong
	}
	plain, folded := spellings(password)
	if worth(plain, folded, nil) < leastWorth {
		return ErrCommon
	}
	if worth(plain, folded, personal(about)) < leastWorth {
		return ErrPersonal
	}
	return nil
}

// leastWorth is what a password must be worth: see worth. Three common words
// are worth less, four are enough, and so are seven characters of nobody's.
const leastWorth = 7

// worth is about how many characters a password leaves to guess to one who
// tries what people do first. A common word counts as two, wherever it stands
// and with figures for its letters, and so does a number; a run, a row of the
// keyboard, what was there just before and a word about the person count as
// one. Spaces count as nothing. Of all ways to cut the password up, the
// cheapest counts.
func worth(plain, folded []rune, personal map[string]bool) int {
	common := commonWords()
	best := make([]int, len(plain)+1)
	for end := 1; end <= len(plain); end++ {
		best[end] = best[end-1]
		if !unicode.IsSpace(plain[end-1]) {
			best[end]++
		}
		for from := end - 2; from >= 0; from-- {
			p, f := string(plain[from:end]), string(folded[from:end])
			switch {
			case personal[p] || personal[f] || isRun(plain[from:end]) || isRow(p) || repeats(plain, from, end):
				best[end] = min(best[end], best[from]+1)
			case common[p] || common[f] || isNumber(plain[from:end]):
				best[end] = min(best[end], best[from]+2)
			}
		}
	}
	return best[len(plain)]
}

// figures are what people write for letters.
var figures = map[rune]rune{'0': 'o', '1': 'l', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', '$': 's', '!': 'i', '|': 'l'}

// spellings returns text in small letters, as it stands and with letters for
// figures. Both are as long.
func spellings(text string) (plain, folded []rune) {
	for _, r := range text {
		r = unicode.ToLower(r)
		plain = append(plain, r)
		if letter, ok := figures[r]; ok {
			r = letter
		}
		folded = append(folded, r)
	}
	return plain, folded
}

// isRun says whether each character is the last one, or the next after it, or
// the one before: aaaa, 3456, dcba.
func isRun(piece []rune) bool {
	if len(piece) < 3 {
		return false
	}
	step := piece[1] - piece[0]
	if step < -1 || step > 1 {
		return false
	}
	for i := 2; i < len(piece); i++ {
		if piece[i]-piece[i-1] != step {
			return false
		}
	}
	return true
}

// rows are those of a keyboard, forwards, backwards and down.
var rows = []string{
	"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "0987654321", "poiuytrewq", "lkjhgfdsa", "mnbvcxz",
	"1qaz2wsx3edc4rfv5tgb6yhn", "qazwsxedcrfvtgbyhnujm",
}

func isRow(piece string) bool {
	if len(piece) < 4 {
		return false
	}
	for _, row := range rows {
		if strings.Contains(row, piece) {
			return true
		}
	}
	return false
}

// repeats says whether text[from:end] stands just before itself.
func repeats(text []rune, from, end int) bool {
	before := from - (end - from)
	return before >= 0 && string(text[before:from]) == string(text[from:end])
}

// isNumber says whether piece is a year, a date or the like.
func isNumber(piece []rune) bool {
	if len(piece) > 8 {
		return false
	}
	for _, r := range piece {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// personal returns the words of about that are long enough to be told from
// chance.
func personal(about []string) map[string]bool {
	words := map[string]bool{}
	for _, text := range about {
		plain, _ := spellings(norm.NFKC.String(text))
		for _, word := range strings.FieldsFunc(string(plain), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if utf8.RuneCountInString(word) >= 3 {
				words[word] = true
			}
		}
	}
	return words
}

// popular.txt lists what people choose most, each as it is and with letters for
// figures.
//
//go:embed popular.txt
var common string

var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(common) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		plain, folded := spellings(line)
		words[string(plain)], words[string(folded)] = true, true
	}
	return words
})
