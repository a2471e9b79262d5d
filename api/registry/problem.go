package registry

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// mostFields is how many fields one answer names.
const mostFields = 20

// fields are what is wrong with a request.
type fields []api.Field

func (f *fields) add(name, problem, nearest string) {
	if len(*f) < mostFields {
		*f = append(*f, api.Field{Name: clip(name), Problem: problem, Nearest: nearest})
	}
}

// err is nil if nothing is wrong.
func (f fields) err() error {
	if len(f) == 0 {
		return nil
	}
	return wrong{f}
}

// wrong is a request that cannot be read for its fields.
type wrong struct{ fields fields }

// Error returns the reason, and no part of what was sent.
func (w wrong) Error() string { return api.ErrBody.Error() }

// Is makes it what it is for those who look it up.
func (w wrong) Is(target error) bool { return target == error(api.ErrBody) }

// clip keeps what a stranger sent from filling an answer.
func clip(s string) string {
	const enough = 60
	if r := []rune(s); len(r) > enough {
		return string(r[:enough]) + "…"
	}
	return s
}

// fail tells a program of an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	said := a.problem(r, err)
	switch {
	case errors.Is(err, api.ErrNobody):
		w.Header().Set("WWW-Authenticate", `Bearer realm="lanyard"`)
	case errors.Is(err, idp.ErrTooLow), errors.Is(err, idp.ErrStale):
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="lanyard", error="insufficient_user_authentication", acr_values="%s", max_age="%d"`, idp.AAL3Any, idp.FreshFor/time.Second))
	case said.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="lanyard", error="invalid_token"`)
	case errors.Is(err, api.ErrNotForThis):
		w.Header().Set("WWW-Authenticate", `Bearer realm="lanyard", error="insufficient_scope", scope="`+idp.AdminScope+`"`)
	}
	api.RetryAfter(w, err)
	said.Write(w, a.lang(r))
}

func (a *API) problem(r *http.Request, err error) api.Problem {
	p := a.Server.RegistrationProblem(r, a.lang(r), err)
	if w, ok := errors.AsType[wrong](err); ok {
		p.Fields = w.fields
	}
	if no, ok := errors.AsType[*registry.Refused](err); ok {
		for _, f := range no.Fields {
			p.Fields = append(p.Fields, api.Field{Name: clip(f.Name), Problem: f.Problem})
		}
		p.Warnings = no.Warnings
	}
	if lines, ok := errors.AsType[directory.Problems](err); ok {
		for _, l := range lines {
			p.Fields = append(p.Fields, api.Field{Name: "document", Problem: registry.Form, Line: l.Line, Text: l.Text})
		}
	}
	return p
}

// lang is the language of an answer's words.
func (a *API) lang(r *http.Request) string {
	return a.Server.Site.Language("", r.Header.Get("Accept-Language"))
}
