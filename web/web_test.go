package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func newSite(t *testing.T) *Site {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plainSite is a site of a binary that was built without nhsuk-frontend.
func plainSite(t *testing.T, extra ...string) *Site {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(staticFiles, "static/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(staticFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	for _, name := range extra {
		files["static/"+name] = &fstest.MapFile{Data: []byte("/* " + name + " */")}
	}
	s, err := build(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func render(t *testing.T, s *Site, lang string, sm sample) string {
	t.Helper()
	page, err := s.Render(lang, sm.page, sm.data)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestEveryTemplateHasASample(t *testing.T) {
	s := newSite(t)
	shown := map[string]bool{}
	for _, sm := range samples(s, english) {
		shown[sm.page] = true
	}
	for name := range s.pages[english] {
		if !shown[name] {
			t.Errorf("no sample shows the page %s", name)
		}
	}
}

var (
	inline  = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(?: [^>]*)?>[^<]|ZgotmplZ`)
	scripts = regexp.MustCompile(`<script[^>]*>`)
	loaded  = regexp.MustCompile(`(?:src|<link[^>]* href|url\()="?([^" )>]+)`)
	copied  = regexp.MustCompile(`(?s)<pre class="lanyard-code".*?</pre>`) // what an administrator copies is no text of ours
	titles  = regexp.MustCompile(`<title>([^<]+)</title>`)
)

func TestPages(t *testing.T) {
	for look, s := range map[string]*Site{"plain": plainSite(t), "nhsuk": plainSite(t, vendorStyle, vendorScript)} {
		for lang := range s.words {
			for _, sm := range samples(s, lang) {
				t.Run(look+"/"+lang+"/"+sm.name, func(t *testing.T) {
					page := render(t, s, lang, sm)
					checkStrict(t, page)
					checkShape(t, page, lang, s.Text(lang, "title.error"))
				})
			}
		}
	}
}

// checkStrict looks for what the content security policy would stop.
func checkStrict(t *testing.T, page string) {
	t.Helper()
	if found := inline.FindString(page); found != "" {
		t.Errorf("the page holds %q, which the policy forbids", found)
	}
	for _, tag := range scripts.FindAllString(page, -1) {
		if !strings.Contains(tag, `type="module"`) {
			t.Errorf("%s is no module", tag)
		}
	}
	for _, m := range loaded.FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "/static/") {
			t.Errorf("the page loads %s", m[1])
		}
	}
}

// checkShape looks for what every page must have. The title of one that says
// what went wrong begins with the word problem.
func checkShape(t *testing.T, page, lang, problem string) {
	t.Helper()
	for _, once := range []string{`<html lang="` + lang + `"`, "<title>", "<h1", "<main", `id="help-heading"`, `href="#maincontent"`} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("the page holds %s %d times, want once", once, n)
		}
	}
	title := titles.FindStringSubmatch(page)
	if title == nil || !strings.HasSuffix(title[1], " – Lanyard") || len(title[1]) < 14 {
		t.Errorf("title %q", title)
	}
	wrong := strings.Contains(page, "nhsuk-error-summary")
	if wrong != strings.HasPrefix(title[1], problem+" ") {
		t.Errorf("title %q with an error summary: %v", title[1], wrong)
	}
	if _, rest, found := strings.Cut(copied.ReplaceAllString(page, ""), "{"); found {
		t.Errorf("a placeholder was not filled: {%.40s", rest)
	}
}

func TestDevelopmentBanner(t *testing.T) {
	s := newSite(t)
	for _, sm := range samples(s, english) {
		page := render(t, s, english, sm)
		banner := strings.Contains(page, "Development service:") && strings.Contains(page, "not secure, no real people")
		if want := strings.Contains(page, "lanyard-development"); banner != want {
			t.Errorf("%s: banner %v", sm.name, banner)
		}
	}
	if page := render(t, s, english, samples(s, english)[0]); !strings.Contains(page, "lanyard-development") {
		t.Error("a page in development has no banner")
	}
}

func TestContent(t *testing.T) {
	s := newSite(t)
	for _, sm := range samples(s, english) {
		page := render(t, s, english, sm)
		for _, want := range map[string][]string{
			"ways":             {`action="/login/smartcard/begin"`, `href="/login/smartcard/virtual?id=l0g1n&amp;card=0000101"`, `action="/login/cancel"`, "Cards that are refused"},
			"ways-cards-only":  {`card=0000102`},
			"passcode":         {`inputmode="numeric"`, `autocomplete="off"`, `type="password"`, "Its passcode is 123456.", "autofocus"},
			"passcode-warned":  {"You have 1 try left."},
			"passcode-wrong":   {`href="#answer"`, `aria-describedby="answer-hint answer-error"`, "You have 2 tries left."},
			"smartcard":        {`href="lanyard-desk:start?h=h%26ndle&amp;i=id.example%3A8443"`, ">4821<", "Riverside demo application", `data-lanyard-events="/desk/v1/events?tx=tx"`, `href="/login/smartcard?id=l0g1n&amp;tx=tx"`},
			"smartcard-again":  {`action="/login/smartcard/begin"`, `data-code="AGT-01"`},
			"smartcard-signed": {`action="http://127.0.0.1:40000/v1/done"`, "data-lanyard-submit"},
			"role-many":        {`name="q"`, "Showing 12 of 12 roles"},
			"role-search":      {`value="hill"`, "Showing 2 of 40 roles", "Show all roles"},
			"role-confirm":     {"Continue as Clinical Practitioner Access Role at Riverside Surgery?", `href="/login/role?id=l0g1n&amp;other=1"`},
			"failure":          {`<code id="reference">7f3k9qpd</code>`, "7f3k9qpd-2m1x-8c4v", "REQ-02", "redirect_uri"},
			"form-post":        {`action="http://localhost:8081/callback"`, `value="a&#34;b&lt;c"`, "data-lanyard-submit"},
		}[sm.name] {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not hold %s", sm.name, want)
			}
		}
		if strings.HasPrefix(sm.name, "role") && strings.Contains(page, " checked") {
			t.Errorf("%s: a role is chosen beforehand", sm.name)
		}
	}
}

func TestRenderGivesAllOrNothing(t *testing.T) {
	s := newSite(t)
	for _, page := range []any{struct{}{}, Role{}} {
		if half, err := s.Render(english, "passcode", page); err == nil || half != nil {
			t.Errorf("a passcode page of %T: %s, %v", page, half, err)
		}
	}
	if _, err := s.Render(english, "nowhere", Page{}); err == nil {
		t.Error("a page that does not exist")
	}
}

func TestReference(t *testing.T) {
	for id, want := range map[string]string{"": "", "abc": "abc", "01j-k3f0-9q2xyz": "01jk3f09"} {
		if got := (Page{RequestID: id}).Reference(); got != want {
			t.Errorf("Reference of %q = %q, want %q", id, got, want)
		}
	}
}

func TestStatic(t *testing.T) {
	s := newSite(t)
	for name, kind := range map[string]string{"lanyard.css": "text/css; charset=utf-8", "lanyard.js": "text/javascript; charset=utf-8", "mark.svg": "image/svg+xml"} {
		w := httptest.NewRecorder()
		s.Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, s.URL(name), nil))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/static/0000000000000000/lanyard.css", s.URL("nothing.css"), s.URL("vendor/.keep"), s.URL("../web.go"), s.URL("")} {
		w := httptest.NewRecorder()
		s.Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestLookIsChosenByWhatIsThere(t *testing.T) {
	plain, full := plainSite(t), plainSite(t, vendorStyle, vendorScript)
	if got := strings.Join(plain.Styles(), " "); !strings.Contains(got, "plain.css") || strings.Contains(got, "vendor") || len(plain.Scripts()) != 3 {
		t.Errorf("without nhsuk-frontend: %s %v", got, plain.Scripts())
	}
	if got := strings.Join(full.Styles(), " "); strings.Contains(got, "plain.css") || !strings.Contains(got, vendorStyle) || len(full.Scripts()) != 4 {
		t.Errorf("with nhsuk-frontend: %s %v", got, full.Scripts())
	}
	if plain.URL("lanyard.css") == full.URL("lanyard.css") {
		t.Error("two builds share an address")
	}
}

// What is embedded must not reach out: nothing of ours, and nothing that
// build.mjs let through.
func TestStaticFilesStayHere(t *testing.T) {
	away := regexp.MustCompile(`(?i)https?://[^\s"')]+|@import|@font-face|Frutiger`)
	for name, data := range newSite(t).assets.files {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		for _, found := range away.FindAllString(string(data), -1) {
			if found != "http://www.w3.org/2000/svg" { // the name of SVG, not an address
				t.Errorf("%s holds %s", name, found)
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	if got := Policy("https://app.example"); strings.Contains(got, "unsafe") || !strings.Contains(got, "form-action 'self' https://app.example;") {
		t.Errorf("Policy() = %s", got)
	}
}
