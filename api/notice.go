package api

import (
	"net/http"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// showNotice tells the person that their card ends soon.
func (s *Server) showNotice(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if v.Err != nil || v.Step != idp.ReadNotice {
		s.goOn(w, r, v)
		return nil
	}

	page := web.Notice{Page: s.framed(r, v), LoginID: v.Login.ID}
	ends := smartcard.Ahead{Certificate: v.Session.Ends}
	if v.Session.EndsWith == authenticators.WithSeries {
		ends = smartcard.Ahead{Series: v.Session.Ends}
	}
	page.Message = s.Ahead(page.Lang, ends)[0]
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, http.StatusOK, "notice", page)
}

// readNotice goes on after the notice.
func (s *Server) readNotice(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if v, err = s.Logins.Tell(r.Context(), v); err != nil {
		return err
	}
	s.goOn(w, r, v)
	return nil
}
