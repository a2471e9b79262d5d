package demo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/web"
)

// organisation is the stand-in on a listener of its own, with a room that signs
// people in there.
type organisation struct {
	*httptest.Server
	t      *testing.T
	people []UpstreamPerson
	room   *federated.Room

	mu    sync.Mutex
	asked map[string][]byte
}

func newOrganisation(t *testing.T) *organisation {
	t.Helper()
	o := &organisation{t: t, people: UpstreamPeople(aDirectory(t).People), asked: map[string][]byte{}}
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	issuer, back := o.URL+UpstreamPath, "http://localhost:8080/login/federated"
	handler, err := NewUpstream(UpstreamConfig{Issuer: issuer, ClientID: "lanyard", ClientSecret: "upstream-secret", RedirectURIs: []string{back}, People: o.people, Site: site,
		Frame: func(*http.Request) web.Page { return web.Page{Lang: "en", Development: true} }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle(UpstreamPath+"/", handler)
	o.room, err = federated.New(federated.Config{Issuer: issuer, ClientID: "lanyard", ClientSecret: "upstream-secret", RedirectURI: back, LinkURI: back + "/link",
		Scopes: []string{"email"}, HTTP: o.Client(), Questions: o, Held: o, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Ask keeps a question.
func (o *organisation) Ask(_ context.Context, name string, question []byte, _ time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[name] = question
	return nil
}

// Take returns it once.
func (o *organisation) Take(_ context.Context, name string, _ time.Time) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q, ok := o.asked[name]
	delete(o.asked, name)
	if !ok {
		return nil, authenticators.ErrAnswer
	}
	return q, nil
}

// ByHandle says that each account is linked to the person whose it is, but the
// second, which nobody linked.
func (o *organisation) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	for i, p := range o.people {
		if i != 1 && handle == o.URL+UpstreamPath+" "+p.Sub {
			return authenticators.Authenticator{ID: "a1", Kind: kind, Subject: strings.TrimPrefix(p.Sub, "riverside-"), State: authenticators.Active, Level: authenticators.AAL2}, nil
		}
	}
	return authenticators.Authenticator{}, authenticators.ErrNotHeld
}

// HeldBy is not asked.
func (o *organisation) HeldBy(context.Context, string) ([]authenticators.Authenticator, error) {
	return nil, errors.New("nobody should ask")
}

var (
	theirLogin = authenticators.Login{ID: "login-a", Browser: strings.Repeat("b", 43), ClientID: "demo-rp"}
	askedField = regexp.MustCompile(`name="asked" value="([^"]+)"`)
)

// page begins a sign-in and returns the page of the organisation, and what it
// asks about.
func (o *organisation) page() (page, asked string) {
	o.t.Helper()
	question, err := o.room.Begin(o.t.Context(), theirLogin)
	if err != nil {
		o.t.Fatal(err)
	}
	var q struct{ URL string }
	if err := json.Unmarshal(question, &q); err != nil {
		o.t.Fatal(err)
	}
	page, status := o.get(q.URL)
	m := askedField.FindStringSubmatch(page)
	if status != http.StatusOK || m == nil {
		o.t.Fatalf("status %d: %s", status, page)
	}
	return page, m[1]
}

func (o *organisation) get(address string) (string, int) {
	o.t.Helper()
	resp, err := o.Client().Get(address)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(b), resp.StatusCode
}

// choose posts the page's form, and returns what the browser brings back.
func (o *organisation) choose(form url.Values) json.RawMessage {
	o.t.Helper()
	client := *o.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.PostForm(o.URL+UpstreamPath+"/choose", form)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.String(), "http://localhost:8080/login/federated?") {
		o.t.Fatalf("status %d to %v, %v", resp.StatusCode, to, err)
	}
	answer := map[string]string{}
	for name, values := range to.Query() {
		answer[name] = values[0]
	}
	b, err := json.Marshal(answer)
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

func TestUpstream(t *testing.T) {
	o := newOrganisation(t)
	last := len(o.people) - 1
	for _, tt := range []struct {
		rule string
		form url.Values
		err  error
	}{
		{"own rule: whoever is chosen is signed in", url.Values{"sub": {o.people[0].Sub}}, nil},
		{"own rule: an account that nobody linked is refused", url.Values{"sub": {o.people[1].Sub}}, federated.ErrUnlinked},
		{"own rule: who has a password alone is refused", url.Values{"sub": {o.people[last].Sub}}, federated.ErrWeak},
		{"own rule: who stops is not signed in", url.Values{"sub": {o.people[0].Sub}, "stop": {"1"}}, federated.ErrCancelled},
		{"own rule: nobody is nobody", url.Values{"sub": {"riverside-nobody"}}, federated.ErrCancelled},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			page, asked := o.page()
			for _, p := range o.people {
				if !strings.Contains(page, `value="`+p.Sub+`"`) {
					t.Errorf("the page lacks %s", p.Name)
				}
			}
			tt.form.Set("asked", asked)
			e, err := o.room.Finish(t.Context(), theirLogin, o.choose(tt.form))
			if !errors.Is(err, tt.err) || tt.err == nil && e.Subject != o.people[0].UID {
				t.Errorf("Finish() = %+v, %v; want %v", e, err, tt.err)
			}
		})
	}
	t.Run("own rule: the page answers once", func(t *testing.T) {
		_, asked := o.page()
		form := url.Values{"asked": {asked}, "sub": {o.people[0].Sub}}
		o.choose(form)
		resp, err := o.Client().PostForm(o.URL+UpstreamPath+"/choose", form)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestUpstreamRefuses(t *testing.T) {
	o := newOrganisation(t)
	token := func(t *testing.T, secret string, change func(url.Values)) int {
		t.Helper()
		_, asked := o.page()
		var a struct{ Code string }
		if err := json.Unmarshal(o.choose(url.Values{"asked": {asked}, "sub": {o.people[0].Sub}}), &a); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "code": {a.Code}, "redirect_uri": {"http://localhost:8080/login/federated"}, "code_verifier": {"another"}}
		change(form)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.URL+UpstreamPath+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("lanyard", secret)
		resp, err := o.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	t.Run("RFC 7636 §4.6: the stand-in checks the verifier", func(t *testing.T) {
		if got := token(t, "upstream-secret", func(url.Values) {}); got != http.StatusBadRequest {
			t.Errorf("status %d", got)
		}
	})
	t.Run("own rule: the stand-in checks the secret", func(t *testing.T) {
		if got := token(t, "wrong", func(url.Values) {}); got != http.StatusUnauthorized {
			t.Errorf("status %d", got)
		}
	})
	t.Run("own rule: the stand-in redirects to registered addresses alone", func(t *testing.T) {
		q := url.Values{"client_id": {"lanyard"}, "redirect_uri": {"https://thief.example/"}, "response_type": {"code"}, "scope": {"openid"}}
		if _, status := o.get(o.URL + UpstreamPath + "/authorize?" + q.Encode()); status != http.StatusBadRequest {
			t.Errorf("status %d", status)
		}
	})
}
