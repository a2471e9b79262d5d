package web

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// code is the key of a part of a message.
var code = regexp.MustCompile(`^([A-Z]{2,3}-\d\d)\.(heading|text|action)$`)

// used are the keys that templates build at run time, or that handlers name.
var used = regexp.MustCompile(`^(way\.[a-z]+\.(label|hint)|(day|second|minute|try|role)\.(one|other)|link\.[a-z]+|held\.[a-z]+|done\.[a-z]+|mail\.[a-z.]+|ra\.[A-Za-z0-9_.-]+|apply\.field\.[a-z_.]+|ways\.why\.[a-z]+|account\.(add|confirm)\.[a-z.]+|account\.application|signedout\.back|desk\.[a-z_]+|month\.[0-9]+|application\.unnamed|language\.name)$`)

// called finds the keys that templates name outright.
var called = regexp.MustCompile(`\btext "([^"]+)"`)

func TestEveryWordIsUsed(t *testing.T) {
	s := newSite(t)
	named := map[string]bool{}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := fs.ReadFile(templateFiles, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllSubmatch(source, -1) {
			named[string(m[1])] = true
		}
	}
	for key := range s.words[english] {
		if !named[key] && !code.MatchString(key) && !used.MatchString(key) {
			t.Errorf("nothing says %s", key)
		}
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// A language that is offered has every word: a page in two languages is read
// by nobody, least of all aloud by a screen reader.
func TestEveryLanguageHasEveryWord(t *testing.T) {
	s := newSite(t)
	if len(s.words) < 2 {
		t.Error("there is only one language")
	}
	for lang, words := range s.words {
		for key, original := range s.words[english] {
			if strings.TrimSpace(words[key]) == "" {
				t.Errorf("%s lacks %s", lang, key)
				continue
			}
			want, got := placeholder.FindAllString(original, -1), placeholder.FindAllString(words[key], -1)
			if slices.Sort(want); !slices.Equal(want, slices.Sorted(slices.Values(got))) {
				t.Errorf("%s: %s has the placeholders %v, want %v", lang, key, got, want)
			}
		}
		for key := range words {
			if _, ok := s.words[english][key]; !ok {
				t.Errorf("%s has %s, which English has not", lang, key)
			}
		}
	}
}

// Words are put into the source of the pages, and are text there for all that.
func TestWordsAreTextWhereverTheyStand(t *testing.T) {
	s := newSite(t)
	const markup, text = `<b class="x">'&`, "&lt;b class=&#34;x&#34;&gt;&#39;&amp;"
	for key, words := range s.words[english] {
		s.words[english][key] = markup + words
	}
	var err error
	if s.pages[english], err = s.parse(english); err != nil {
		t.Fatal(err)
	}
	for _, sm := range samples(s, english) {
		page := render(t, s, english, sm)
		if strings.Contains(page, "<b class") || strings.Contains(page, "'") || !strings.Contains(page, text) {
			t.Errorf("%s shows words as markup", sm.name)
		}
	}
}

// What is put into words is escaped for where it stands, as everything is that
// a page is told.
func TestWhatWordsAreFilledWithIsText(t *testing.T) {
	s, page := newSite(t), Page{Application: "<b>{text}{{.}}"}
	for _, sm := range []sample{
		{"ways", "ways", Ways{Page: page}},
		{"smartcard", "smartcard", Smartcard{Page: page}},
		{"form-post", "form-post", FormPost{Page: page}},
		{"role", "role", Role{Roles: []RoleOption{{Organisation: page.Application}}}},
		{"role-confirm", "role-confirm", RoleConfirm{Role: RoleOption{Role: page.Application}}},
		{"failure", "failure", Failure{Message: Message{Heading: page.Application}}},
	} {
		got := render(t, s, english, sm)
		if strings.Contains(got, "<b>") || !strings.Contains(got, "&lt;b&gt;{text}{{.}}") {
			t.Errorf("%s does not show a name as it is: %s", sm.name, got)
		}
	}
}

func TestMissingWordsStopTheStart(t *testing.T) {
	s := newSite(t)
	s.words = catalogues{english: maps.Clone(s.words[english])}
	delete(s.words[english], "passcode.heading")
	if _, err := s.parse(english); err == nil {
		t.Error("a template names words that are not there, and nothing happened")
	}
}

// unkind are words that no message has: they blame, beg or are jargon.
var unkind = map[string]*regexp.Regexp{
	english: regexp.MustCompile(`(?i:invalid|please|oops|log in)|PIN`),
	"cy":    regexp.MustCompile(`(?i:annilys|os gwelwch|wps|logio)|PIN`),
}

// No two messages say the same: who reads one out over the telephone must be
// understood without its code.
func TestMessages(t *testing.T) {
	s := newSite(t)
	for lang, words := range s.words {
		said := map[string]string{}
		for _, key := range slices.Sorted(maps.Keys(words)) {
			m := code.FindStringSubmatch(key)
			if m == nil {
				continue
			}
			if other, ok := said[words[key]]; ok && m[2] != "action" {
				t.Errorf("%s: %s and %s say the same", lang, other, key)
			}
			said[words[key]] = key
			if unkind[lang] == nil {
				t.Fatalf("%s: no words are unkind", lang)
			}
			if bad := unkind[lang].FindString(words[key]); bad != "" {
				t.Errorf("%s: %s says %q", lang, key, bad)
			}
			if got := s.Message(lang, m[1]); got.Heading == "" || got.Text == "" || got.Action == "" {
				t.Errorf("%s: %s lacks a heading, a text or what to do", lang, m[1])
			}
		}
	}
	for lang, want := range map[string]string{
		english: "That passcode is not right. You have 2 tries left.",
		"cy":    "Nid yw'r cod pas hwnnw'n gywir. Mae gennych 2 ymgais ar ôl.",
	} {
		if got := s.Message(lang, "PAS-01", "tries", s.Count(lang, "try", 2)); got.Text != want || got.Code != "PAS-01" {
			t.Errorf("Message() = %+v, want %q", got, want)
		}
	}
}

func TestAnotherLanguageFallsBack(t *testing.T) {
	s := newSite(t)
	s.words["kw"] = map[string]string{"continue": "Pesya"}
	pages, err := s.parse("kw")
	if err != nil {
		t.Fatal(err)
	}
	s.pages["kw"] = pages
	page := render(t, s, "kw", sample{page: "form-post", data: FormPost{Action: "http://localhost/"}})
	for _, want := range []string{`lang="kw"`, "Pesya", "Get help"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
}

func TestFillPutsInValuesAsTheyAre(t *testing.T) {
	if got, want := fill("{a} and {b}", "a", "{b}", "b", 2), "{b} and 2"; got != want {
		t.Errorf("fill() = %q, want %q", got, want)
	}
}

func TestCatalogueHasNoKeyTwice(t *testing.T) {
	for lang := range newSite(t).words {
		data, err := fs.ReadFile(textFiles, "text/"+lang+".json")
		if err != nil {
			t.Fatal(err)
		}
		d, seen := json.NewDecoder(bytes.NewReader(data)), map[string]bool{}
		for i := 0; d.More() || i == 0; i++ {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			key, ok := token.(string)
			if !ok || i%2 == 0 {
				continue
			}
			if seen[key] {
				t.Errorf("%s: %s is there twice", lang, key)
			}
			seen[key] = true
		}
	}
}

// TestReview keeps the list of what awaits a translator from naming words that
// are gone.
func TestReview(t *testing.T) {
	list, err := os.ReadFile("text/REVIEW.md")
	if err != nil {
		t.Fatal(err)
	}
	words, listed := newSite(t).words, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(list), -1) {
		if _, ok := words["cy"][m[1]]; !ok {
			t.Errorf("REVIEW.md lists %s, which the Welsh catalogue has not", m[1])
		}
		if listed[m[1]] {
			t.Errorf("REVIEW.md lists %s twice", m[1])
		}
		listed[m[1]] = true
	}
	if len(listed) == 0 {
		t.Error("REVIEW.md lists nothing")
	}
}
