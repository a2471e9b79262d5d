package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// FederatedWay is the name of the way and room of the organisation's own
// provider.
const FederatedWay = "federated"

// FederatedReturn is where that provider sends browsers back to that sign in,
// and FederatedLink those that add the account there to theirs here.
const (
	FederatedReturn = "/login/federated/callback"
	FederatedLink   = "/account/add/federated"
)

// goAway sends the browser to the organisation's own provider.
func (s *Server) goAway(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	if err := s.mayAsk(r); err != nil {
		return err
	}
	asked, err := s.Rooms[FederatedWay].Begin(r.Context(), question(v))
	if err != nil {
		return s.again(w, r, v, err)
	}
	return SendAway(w, r, asked)
}

// SendAway sends the browser to answer a question elsewhere.
func SendAway(w http.ResponseWriter, r *http.Request, question json.RawMessage) error {
	var asked struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(question, &asked); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	http.Redirect(w, r, asked.URL, http.StatusSeeOther)
	return nil
}

// Answered is what an authorization response brought, for the room that asked.
// RFC 6749 §4.1.2, RFC 9207 §2. What comes twice is nothing: RFC 6749 §3.1.
func Answered(r *http.Request) json.RawMessage {
	query, answer := r.URL.Query(), map[string]string{}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if values := query[name]; len(values) == 1 && values[0] != "" {
			answer[name] = values[0]
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil // text always is JSON
	}
	return b
}

// comeBack takes the browser back from the organisation's own provider. The
// answer stands in the address, so it is judged at once and leads on to
// another. In another browser than the one that began, the sign-in is dead.
func (s *Server) comeBack(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	of, evidence, refused := s.Federated.Collect(r.Context(), Answered(r), s.boundTo(r))
	return s.collected(w, r, elsewhere{FederatedWay, of, evidence, refused}, s.again)
}
