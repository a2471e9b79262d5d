package web

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/text/language"
)

// Languages returns the tags of the languages that pages have (RFC 5646),
// English first.
func (s *Site) Languages() []string { return s.languages }

// Language returns the first language that fits one of wishes, or English.
// A wish is a tag, a list as browsers send it in Accept-Language (RFC 9110
// §12.5.4), or empty; what cannot be read is passed over.
func (s *Site) Language(wishes ...string) string {
	_, at := language.MatchStrings(s.matcher, wishes...)
	return s.languages[at]
}

// Tongue is a language, and what it calls itself.
type Tongue struct{ Tag, Name string }

// others returns the languages that are not lang.
func (s *Site) others(lang string) []Tongue {
	var list []Tongue
	for _, tag := range s.languages {
		if tag != lang {
			list = append(list, Tongue{tag, s.Text(tag, "language.name")})
		}
	}
	return list
}

// languagesOf lists the languages of words, English first because the matcher
// falls back to its first, and makes the matcher.
func languagesOf(words catalogues) ([]string, language.Matcher, error) {
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(words)), func(lang string) bool { return lang == english })
	list := append([]string{english}, rest...)
	var tags []language.Tag
	for _, name := range list {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, nil, fmt.Errorf("catalogue text/%s.json is not named after a language: %w", name, err)
		}
		tags = append(tags, tag)
	}
	return list, language.NewMatcher(tags), nil
}
