package prompt

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// strangers are names that somebody has written to be taken for other text.
var strangers = []string{
	"Records\nTries left: 3\n\nfake", "Asha\r\x1b[2J\x1b[31m", "Asha \u202etimS", "a\u2066b\u2069", "a\u2028b\u2029c", "\x00\x07\u0085", strings.Repeat("ŵ", 500),
	strings.Repeat("\U0001F600", 500), "\xff\xfe", strings.Repeat("a", 5000),
}

func TestPlain(t *testing.T) {
	t.Run("own rule: what others wrote is one line, has an end, and turns nothing round", func(t *testing.T) {
		for _, text := range strangers {
			got := Name(text)
			if strings.ContainsFunc(got, func(r rune) bool {
				return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
			}) {
				t.Errorf("%q is shown as %q", text, got)
			}
			if n := len([]rune(got)); n > maxName+3 {
				t.Errorf("it has %d letters", n)
			}
		}
		for _, name := range []string{"Dr Asha Smith", "Siân Ŵyn-Jones", "李小龍", "👩🏽‍⚕️", "Ward list (test)"} {
			if got := Name(name); got != name {
				t.Errorf("%q is shown as %q", name, got)
			}
		}
	})
}

// strange is a question in which others wrote what they could.
func strangeQuestion(text string, tries int) Question {
	return Question{Language: "cy", Service: text, Application: text, Code: "4711", Holder: text, TriesLeft: tries, Wrong: text, Notices: []string{text, text}, Until: time.Unix(1_900_000_000, 0)}
}

func TestNothingIsPushedOut(t *testing.T) {
	until := time.Unix(1_900_000_000, 0).Local().Format("15:04")
	for i, text := range append(slices.Clone(strangers), strings.Repeat("%", 500)) {
		t.Run(fmt.Sprintf("own rule: whatever names are like, number, tries and time stand in the window: %d", i), func(t *testing.T) {
			q := strangeQuestion(text, 2).plain()
			w := In(q.Language)
			for name, said := range map[string]string{"asking": about(q), "the last try": aboutLast(q)} {
				read, err := url.PathUnescape(escaped(said))
				if err != nil {
					t.Fatal(err)
				}
				wants := []string{fmt.Sprintf(w.Number, "4711"), w.Stranger}
				if name == "asking" {
					wants = append(wants, fmt.Sprintf(w.TriesLeft, 2), until)
				} else {
					wants = append(wants, w.LastTry)
				}
				for _, want := range wants {
					if !strings.Contains(read, want) {
						t.Errorf("%s: %q is not in %q", name, want, read)
					}
				}
				if lines := strings.Count(about(q), "\n"); lines != 11 {
					t.Errorf("it has %d lines", lines+1)
				}
			}
			for name, f := range map[string]form{"asking": asking(q), "the last try": warning(q), "choosing": choosing(q, []string{text, text})} {
				for _, line := range append(f.texts, f.items...) {
					if strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && strange(r) }) {
						t.Errorf("%s shows %q", name, line)
					}
				}
				if !slices.Contains(f.texts, fmt.Sprintf(w.Number, "4711")) {
					t.Errorf("%s shows no number: %q", name, f.texts)
				}
			}
		})
	}
}
