package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

func TestCookies(t *testing.T) {
	for _, b := range []Browser{{Secure: true}, {}} {
		t.Run(fmt.Sprintf("S1: no script, no other site and no other host has a cookie; https %v", b.Secure), func(t *testing.T) {
			w := httptest.NewRecorder()
			b.Bind(w, httptest.NewRequest(http.MethodGet, "/authorize", nil), "a-login-of-somebody")
			b.SignIn(w, idp.NewSecret())
			b.SetLanguage(w, "cy")
			b.Release(w, "a-login-of-somebody")
			set := w.Result().Cookies()
			if len(set) != 4 {
				t.Fatalf("%d cookies, want 4", len(set))
			}
			for _, c := range set {
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
					t.Errorf("%s is open to others: %+v", c.Name, c)
				}
				if c.Secure != b.Secure || strings.HasPrefix(c.Name, "__Host-") != b.Secure {
					t.Errorf("%s: Secure %v, want %v, and the name to say so", c.Name, c.Secure, b.Secure)
				}
			}
			if bound, released := set[0], set[3]; bound.MaxAge != int(idp.LoginLife.Seconds()) || released.Name != bound.Name || released.MaxAge >= 0 {
				t.Errorf("a login's cookie lives %d s and is taken back by %+v", bound.MaxAge, released)
			}
		})
	}
}

func TestBound(t *testing.T) {
	t.Run("own rule: a browser is known by the value of its login's cookie, not by the name", func(t *testing.T) {
		var b Browser
		w := httptest.NewRecorder()
		l := idp.Login{ID: "a-login-of-somebody"}
		l.Browser = b.Bind(w, httptest.NewRequest(http.MethodGet, "/authorize", nil), l.ID)
		cookie := w.Result().Cookies()[0]
		for value, want := range map[string]error{cookie.Value: nil, "": idp.ErrOtherBrowser, l.Browser: idp.ErrOtherBrowser, idp.NewSecret(): idp.ErrOtherBrowser} {
			r := httptest.NewRequest(http.MethodGet, "/login", nil)
			r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
			if err := b.Bound(r, l); !errors.Is(err, want) {
				t.Errorf("Bound: %v, want %v", err, want)
			}
		}
	})
}

func TestManyLogins(t *testing.T) {
	for open, want := range map[int]int{maxLogins - 1: 0, maxLogins: maxLogins} {
		t.Run(fmt.Sprintf("own rule: with %d logins open, beginning another ends %d", open, want), func(t *testing.T) {
			var b Browser
			r := httptest.NewRequest(http.MethodGet, "/authorize", nil)
			r.AddCookie(&http.Cookie{Name: sessionCookie, Value: "s"})
			opened := map[string]bool{}
			for i := range open {
				name := b.loginName(fmt.Sprintf("%012d", i))
				r.AddCookie(&http.Cookie{Name: name, Value: "s"})
				opened[name] = true
			}
			w := httptest.NewRecorder()
			b.Bind(w, r, idp.NewSecret())
			var ended, begun int
			for _, c := range w.Result().Cookies() {
				switch {
				case c.MaxAge < 0 && opened[c.Name]:
					ended++
				case c.MaxAge > 0 && strings.HasPrefix(c.Name, loginCookie):
					begun++
				default:
					t.Errorf("%s is changed", c.Name)
				}
			}
			if ended != want || begun != 1 {
				t.Errorf("%d logins ended and %d began, want %d and 1", ended, begun, want)
			}
		})
	}
}
