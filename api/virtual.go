package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// SmartcardWay is the name of the smartcard's way and room.
const SmartcardWay = "smartcard"

// VirtualCards is a drawer of cards in software, which a development service
// offers in place of a reader and the desk agent.
type VirtualCards interface {
	// Cards lists them for a person to choose from.
	Cards(ctx context.Context) []web.VirtualCard

	// Show returns one card with its passcode and the tries left, or why it
	// is refused, before any passcode is asked.
	Show(ctx context.Context, serial string) (card web.VirtualCard, passcode string, tries int, err error)

	// Sign answers a question of the smartcard room with the card, as the
	// desk agent would. A wrong passcode is *WrongPasscode.
	Sign(ctx context.Context, login authenticators.Login, serial, passcode string) (json.RawMessage, error)
}

// WrongPasscode says that a card did not take a passcode. At zero tries it is
// locked.
type WrongPasscode struct{ TriesLeft int }

// Error implements error.
func (e *WrongPasscode) Error() string {
	return "wrong passcode, tries left: " + strconv.Itoa(e.TriesLeft)
}

// showCard asks for a virtual card's passcode.
func (s *Server) showCard(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	return s.askPasscode(w, r, v, r.URL.Query().Get("card"), nil)
}

// useCard signs the person in with a virtual card.
func (s *Server) useCard(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	serial := r.PostFormValue("card")

	passcode := r.PostFormValue("passcode")
	if passcode == "" {
		return s.askPasscode(w, r, v, serial, errNoPasscode)
	}

	answer, err := s.Development.Cards.Sign(r.Context(), question(v), serial, passcode)
	if err != nil {
		return s.askPasscode(w, r, v, serial, s.refusedSignIn(r, v, err))
	}
	after, err := s.accept(w, r, v, SmartcardWay, answer)
	if err != nil {
		return s.askPasscode(w, r, v, serial, err)
	}

	s.goOn(w, r, after)
	return nil
}

// leave sends the browser on if the login does not wait for an authenticator.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, v idp.View) bool {
	if v.Err == nil && v.Step == idp.Authenticate {
		return false
	}
	s.goOn(w, r, v)
	return true
}

// askPasscode shows the passcode page, with what went wrong before. A card
// that is refused or locked leads back to the ways to sign in.
func (s *Server) askPasscode(w http.ResponseWriter, r *http.Request, v idp.View, serial string, before error) error {
	wrong, isWrong := asWrongPasscode(before)
	again := before == nil || errors.Is(before, errNoPasscode) || isWrong && wrong.TriesLeft > 0
	reason := before
	if again {
		card, passcode, tries, err := s.Development.Cards.Show(r.Context(), serial)
		if err == nil {
			return s.passcodePage(w, r, v, web.Passcode{Serial: card.Serial, Holder: card.Holder, Hint: passcode, TriesLeft: tries}, before)
		}
		reason = s.refusedSignIn(r, v, err)
	}
	if refusedByRoom(reason) || isWrong {
		status, m := s.message(r, v, reason)
		return s.showWays(w, r, status, v, &m)
	}
	return s.dismiss(w, r, v, reason)
}

func (s *Server) passcodePage(w http.ResponseWriter, r *http.Request, v idp.View, page web.Passcode, before error) error {
	page.Page, page.LoginID = s.framed(r, v), v.Login.ID
	status := http.StatusOK
	if before != nil {
		var m web.Message
		status, m = s.message(r, v, before)
		page.Problem, page.Error = &m, true
	}
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, status, "passcode", page)
}
