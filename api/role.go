package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// showRoles asks which role to work in: the one used last on a page of its
// own, or all of them.
func (s *Server) showRoles(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if v.Err != nil || v.Step != idp.ChooseRole {
		s.goOn(w, r, v)
		return nil
	}
	mayPostTo(w, v.Login.RedirectURI)

	query := r.URL.Query()
	if last, ok := v.Person.Position(v.Role.Offered, s.Logins.Now()); ok && !query.Has("other") && !query.Has("q") {
		return s.render(w, http.StatusOK, "role-confirm",
			web.RoleConfirm{Page: s.framed(r, v), LoginID: v.Login.ID, Role: option(last)})
	}
	return s.rolesPage(w, r, v, query.Get("q"), nil)
}

// chooseRole takes the person's choice.
func (s *Server) chooseRole(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if v.Err != nil || v.Step != idp.ChooseRole {
		s.goOn(w, r, v)
		return nil
	}

	v, err = s.Logins.ChooseRole(r.Context(), v, RequestID(r.Context()), r.PostFormValue("role"))
	switch {
	case errors.Is(err, idp.ErrRole):
		return s.rolesPage(w, r, v, "", err)
	case errors.Is(err, idp.ErrLoginRequired), errors.Is(err, idp.ErrLoginGone):
		redirect(w, r, "/login", v.Login)
		return nil
	case err != nil:
		return err
	}

	s.goOn(w, r, v)
	return nil
}

func (s *Server) rolesPage(w http.ResponseWriter, r *http.Request, v idp.View, query string, problem error) error {
	page := web.Role{Page: s.framed(r, v), LoginID: v.Login.ID, Query: query, Total: len(v.Role.Offers)}
	for _, pos := range v.Role.Offers {
		if matches(pos, query) {
			page.Roles = append(page.Roles, option(pos))
		}
	}
	status := http.StatusOK
	if problem != nil {
		var m web.Message
		status, m = s.message(r, v, problem)
		page.Problem, page.Error = &m, true
	}
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, status, "role", page)
}

// option shows a position by the last of the three parts of its role's name,
// as applications do.
func option(pos idp.Position) web.RoleOption {
	parts := strings.Split(pos.RoleName, `":"`)
	return web.RoleOption{ID: pos.ID, Role: strings.Trim(parts[len(parts)-1], `"`),
		Organisation: pos.Organisation.Name, Code: pos.Organisation.Code}
}

// matches says whether every word of query is somewhere in what is shown of
// pos.
func matches(pos idp.Position, query string) bool {
	o := option(pos)
	shown := strings.ToLower(o.Role + " " + o.Organisation + " " + o.Code)
	for _, word := range strings.Fields(strings.ToLower(query)) {
		if !strings.Contains(shown, word) {
			return false
		}
	}
	return true
}
