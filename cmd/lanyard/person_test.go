package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// person sits at a browser that knows no scripts: they read a page, follow a
// link or send a form.
type person struct {
	t      *testing.T
	http   *http.Client
	accept string // the languages that the browser is set to
	at     *url.URL
	status int
	header http.Header
	page   *html.Node
	hops   []string // where redirects led since the last act
}

func newPerson(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// open goes to an address and follows redirects until a page, or until they
// lead to a client of these tests.
func (p *person) open(address string) {
	p.t.Helper()
	p.hops = nil
	p.follow(http.MethodGet, address, nil)
}

func (p *person) follow(method, address string, form url.Values) {
	p.t.Helper()
	for {
		if p.at != nil {
			next, err := p.at.Parse(address)
			if err != nil {
				p.t.Fatal(err)
			}
			address = next.String()
		}
		req, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			p.t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if p.accept != "" {
			req.Header.Set("Accept-Language", p.accept)
		}
		resp, err := p.http.Do(req)
		if err != nil {
			p.t.Fatal(err)
		}
		p.at, p.status, p.header = req.URL, resp.StatusCode, resp.Header
		p.page, err = html.Parse(io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		location := resp.Header.Get("Location")
		if location == "" {
			return
		}
		if p.status != http.StatusSeeOther {
			p.t.Errorf("%s answers %d, want 303: another would post a passcode again", req.URL.Path, p.status)
		}
		p.hops = append(p.hops, location)
		if strings.HasPrefix(location, callback) {
			p.page = nil
			return
		}
		method, address, form = http.MethodGet, location, nil
	}
}

// link follows the first link whose address holds part.
func (p *person) link(part string) {
	p.t.Helper()
	for n := range p.all("a") {
		if href := attr(n, "href"); strings.Contains(href, part) {
			p.open(href)
			return
		}
	}
	p.t.Fatalf("no link with %q on %s:\n%s", part, p.at, p.text())
}

// send fills in the form with that action and sends it.
func (p *person) send(action string, fields url.Values) {
	p.t.Helper()
	for n := range p.all("form") {
		if attr(n, "action") != action {
			continue
		}
		form := url.Values{}
		for in := range inside(n, "input") {
			if attr(in, "type") == "hidden" {
				form.Set(attr(in, "name"), attr(in, "value"))
			}
		}
		for name, values := range fields {
			form[name] = values
		}
		p.hops = nil
		p.follow(strings.ToUpper(attr(n, "method")), action, form)
		return
	}
	p.t.Fatalf("no form to %s on %s:\n%s", action, p.at, p.text())
}

// signIn shows a virtual card and its passcode.
func (p *person) signIn(uid string) {
	p.t.Helper()
	p.link("card=" + card(uid))
	p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
}

// answer is what the client got, or nil if the person was not sent to it.
func (p *person) answer() url.Values {
	p.t.Helper()
	if len(p.hops) == 0 || !strings.HasPrefix(p.hops[len(p.hops)-1], callback) {
		return nil
	}
	u, err := url.Parse(p.hops[len(p.hops)-1])
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Query()
}

// posted is what the client would get by the form that the page posts by
// itself, or nil if there is none.
func (p *person) posted() url.Values {
	if p.page == nil {
		return nil
	}
	for form := range p.all("form") {
		if attr(form, "action") != callback || attr(form, "method") != "post" {
			continue
		}
		got := url.Values{}
		for in := range inside(form, "input") {
			got.Add(attr(in, "name"), attr(in, "value"))
		}
		return got
	}
	return nil
}

// wantCode is the code that the client must have got.
func (p *person) wantCode() string {
	p.t.Helper()
	code := p.answer().Get("code")
	if code == "" {
		p.t.Fatalf("no code, but %v at %s: %s", p.answer(), p.at, p.seen())
	}
	return code
}

// wantError checks the error that the client must have got.
func (p *person) wantError(code string) {
	p.t.Helper()
	if got := p.answer().Get("error"); got != code {
		p.t.Errorf("the client got %v, want the error %s; page: %s", p.answer(), code, p.seen())
	}
}

// wantPage checks that the person sees a page with that text, and that no
// client was told anything.
func (p *person) wantPage(status int, text string) {
	p.t.Helper()
	if p.answer() != nil || p.status != status || !strings.Contains(p.text(), text) {
		p.t.Errorf("status %d, client %v, page:\n%s\nwant %d and %q", p.status, p.answer(), p.seen(), status, text)
	}
}

func (p *person) seen() string {
	if p.page == nil {
		return ""
	}
	return p.text()
}

// text is what the page says, in one line.
func (p *person) text() string {
	var b strings.Builder
	for n := range p.page.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (p *person) all(tag string) func(func(*html.Node) bool) { return inside(p.page, tag) }

func inside(n *html.Node, tag string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for d := range n.Descendants() {
			if d.Type == html.ElementNode && d.Data == tag && !yield(d) {
				return
			}
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// language is the language that the page says it is in.
func (p *person) language() string {
	for n := range p.all("html") {
		return attr(n, "lang")
	}
	return ""
}

// html is the page as it is written.
func (p *person) html() string {
	var b strings.Builder
	if err := html.Render(&b, p.page); err != nil {
		p.t.Fatal(err)
	}
	return b.String()
}
