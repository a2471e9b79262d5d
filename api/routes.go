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
	if s.Trace != nil {
		r.Use(s.Trace)
	}
	r.Use(s.arrive, s.observe, s.recoverer, s.secure)
	unknown := s.page(func(http.ResponseWriter, *http.Request) error { return errNoPage })
	r.NotFound(unknown)
	r.MethodNotAllowed(s.page(func(http.ResponseWriter, *http.Request) error { return errMethod }))

	r.Handle("/static/*", s.Site.Static())
	begin, goOn := s.admit(s.InHand*3/4), s.admit(s.InHand)
	s.Protocol.Mount(r.With(begin, within(ordinary)), r.With(goOn, within(ordinary)), r)

	s.Desk.Mount(r.With(goOn, within(asking)))
	if s.Registry != nil {
		s.Registry(r.With(goOn)) // it has deadlines of its own: a whole directory takes longer than a page
	}

	if s.Cards != nil {
		r.With(goOn, within(ordinary)).Get("/cards/crl", s.Cards.ServeHTTP)
		r.With(goOn, within(ordinary)).Post("/cards/ocsp", s.Cards.ServeHTTP)
		r.With(goOn, within(ordinary)).Get("/cards/ocsp/*", s.Cards.ServeHTTP)
	}
	if s.Legacy != nil && !s.LegacyApart {
		s.Legacy(r.With(goOn, within(ordinary)), r.With(goOn, within(asking)), unknown)
	}

	files := r.With(sameOrigin(s), limitFile, goOn, within(reading))
	r.Group(func(r chi.Router) {
		r.Use(sameOrigin(s), limitForm)
		r.Get("/desk/v1/events", s.page(s.deskEvents)) // stays open: it has a bound of its own
		card := r.With(goOn, within(asking))
		page := r.With(goOn, within(ordinary))
		page.Get("/", s.page(s.home))
		page.Head("/", s.page(s.home))
		page.Post("/language", s.page(s.chooseLanguage))
		if s.automatic() {
			card.Get("/login", s.page(s.login))
		} else {
			page.Get("/login", s.page(s.login))
		}
		page.Post("/login/cancel", s.page(s.cancel))
		page.Post("/login/smartcard/begin", s.page(s.beginCard))
		page.Get("/login/smartcard", s.page(s.showDesk))
		card.Get(DonePath, s.page(s.finishCard))
		page.Post("/login/change", s.page(s.changeUser))
		page.Get("/sign-out", s.page(s.askSignOut))
		page.Post("/sign-out", s.page(s.signOut))
		page.Get("/signed-out", s.page(s.signedOut))
		if s.Rooms[KeyWay] != nil {
			page.Post("/login/passkey/begin", s.page(s.beginKey))
			page.Post("/login/passkey", s.page(s.useKey))
		}
		if s.Rooms[CodeWay] != nil {
			card.Get("/login/totp", s.page(s.showOneTime))
			card.Post("/login/totp", s.page(s.useOneTime))
			card.Get("/login/totp/forgotten", s.page(s.showForgotten))
			card.Post("/login/totp/forgotten", s.page(s.forgotten))
			card.Post("/login/totp/reset", s.page(s.reset))
		}
		if s.Rooms[FederatedWay] != nil {
			card.Post("/login/federated/begin", s.page(s.goAway))
			card.Get(FederatedReturn, s.page(s.comeBack))
		}
		if s.Account != nil {
			s.Account(card)
		}
		if s.Apply != nil {
			s.Apply(card)
		}
		if s.Enrol != nil {
			s.Enrol(card)
		}
		if s.Claim != nil {
			s.Claim(card)
		}
		if s.Registration != nil {
			s.Registration(card, files)
		}
		page.Get("/login/notice", s.page(s.showNotice))
		page.Post("/login/notice", s.page(s.readNotice))
		page.Get("/login/role", s.page(s.showRoles))
		page.Post("/login/role", s.page(s.chooseRole))
		if s.Development != nil {
			s.Development.Mount(r.With(goOn))
			card.Get("/login/smartcard/virtual", s.page(s.showCard))
			card.Post("/login/smartcard/virtual", s.page(s.useCard))
		}
	})
	return r
}

// LegacyRoutes returns the URLs of the old service, and no other.
func (s *Server) LegacyRoutes() http.Handler {
	r := chi.NewRouter()
	if s.Trace != nil {
		r.Use(s.Trace)
	}
	r.Use(s.arrive, s.observe, s.recoverer, s.secure)
	goOn := s.admit(s.InHand)
	r.NotFound(http.NotFound)
	s.Legacy(r.With(goOn, within(ordinary)), r.With(goOn, within(asking)), http.NotFound)
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
