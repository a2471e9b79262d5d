package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// led is where a browser goes that chose a language on a page of https://own.
func led(back string) (*url.URL, error) {
	w := httptest.NewRecorder()
	http.Redirect(w, httptest.NewRequest(http.MethodPost, "/language", nil), ownPath(back), http.StatusSeeOther)
	location := w.Header().Get("Location")
	location = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(location) // WHATWG URL §4.4
	at, err := url.Parse("https://own/language")
	if err != nil {
		return nil, err
	}
	return at.Parse(location)
}

func TestOwnPath(t *testing.T) {
	t.Run("language: the way back leads to our own pages alone", func(t *testing.T) {
		for back, want := range map[string]string{
			"/login?id=x":                    "/login?id=x",
			"/login/role?id=x&other=1":       "/login/role?id=x&other=1",
			"/authorize?scope=a%20b&state=é": "/authorize?scope=a%20b&state=%c3%a9",
			"/":                              "/",
			"/a/../login?id=x":               "/login?id=x",
			"":                               "/",
			"login":                          "/",
			"//evil.example":                 "/",
			"///evil.example":                "/",
			`/\evil.example`:                 "/",
			`/x/../\evil.example`:            "/",
			"/\t/evil.example":               "/",
			"/\n/evil.example":               "/",
			" //evil.example":                "/",
			"https://evil.example":           "/",
			"https:evil.example":             "/",
			"javascript:alert(1)":            "/",
			"/%zz":                           "/",
			"/x#//evil.example":              "/x",
		} {
			at, err := led(back)
			if err != nil || at.Host != "own" || at.RequestURI() != want {
				t.Errorf("%q leads to %v, %v; want %s", back, at, err, want)
			}
		}
	})
}

func FuzzOwnPath(f *testing.F) {
	f.Add("/login?id=x")
	f.Add(`/x/../\evil.example`)
	f.Fuzz(func(t *testing.T, back string) {
		if at, err := led(back); err != nil || at.Host != "own" || at.Scheme != "https" {
			t.Errorf("%q leads to %v, %v", back, at, err)
		}
	})
}

func TestHere(t *testing.T) {
	t.Run("language: a passcode never stands in an address", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/login/smartcard/virtual", strings.NewReader("id=l&card=c&passcode=123456"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := r.ParseForm(); err != nil {
			t.Fatal(err)
		}
		if got, want := here(r), "/login/smartcard/virtual?card=c&id=l"; got != want {
			t.Errorf("here() = %q, want %q", got, want)
		}
	})
	t.Run("own rule: an address that is too long has no way back", func(t *testing.T) {
		if got := here(httptest.NewRequest(http.MethodGet, "/?q="+strings.Repeat("x", maxHere), nil)); got != "" {
			t.Errorf("here() has %d characters", len(got))
		}
	})
}
