// Package web holds the pages that people see: templates, words and static
// files, parsed once when the server starts and rendered by name. What stands
// in [[ ]] in a template is set when the server starts, once for each language;
// what stands in {{ }}, each time that the page is rendered.
//
// It knows no HTTP beyond serving static files, and nothing of logins: a
// handler decides, fills one of the structs in pages.go and calls Render. All
// words for people are in text/, one catalogue a language, so that a
// translation touches no template. Nothing in a page is inline and nothing
// comes from another site, so the policy in policy.go can forbid both.
//
// The look is nhsuk-frontend in our own colours. Its files are put into
// static/vendor by build.mjs; a binary built without them uses plain.css.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
)

//go:embed templates/*.html
var templateFiles embed.FS

// frame is the file that every page is set into; parts are what pages share,
// and those of raParts what pages of the registration authority are made of,
// whose names begin with "ra". Each page has a copy of its parts.
const (
	frame   = "templates/frame.html"
	parts   = "templates/parts.html"
	raParts = "templates/parts-ra.html"
)

// Site renders pages and serves what they load, for any number of requests at
// once.
type Site struct {
	words     catalogues
	languages []string // of words, English first
	matcher   language.Matcher
	fits      fits
	assets    *assets
	pages     map[string]map[string]*template.Template // by language and name
	buffers   sync.Pool                                // of *bytes.Buffer: pages are written into them
}

// New parses every template for every language. It fails if a template names
// words that the English catalogue does not have.
func New() (*Site, error) { return build(staticFiles) }

// build makes a Site with the static files of files.
func build(files fs.FS) (*Site, error) {
	words, err := loadCatalogues(textFiles)
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets(files)
	if err != nil {
		return nil, err
	}
	s := &Site{words: words, assets: assets, fits: fits{known: map[string]string{}}, pages: map[string]map[string]*template.Template{}}
	s.buffers.New = func() any { return new(bytes.Buffer) }
	if s.languages, s.matcher, err = languagesOf(words); err != nil {
		return nil, err
	}
	for lang := range words {
		if s.pages[lang], err = s.parse(lang); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// parse makes the templates of one language, by page name.
func (s *Site) parse(lang string) (map[string]*template.Template, error) {
	base := template.New("").Funcs(template.FuncMap{
		"text": func(key string) (string, error) { return s.words.text(lang, key) },
		"same": func(a, b string) bool { return a == b },
	})
	for _, file := range []string{frame, parts} {
		if err := s.add(base, lang, file); err != nil {
			return nil, err
		}
	}
	raBase := template.Must(base.Clone())
	if err := s.add(raBase, lang, raParts); err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		if file == frame || file == parts || file == raParts {
			continue
		}
		name, of := strings.TrimSuffix(path.Base(file), ".html"), base
		if strings.HasPrefix(name, "ra") {
			of = raBase
		}
		page := template.Must(of.Clone())
		if err := s.add(page, lang, file); err != nil {
			return nil, err
		}
		pages[name] = page
	}
	return pages, nil
}

// add adds to page what file defines.
func (s *Site) add(page *template.Template, lang, file string) error {
	source, err := s.set(lang, file)
	if err != nil {
		return fmt.Errorf("set the words of %s: %w", file, err)
	}
	if _, err := page.New(file).Parse(source); err != nil {
		return fmt.Errorf("parse %s: %w", file, err)
	}
	return nil
}

// Render returns the page called name, in lang or in English where there is no
// such catalogue.
func (s *Site) Render(lang, name string, page any) ([]byte, error) {
	pages, ok := s.pages[lang]
	if !ok {
		pages = s.pages[english]
	}
	t, ok := pages[name]
	if !ok {
		return nil, fmt.Errorf("render %s: no such page", name)
	}
	buf, _ := s.buffers.Get().(*bytes.Buffer)
	defer s.buffers.Put(buf)
	buf.Reset()
	if err := t.ExecuteTemplate(buf, frame, page); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return bytes.Clone(buf.Bytes()), nil
}

// Static serves the files under /static/. An address holds a hash of what is
// served, so browsers may keep it for ever.
func (s *Site) Static() http.Handler { return s.assets }

// URL returns the address of a static file, such as "lanyard.css".
func (s *Site) URL(name string) string { return s.assets.url(name) }

// Styles returns the addresses of the stylesheets, in order.
func (s *Site) Styles() []string { return s.assets.styles }

// Scripts returns the addresses of the module scripts, in order.
func (s *Site) Scripts() []string { return s.assets.scripts }

// Text returns the words for key, with args as pairs of placeholder and value.
// Words that are missing show their key: better than a page that does not come.
func (s *Site) Text(lang, key string, args ...any) string {
	t, err := s.words.text(lang, key)
	if err != nil {
		return key
	}
	return fill(t, args...)
}

// Count returns the words for n things, such as "2 minutes" for "minute".
func (s *Site) Count(lang, key string, n int) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return s.Text(lang, key+form, "n", n)
}

// Date returns the day of t as people read it: 3 March 2026.
func (s *Site) Date(lang string, t time.Time) string {
	month := s.Text(lang, "month."+strconv.Itoa(int(t.Month())))
	return strconv.Itoa(t.Day()) + " " + month + " " + strconv.Itoa(t.Year())
}

// Moment returns the day and the time of t: 3 March 2026, 14:05.
func (s *Site) Moment(lang string, t time.Time) string {
	return s.Date(lang, t) + ", " + t.Format("15:04")
}

// Message returns the words for a code of the message catalogue, with args as
// pairs of placeholder and value.
func (s *Site) Message(lang, code string, args ...any) Message {
	m := Message{Code: code}
	for part, to := range map[string]*string{".heading": &m.Heading, ".text": &m.Text, ".action": &m.Action} {
		if t, err := s.words.text(lang, code+part); err == nil {
			*to = fill(t, args...)
		}
	}
	return m
}
