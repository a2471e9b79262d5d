package api

import (
	"net/http"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// Refusals of the API for administration.
const (
	ErrNobody      idp.Refusal = "nobody is signed in: there is no access token" // RFC 6750 §3.1: told nothing but that there should be one
	ErrNotForThis  idp.Refusal = "the access token is not one for administration"
	ErrBody        idp.Refusal = "what was sent is not what is asked for here"
	ErrTooBig      idp.Refusal = "the body is too big"
	ErrMedia       idp.Refusal = "the body must be application/json in UTF-8"
	ErrMethod      idp.Refusal = "the method is none of this address"
	ErrChanged     idp.Refusal = "it was changed since it was read"
	ErrNoReference idp.Refusal = "nothing is known of that reference"

	ErrOtherRequest idp.Refusal = "the idempotency key is that of another request"
	ErrInHand       idp.Refusal = "a request with that idempotency key is in hand"
	ErrDoneBefore   idp.Refusal = "the request with that idempotency key was done, and its answer is not known any more"
)

// registration says which messages the registration authority has for its
// refusals, on pages and in the API.
var registration = []message{
	{registry.ErrNotActive, "RA-01", http.StatusForbidden},
	{registry.ErrNoAuthority, "RA-02", http.StatusForbidden},
	{registry.ErrSelf, "RA-03", http.StatusForbidden},
	{registry.ErrAbove, "RA-04", http.StatusForbidden},
	{registry.ErrField, "RA-05", http.StatusUnprocessableEntity},
	{registry.ErrConfirm, "RA-06", http.StatusConflict},
	{registry.ErrNoReason, "RA-07", http.StatusUnprocessableEntity},
	{registry.ErrUnchecked, "RA-08", http.StatusUnprocessableEntity},
	{registry.ErrDay, "RA-09", http.StatusUnprocessableEntity},
	{registry.ErrTooLong, "RA-10", http.StatusUnprocessableEntity},
	{registry.ErrMany, "RA-11", http.StatusUnprocessableEntity},
	{registry.ErrNoPerson, "RA-12", http.StatusNotFound},
	{registry.ErrRestricted, "RA-13", http.StatusConflict},
	{registry.ErrClosed, "RA-14", http.StatusConflict},
	{registry.ErrUnverified, "RA-15", http.StatusConflict},
	{registry.ErrProfileState, "RA-16", http.StatusConflict},
	{registry.ErrMerged, "RA-17", http.StatusConflict},
	{registry.ErrRobot, "RA-18", http.StatusConflict},
	{registry.ErrHRLink, "RA-19", http.StatusUnprocessableEntity},
	{registry.ErrNoPosition, "RA-20", http.StatusNotFound},
	{registry.ErrSamePosition, "RA-21", http.StatusConflict},
	{registry.ErrNoCard, "RA-22", http.StatusNotFound},
	{registry.ErrCardState, "RA-23", http.StatusConflict},
	{registry.ErrNoAuthenticator, "RA-24", http.StatusNotFound},
	{registry.ErrNoSession, "RA-25", http.StatusNotFound},
	{registry.ErrSeries, "RA-26", http.StatusConflict},
	{registry.ErrCertificate, "RA-27", http.StatusUnprocessableEntity},
	{registry.ErrNotIssuing, "RA-50", http.StatusConflict},
	{registry.ErrCSR, "RA-51", http.StatusUnprocessableEntity},
	{registry.ErrCardKey, "RA-52", http.StatusUnprocessableEntity},
	{registry.ErrUntrusted, "RA-53", http.StatusUnprocessableEntity},
	{registry.ErrWhose, "RA-54", http.StatusUnprocessableEntity},
	{registry.ErrNoApplicant, "RA-55", http.StatusNotFound},
	{registry.ErrApplicant, "RA-56", http.StatusConflict},
	{registry.ErrNotInvited, "RA-57", http.StatusForbidden},
	{registry.ErrNoOrganisation, "RA-28", http.StatusNotFound},
	{registry.ErrOrganisationClosed, "RA-29", http.StatusConflict},
	{registry.ErrCircle, "RA-30", http.StatusConflict},
	{registry.ErrBelow, "RA-31", http.StatusConflict},
	{registry.ErrNoClient, "RA-32", http.StatusNotFound},
	{registry.ErrOwnClient, "RA-33", http.StatusConflict},
	{registry.ErrDocument, "RA-34", http.StatusUnprocessableEntity},
	{registry.ErrNoRequest, "RA-35", http.StatusNotFound},
	{registry.ErrDecided, "RA-36", http.StatusConflict},
	{registry.ErrSamePerson, "RA-37", http.StatusForbidden},
	{registry.ErrAskerNoMore, "RA-38", http.StatusConflict},
	{registry.ErrEnrolment, "RA-39", http.StatusBadRequest},
	{idp.ErrPuzzle, "CLM-01", http.StatusBadRequest},
	{registry.ErrNotAlone, "CLM-02", http.StatusBadRequest},
	{registry.ErrClaimGone, "CLM-03", http.StatusBadRequest},
	{registry.ErrClaimBehind, "CLM-04", http.StatusConflict},
	{ErrNobody, "API-01", http.StatusUnauthorized},
	{idp.ErrToken, "API-01", http.StatusUnauthorized},
	{ErrNotForThis, "API-02", http.StatusForbidden},
	{ErrBody, "API-03", http.StatusBadRequest},
	{ErrTooBig, "API-04", http.StatusRequestEntityTooLarge},
	{ErrMedia, "API-05", http.StatusUnsupportedMediaType},
	{ErrMethod, "API-06", http.StatusMethodNotAllowed},
	{ErrChanged, "API-07", http.StatusPreconditionFailed},
	{ErrNoReference, "API-08", http.StatusNotFound},
	{ErrOtherRequest, "API-09", http.StatusUnprocessableEntity},
	{ErrInHand, "API-10", http.StatusConflict},
	{ErrDoneBefore, "API-11", http.StatusConflict},
	// RFC 9470 §3: the token is good, and the sign-in behind it not good enough.
	{idp.ErrTooLow, "API-12", http.StatusUnauthorized},
	{idp.ErrStale, "API-13", http.StatusUnauthorized},
}

// InRegistration is err as the registration authority says it: a profile that is
// closed is another matter there than to whom it belongs.
type InRegistration struct{ error }

// Unwrap returns the error.
func (e InRegistration) Unwrap() error { return e.error }

// RetryAfter tells a program when to come back, if err says.
func RetryAfter(w http.ResponseWriter, err error) { retryAfter(w, err) }

// Explain returns the message that people read of a refusal whose reason stands
// in the journal, and whether there is one. What it was filled with is not known
// any more, so only its heading, and what to do, are sure to be whole.
func (s *Server) Explain(lang, reason string) (web.Message, bool) {
	var code string
	longest := 0
	for _, m := range messages {
		if text := m.err.Error(); len(text) > longest && strings.HasSuffix(reason, text) {
			code, longest = m.code, len(text)
		}
	}
	if code == "" {
		return web.Message{}, false
	}
	return s.Site.Message(lang, code, "application", s.Site.Text(lang, "application.unnamed")), true
}
