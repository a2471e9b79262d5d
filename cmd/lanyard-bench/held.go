package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // of RFC 6238, as the apps of people have it
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// aal2 lets people in with whatever they hold. Nobody vouches for the keys of
// the rig.
var aal2 = url.Values{"acr_values": {"AAL2_OR_AAL3_ANY"}}

// addKey adds a security key at the account of who is signed in.
func (p *person) addKey(ctx context.Context, alg int) (*testkey.Key, error) {
	const path = "/account/add/passkey"
	page, err := p.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	form, err := formTo(page.body, path)
	if err != nil {
		return nil, err
	}
	key, err := testkey.New(alg)
	if err != nil {
		return nil, err
	}
	asked, err := p.ask(ctx, path+"/begin", form)
	if err != nil {
		return nil, err
	}
	answer, err := key.Create(asked, p.origin())
	if err != nil {
		return nil, err
	}
	return key, p.added(p.submit(ctx, form, url.Values{"name": {"Key"}, "answer": {string(answer)}}))
}

// useKey proves with a key who the person is, from the page with the ways to
// where it leads.
func (f *flow) useKey(ctx context.Context, ways answer) (answer, error) {
	way, err := formTo(ways.body, "/login/passkey")
	if err != nil {
		return ways, err
	}
	f.step("begin")
	asked, err := f.person.ask(ctx, "/login/passkey/begin", way)
	if err != nil {
		return ways, err
	}
	given, err := f.holder.key.Get(asked, f.person.origin())
	if err != nil {
		return ways, err
	}
	f.step("answer")
	return f.prove(ctx, way, url.Values{"answer": {string(given)}})
}

// prove posts what proves who the person is. They are signed in afterwards.
func (f *flow) prove(ctx context.Context, way form, fill url.Values) (answer, error) {
	before := f.person.session()
	a, err := f.person.submit(ctx, way, fill)
	if err != nil {
		return a, err
	}
	after := f.person.session()
	if after == "" || after == before {
		return a, problem("sign in at "+f.person.at.Path, a)
	}
	f.ledger.signedIn(after, before, f.holder.uid)
	return a, nil
}

// ask posts a form as a script of its page does, and returns what that is
// given for the browser.
func (p *person) ask(ctx context.Context, path string, f form) (json.RawMessage, error) {
	a, err := p.once(ctx, http.MethodPost, path, f.fields)
	if err == nil && a.status != http.StatusOK {
		err = problem("ask at "+path, a)
	}
	return a.body, err
}

// added says what went wrong unless the account says that something was added.
func (p *person) added(a answer, err error) error {
	if err == nil && (p.at.Path != "/account" || p.at.Query().Get("done") != "added") {
		err = problem("add at "+p.at.Path, a)
	}
	return err
}

func (p *person) origin() string { return p.site.issuer.Scheme + "://" + p.site.issuer.Host }

// app is what somebody knows and has who signs in with a password and a code.
type app struct {
	password string
	seed     []byte
	last     int64 // the step whose code was shown last
}

// How long the code of an app lasts, and how many a server takes beside the
// one of now, on either side: RFC 6238 §5.2.
const (
	codeLife  = 30 * time.Second
	codeDrift = 1
)

// stepNow is the number of the code that an app shows.
func stepNow() int64 { return time.Now().Unix() / int64(codeLife/time.Second) }

// code is the code of a step. RFC 6238 §4.
func (a *app) code(step int64) string {
	mac := hmac.New(sha1.New, a.seed)
	_ = binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1e6)
}

// fresh waits until there is a code that was not shown, and returns it. It
// takes the next one early, as an app may do whose clock is ahead.
func (a *app) fresh(ctx context.Context) (string, error) {
	for a.last >= stepNow()+codeDrift {
		wait(ctx, time.Second/4)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	a.last = max(a.last+1, stepNow())
	return a.code(a.last), nil
}

// addCode adds a password and an app at the account of who is signed in.
func (p *person) addCode(ctx context.Context) (*app, error) {
	const path = "/account/add/totp"
	page, err := p.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	form, err := formTo(page.body, path)
	if err != nil {
		return nil, err
	}
	secret := strings.ToUpper(strings.Join(strings.Fields(textOf(page.body, "secret")), ""))
	a := &app{password: random(16)}
	if a.seed, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret); err != nil || len(a.seed) == 0 {
		return nil, errors.Join(errors.New("the page shows no secret for an app"), err)
	}
	p.site.hears("password", a.password)
	p.site.hears("seed of one-time codes", secret)
	// The oldest that is taken, so that the codes of now are left.
	a.last = stepNow() - codeDrift
	return a, p.added(p.submit(ctx, form, url.Values{"password": {a.password}, "code": {a.code(a.last)}}))
}

// codeForm is the page that asks for e-mail, password and code.
func (f *flow) codeForm(ctx context.Context, ways answer) (form, error) {
	id, err := formTo(ways.body, "/login/cancel")
	if err != nil {
		return form{}, err
	}
	page, err := f.person.open(ctx, http.MethodGet, "/login/totp?"+url.Values{"id": id.fields["id"]}.Encode(), nil)
	if err != nil {
		return form{}, err
	}
	return formTo(page.body, "/login/totp")
}

// knows is what the holder fills in, with that code.
func (h holder) knows(code string) url.Values {
	return url.Values{"email": {h.uid + "@rig.example"}, "password": {h.app.password}, "code": {code}}
}

// useCode proves with a password and a one-time code who the person is.
func (f *flow) useCode(ctx context.Context, ways answer) (answer, error) {
	way, err := f.codeForm(ctx, ways)
	if err != nil {
		return ways, err
	}
	code, err := f.holder.app.fresh(ctx)
	if err != nil {
		return ways, err
	}
	f.step("answer")
	return f.prove(ctx, way, f.holder.knows(code))
}
