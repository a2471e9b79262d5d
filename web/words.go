package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	texttemplate "text/template"
)

//go:embed text/*.json
var textFiles embed.FS

// english is the language of last resort: a word that another lacks is shown
// in English, and a test keeps that from happening.
const english = "en"

// catalogues hold the words for people: language, key, words.
type catalogues map[string]map[string]string

func loadCatalogues(files fs.FS) (catalogues, error) {
	names, err := fs.Glob(files, "text/*.json")
	if err != nil {
		return nil, fmt.Errorf("list catalogues: %w", err)
	}
	c := catalogues{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		words := map[string]string{}
		if err := json.Unmarshal(data, &words); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		c[strings.TrimSuffix(path.Base(name), ".json")] = words
	}
	if c[english] == nil {
		return nil, fmt.Errorf("there is no catalogue text/%s.json", english)
	}
	return c, nil
}

// text returns the words for key in lang, or else in English.
func (c catalogues) text(lang, key string) (string, error) {
	if t, ok := c[lang][key]; ok {
		return t, nil
	}
	if t, ok := c[english][key]; ok {
		return t, nil
	}
	return "", fmt.Errorf("no catalogue has the words %q", key)
}

// fill puts values for the placeholders of t. args are pairs: "name", value.
// All are put in at once, so a value that looks like a placeholder stays.
func fill(t string, args ...any) string {
	if len(args) < 2 {
		return t
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%v}", args[i]), fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(t)
}

// set returns the source of a template with all that stands in [[ ]] put in:
// what is the same on every page of lang need not be looked up and escaped for
// each person anew. It fails where a template names words that are not there.
func (s *Site) set(lang, file string) (string, error) {
	source, err := templateFiles.ReadFile(file)
	if err != nil {
		return "", err
	}
	t, err := texttemplate.New(file).Delims("[[", "]]").Funcs(s.setters(lang)).Parse(string(source))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, nil)
	return b.String(), err
}

// setters are what may be called in [[ ]]. Words are escaped here, for they
// become part of the markup. Their args are put in as they are: they are words
// themselves, or actions in {{ }}, whose values are escaped when they are known.
func (s *Site) setters(lang string) texttemplate.FuncMap {
	text := func(key string, args ...any) (string, error) {
		t, err := s.words.text(lang, key)
		return fill(template.HTMLEscapeString(t), args...), err
	}
	return texttemplate.FuncMap{
		"text": text,
		"count": func(key, number string) (string, error) {
			n := "{{" + number + "}}"
			one, err := text(key+".one", "n", n)
			if err != nil {
				return "", err
			}
			other, err := text(key+".other", "n", n)
			return "{{if eq " + number + " 1}}" + one + "{{else}}" + other + "{{end}}", err
		},
		"lang":    func() string { return lang },
		"others":  func() []Tongue { return s.others(lang) },
		"url":     s.URL,
		"styles":  s.Styles,
		"scripts": s.Scripts,
	}
}
