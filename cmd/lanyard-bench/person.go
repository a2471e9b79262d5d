package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// person sits at a browser that knows no scripts. It is a few lines on
// http.RoundTripper, because what it costs is taken from the servers that are
// measured beside it.
type person struct {
	site     *site
	cookies  map[string]string
	at       *url.URL // the page that is shown
	openings int      // how many requests were sent
}

// site is how people and clients reach the service: its public address, and
// where each request really goes.
type site struct {
	issuer *url.URL
	from   string        // the address that the one at the other end has, as the balancer tells the servers
	to     func() string // host and port of a server or a balancer
	trip   http.RoundTripper
	hears  func(kind, secret string) // told of everything that must never be logged
}

// newTransport returns a transport for many people at once.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
		ResponseHeaderTimeout: 20 * time.Second, DisableCompression: true,
	}
}

func newPerson(s *site) *person { return &person{site: s, cookies: map[string]string{}} }

// answer is what a request got.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	location *url.URL // nil if it leads nowhere
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ask sends one request to the site.
func (s *site) ask(ctx context.Context, method, ref string, header http.Header, body string) (answer, error) {
	target, err := s.issuer.Parse(ref)
	if err != nil {
		return answer{}, fmt.Errorf("address of the next request: %w", err)
	}
	// A body without GetBody, though it may be empty: net/http would send what
	// may have arrived a second time behind our back.
	req, err := http.NewRequestWithContext(ctx, method, target.String(), io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return answer{}, err
	}
	req.ContentLength = int64(len(body))
	req.Host, req.URL.Host = s.issuer.Host, s.to()
	for name, values := range header {
		req.Header[name] = values
	}
	if s.from != "" {
		req.Header["X-Forwarded-For"] = []string{s.from}
	}
	resp, err := s.trip.RoundTrip(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, target.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	buf := buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	defer buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return answer{}, fmt.Errorf("%s %s: read answer: %w", method, target.Path, err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: bytes.Clone(buf.Bytes())}
	switch {
	case resp.Header.Get(lostMark) != "":
		return answer{}, fmt.Errorf("%s %s: %w", method, target.Path, errLost)
	case resp.Header.Get(noneMark) != "":
		return answer{}, fmt.Errorf("%s %s: %w", method, target.Path, errNobody)
	}
	if l := resp.Header.Get("Location"); l != "" {
		if a.location, err = target.Parse(l); err != nil {
			return answer{}, fmt.Errorf("%s %s: it leads to no address: %w", method, target.Path, err)
		}
	}
	return a, nil
}

// once sends one request with the browser's cookies, and keeps those that come
// back.
func (p *person) once(ctx context.Context, method, ref string, form url.Values) (answer, error) {
	header := http.Header{"Cookie": p.cookieLine()}
	body := ""
	if method == http.MethodPost {
		header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		header["Origin"] = []string{p.site.issuer.Scheme + "://" + p.site.issuer.Host}
		body = form.Encode()
	}
	p.openings++
	a, err := p.site.ask(ctx, method, ref, header, body)
	if err != nil {
		return a, err
	}
	for _, line := range a.header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			return a, fmt.Errorf("read cookie: %w", err)
		}
		if c.MaxAge < 0 || c.Value == "" {
			delete(p.cookies, c.Name)
			continue
		}
		p.cookies[c.Name] = c.Value
		if !slices.Contains(plain, c.Name) {
			p.site.hears("cookie", c.Value)
		}
	}
	return a, nil
}

// plain are the cookies that hold no secret but a word of everybody's.
var plain = []string{"lanyard-way", "lanyard-language"}

func (p *person) cookieLine() []string {
	if len(p.cookies) == 0 {
		return nil
	}
	parts := make([]string, 0, len(p.cookies))
	for name, value := range p.cookies {
		parts = append(parts, name+"="+value)
	}
	return []string{strings.Join(parts, "; ")}
}

// hops bounds how often a browser is sent on.
const hops = 10

// open goes to an address and follows where it leads, until a page or until it
// leads away from the site: then that address is in the answer.
func (p *person) open(ctx context.Context, method, ref string, form url.Values) (answer, error) {
	for range hops {
		a, err := p.once(ctx, method, ref, form)
		if err != nil {
			return a, err
		}
		if p.at, err = p.site.issuer.Parse(ref); err != nil {
			return a, err
		}
		if a.location == nil || a.location.Host != p.site.issuer.Host {
			return a, nil
		}
		method, ref, form = http.MethodGet, a.location.String(), nil
	}
	return answer{}, fmt.Errorf("sent on more than %d times, last to %s", hops, p.at.Path)
}

// submit posts a form, with what a person fills in.
func (p *person) submit(ctx context.Context, f form, fill url.Values) (answer, error) {
	fields := url.Values{}
	for name, values := range f.fields {
		fields[name] = values
	}
	for name, values := range fill {
		fields[name] = values
	}
	return p.open(ctx, http.MethodPost, f.action, fields)
}
