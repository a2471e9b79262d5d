package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// language is the language of the words: what the person chose here, what the
// application of login l asks for, what the browser asks for, or English. An
// application that is not known to be one has nothing to ask.
func (s *Server) language(r *http.Request, l idp.Login) string {
	return s.Site.Language(s.Browser.Language(r), l.Locale, r.Header.Get("Accept-Language"))
}

// chooseLanguage keeps the language that the person wants, and leads back to
// the page on which they chose it. It takes POST, as all that changes
// something.
func (s *Server) chooseLanguage(w http.ResponseWriter, r *http.Request) error {
	to, back := r.PostFormValue("to"), ownPath(r.PostFormValue("back"))
	if !slices.Contains(s.Site.Languages(), to) {
		return errNoPage
	}

	s.Browser.SetLanguage(w, to)

	http.Redirect(w, r, back, http.StatusSeeOther) //nolint:gosec // ownPath let nothing through but a path of ours
	return nil
}

// maxHere bounds an address that a form brings back: more is no page of ours.
const maxHere = 4 << 10

// here is the address that shows the page again. What was posted is left out
// but for the login and its card: a passcode never stands in an address. What
// nobody has read yet is not read here, where nothing bounds it.
func here(r *http.Request) string {
	address := r.URL.RequestURI()
	if r.URL.Path == DonePath {
		return "" // works once, and its code has no place in a page
	}
	if r.Method == http.MethodPost {
		q := url.Values{}
		for _, name := range []string{"id", "card"} {
			if value := r.PostForm.Get(name); value != "" {
				q.Set(name, value)
			}
		}
		address = r.URL.EscapedPath() + "?" + q.Encode()
	}
	if len(address) > maxHere {
		return ""
	}
	return address
}

// ownPath returns back if it is an address of this service, and "/" if not:
// no form that looks like ours may lead people elsewhere. To a browser //host
// is another site and a backslash a slash, in what http.Redirect has tidied
// up as well; characters that browsers leave out are refused by url.Parse.
func ownPath(back string) string {
	u, err := url.Parse(back)
	if err != nil || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.Contains(back, `\`) {
		return "/"
	}
	return u.RequestURI()
}
