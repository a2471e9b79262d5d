package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Routes returns every URL of the service but those for operators.
func (s *Server) Routes() http.Handler {
	r := chi.NewRouter()
	r.Use(identify, s.observe, s.recoverer, s.secure)
	r.NotFound(s.page(func(http.ResponseWriter, *http.Request) error { return errNoPage }))
	r.MethodNotAllowed(s.page(func(http.ResponseWriter, *http.Request) error { return errMethod }))

	r.Handle("/static/*", s.Site.Static())
	s.Protocol.Mount(r)
	s.Desk.Mount(r)

	r.Group(func(r chi.Router) {
		r.Use(sameOrigin(s), limitForm)
		r.Get("/", s.page(s.home))
		r.Head("/", s.page(s.home))
		r.Post("/language", s.page(s.chooseLanguage))
		r.Get("/login", s.page(s.login))
		r.Post("/login/cancel", s.page(s.cancel))
		r.Post("/login/smartcard/begin", s.page(s.beginCard))
		r.Get("/login/smartcard", s.page(s.showDesk))
		r.Get("/desk/v1/events", s.page(s.deskEvents))
		r.Get(DonePath, s.page(s.finishCard))
		r.Get("/login/notice", s.page(s.showNotice))
		r.Post("/login/notice", s.page(s.readNotice))
		r.Get("/login/role", s.page(s.showRoles))
		r.Post("/login/role", s.page(s.chooseRole))
		if s.Development != nil {
			s.Development.Mount(r)
			r.Get("/login/smartcard/virtual", s.page(s.showCard))
			r.Post("/login/smartcard/virtual", s.page(s.useCard))
		}
	})
	return r
}

// home is the page at the root.
func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	page := web.Home{Page: s.Frame(r)}
	if d := s.Development; d != nil {
		page.DemoURL, page.Facts, page.Cards = d.DemoURL, d.Facts, d.Cards.Cards(r.Context())
	}
	return s.render(w, http.StatusOK, "home", page)
}

// page makes a handler of one that may fail: this wrapper is where the error
// becomes a page.
func (s *Server) page(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, idp.Client{}, err)
		}
	}
}
