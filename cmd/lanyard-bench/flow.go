package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// holder is somebody with a card, and with what they added beside it.
type holder struct {
	uid      string
	card     *virtualcard.Card
	file     []byte // the card, for a program of its own
	passcode string
	key      *testkey.Key // may be nil; it counts, so it is used by one flow at a time
	app      *app         // may be nil; the same
}

// flow is one sign-in: a person at a browser, for one client.
type flow struct {
	person *person
	holder holder
	client *client
	ledger *ledger

	params url.Values   // of the authorization request, beside the usual
	steps  func(string) // told the name of each step before it; may be nil
	waits  string       // the address of the page that waits for the desk

	// way proves who the person is, from the page with the ways to where it
	// leads; nil is with their card.
	way func(ctx context.Context, ways answer) (answer, error)
}

// result is what a whole sign-in gave.
type result struct {
	request request
	code    string
	tokens  tokens
	session string // the browser's secret afterwards
}

func (f *flow) step(name string) {
	if f.steps != nil {
		f.steps(name)
	}
}

// run signs in and gets tokens and claims: authorize, pages, proof, role, code,
// tokens, userinfo.
func (f *flow) run(ctx context.Context) (result, error) {
	r, err := f.code(ctx)
	if err != nil {
		return r, err
	}
	return f.redeem(ctx, r)
}

// code signs in up to the code.
func (f *flow) code(ctx context.Context) (result, error) {
	r := result{request: f.client.request()}
	f.step("authorize")
	a, err := f.person.open(ctx, http.MethodGet, r.request.address(f.params), nil)
	if err != nil {
		return r, err
	}
	if a.status >= http.StatusBadRequest {
		return r, problem("authorize, at "+f.person.at.Path, a)
	}
	if a.location == nil && f.at("/login") {
		way := f.way
		if way == nil {
			way = f.showCard
		}
		if a, err = way(ctx, a); err != nil {
			return r, err
		}
	}
	if a, err = f.goOn(ctx, a); err != nil {
		return r, err
	}
	if r.code, err = r.request.code(f.person.site, a.location); err != nil {
		return r, err
	}
	r.session = f.person.session()
	f.ledger.issued(r)
	return r, nil
}

func (f *flow) at(path string) bool { return f.person.at != nil && f.person.at.Path == path }

// goOn answers the pages that may come between the proof and the client.
func (f *flow) goOn(ctx context.Context, a answer) (answer, error) {
	for range hops {
		switch {
		case a.location != nil:
			return a, nil
		case f.at("/login/role"):
			f.step("role")
			page, err := formTo(a.body, "/login/role")
			if err != nil {
				return a, err
			}
			fill := url.Values{}
			if choices := page.choices["role"]; len(choices) > 0 {
				fill.Set("role", choices[0])
			}
			if a, err = f.person.submit(ctx, page, fill); err != nil {
				return a, err
			}
		case f.at("/login/notice"):
			page, err := formTo(a.body, "/login/notice")
			if err != nil {
				return a, err
			}
			if a, err = f.person.submit(ctx, page, nil); err != nil {
				return a, err
			}
		default:
			return a, problem("go on at "+f.person.at.Path, a)
		}
	}
	return a, errors.New("too many pages before the client")
}

// showCard proves who the person is, from the page with the ways to where it
// leads.
func (f *flow) showCard(ctx context.Context, ways answer) (answer, error) {
	agent, code, err := f.sign(ctx, ways)
	if err != nil {
		return ways, err
	}
	f.step("done")
	before := f.person.session()
	if err := f.leaveForDesk(ctx); err != nil {
		return ways, err
	}
	a, err := f.person.open(ctx, http.MethodGet, agent.done(code), nil)
	if err != nil {
		return a, err
	}
	after := f.person.session()
	if after == "" || after == before {
		return a, problem("finish with the card at "+f.person.at.Path, a)
	}
	f.ledger.signedIn(after, before, f.holder.uid)
	return a, nil
}

// sign has the card answer, up to the completion code.
func (f *flow) sign(ctx context.Context, ways answer) (*agent, string, error) {
	way, err := formTo(ways.body, "/login/smartcard/begin")
	if err != nil {
		return nil, "", err
	}
	f.step("begin")
	page, err := f.person.submit(ctx, way, nil)
	if err != nil {
		return nil, "", err
	}
	if page.status != http.StatusOK {
		return nil, "", problem("begin with the card", page)
	}
	handle, err := handleIn(link(page.body, "lanyard-desk:"))
	if err != nil {
		return nil, "", fmt.Errorf("%w; it says %q", err, said(page.body))
	}
	f.waits = link(page.body, "/login/smartcard?")
	f.person.site.hears("handle", handle)
	a, err := newAgent(f.person.site, f.holder.card, f.holder.passcode)
	if err != nil {
		return nil, "", err
	}

	f.step("redeem")
	got, err := a.redeem(ctx, handle)
	if err != nil {
		return a, "", err
	}
	if got.status != http.StatusOK {
		return a, "", problem("redeem the handle", got)
	}
	jws, err := a.sign()
	if err != nil {
		return a, "", err
	}
	f.step("response")
	if got, err = a.respond(ctx, jws); err != nil {
		return a, "", err
	}
	code, err := completion(got)
	f.person.site.hears("completion code", code)
	return a, code, err
}

// leaveForDesk loads the page that waited again, which now leads to the agent:
// the person of this rig goes there in their mind.
func (f *flow) leaveForDesk(ctx context.Context) error {
	a, err := f.person.open(ctx, http.MethodGet, f.waits, nil)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return problem("wait for the desk", a)
	}
	if _, err := formTo(a.body, fmt.Sprintf("http://127.0.0.1:%d/v1/done", donePort)); err != nil {
		return fmt.Errorf("the page does not lead to the desk: %w", err)
	}
	return nil
}

// done is where the desk agent sends the browser.
func (a *agent) done(code string) string {
	return "/desk/v1/done?" + url.Values{"tx": {a.question.Transaction}, "cc": {code}}.Encode()
}

// redeem turns the code into tokens, and asks userinfo with them.
func (f *flow) redeem(ctx context.Context, r result) (result, error) {
	s := f.person.site
	f.step("token")
	a, err := r.request.redeem(ctx, s, r.code, nil)
	if err != nil {
		f.ledger.tried(r.code)
		return r, err
	}
	if r.tokens, err = r.request.accept(ctx, s, a); err != nil {
		return r, err
	}
	f.ledger.redeemed(r)
	f.step("userinfo")
	info, err := s.userinfo(ctx, r.tokens.access)
	if err != nil {
		return r, err
	}
	if info.status != http.StatusOK {
		return r, problem("ask userinfo", info)
	}
	if sub := r.tokens.claims["sub"]; r.tokens.claims != nil && sub != f.holder.uid {
		return r, fmt.Errorf("%v signed in with what %s has", sub, f.holder.uid)
	}
	return r, nil
}

// session is the browser's secret of its session, or "".
func (p *person) session() string {
	for _, name := range []string{"lanyard-session", "__Host-lanyard-session"} {
		if secret := p.cookies[name]; secret != "" {
			return secret
		}
	}
	return ""
}
