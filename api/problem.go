package api

import (
	"encoding/json"
	"net/http"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// Problem is an error as programs read it (RFC 9457), with the words that
// people are to be shown.
type Problem struct {
	Type      string             `json:"type"`
	Title     string             `json:"title"`
	Status    int                `json:"status"`
	Detail    string             `json:"detail"`
	Code      string             `json:"code"`       // of the message catalogue
	Reference string             `json:"reference"`  // what people read out: GET /references/ tells of it
	RequestID string             `json:"request_id"` // of which that is the beginning
	Fields    []Field            `json:"fields,omitempty"`
	Warnings  []registry.Warning `json:"warnings,omitempty"` // what is to be confirmed
}

// Field is one thing that is not as it should be.
type Field struct {
	Name    string `json:"name"`
	Problem string `json:"problem"`
	Line    int    `json:"line,omitempty"`    // of a document
	Text    string `json:"text,omitempty"`    // what is wrong there
	Nearest string `json:"nearest,omitempty"` // the name that was perhaps meant
}

// RegistrationProblem is what a program of the registration authority reads of
// err in a language.
func (s *Server) RegistrationProblem(r *http.Request, lang string, err error) Problem {
	return s.problem(r, lang, InRegistration{err})
}

func (s *Server) problem(r *http.Request, lang string, err error) Problem {
	status, m := s.messageIn(lang, r, idp.View{}, err)
	id := RequestID(r.Context())
	return Problem{Type: "urn:lanyard:message:" + m.Code, Title: m.Heading, Status: status, Detail: m.Text + " " + m.Action, Code: m.Code,
		Reference: idp.Reference(id), RequestID: id}
}

// Write answers with p, whose words are of a language.
func (p Problem) Write(w http.ResponseWriter, lang string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Language", lang)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who does not listen is not told
}

// Problem tells a program of an error, in a language or in the one that the
// request asks for. No cookie is looked at.
func (s *Server) Problem(w http.ResponseWriter, r *http.Request, lang string, err error) {
	lang = s.Site.Language(lang, r.Header.Get("Accept-Language"))
	s.problem(r, lang, err).Write(w, lang)
}
