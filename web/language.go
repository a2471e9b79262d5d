package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Languages returns the tags of the languages that pages have (RFC 5646),
// English first.
func (s *Site) Languages() []string { return s.languages }

// Language returns the first language that fits one of wishes, or English.
// A wish is a tag, a list as browsers send it in Accept-Language (RFC 9110
// §12.5.4), or empty; what cannot be read is passed over.
func (s *Site) Language(wishes ...string) string {
	for _, wish := range wishes {
		if lang := s.fit(wish); lang != "" {
			return lang
		}
	}
	return english
}

// fit returns the language that fits one wish, or "" for none. Browsers wish
// with every request, and nearly all of them the same.
func (s *Site) fit(wish string) string {
	if lang, known := s.fits.get(wish); known {
		return lang
	}
	lang := ""
	if tags, _, err := language.ParseAcceptLanguage(wish); err == nil {
		if _, at, sure := s.matcher.Match(tags...); sure != language.No {
			lang = s.languages[at]
		}
	}
	s.fits.put(wish, lang)
	return lang
}

// Wishes come from strangers: so many are kept, and none that is longer than
// browsers send.
const (
	maxFits = 512
	maxWish = 128
)

// fits are the languages found for wishes. When it is full it begins afresh.
type fits struct {
	mu    sync.RWMutex
	known map[string]string
}

func (f *fits) get(wish string) (lang string, known bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	lang, known = f.known[wish]
	return lang, known
}

func (f *fits) put(wish, lang string) {
	if len(wish) > maxWish {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= maxFits {
		clear(f.known)
	}
	f.known[strings.Clone(wish)] = lang // not the whole of the request that it came with
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
