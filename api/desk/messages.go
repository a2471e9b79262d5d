package desk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/web"
)

// How many bytes agents may send.
const (
	maxBody   = 16 << 10
	maxAnswer = 64 << 10 // a signed message and a path of certificates
)

// What agents are told when a request cannot be taken. The words are fixed: no
// error holds a part of what came.
const (
	invalidRequest = "invalid_request"
	invalidProof   = "invalid_dpop_proof" // RFC 9449 §7.1
	handleGone     = "handle_gone"
	noSession      = "no_session"
	sessionOver    = "session_over" // and nobody need ask by it again
	tooLarge       = "too_large"
	notJSON        = "not_json"
)

// redemption is what redeem takes.
type redemption struct {
	Handle string `json:"h"`
	Agent  struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Build   string `json:"build"`
		OS      string `json:"os"`
	} `json:"agent"`
	Key  json.RawMessage `json:"epk"`
	Port int             `json:"port"`
}

// Ports below are not given to programs of people.
const firstPort, lastPort = 1024, 65535

// agent returns who redeems, or false if they cannot be spoken with.
func (q redemption) agent() (smartcard.Agent, bool) {
	var jwk jose.JSONWebKey
	if json.Unmarshal(q.Key, &jwk) != nil {
		return smartcard.Agent{}, false
	}
	thumbprint, ok := thumbprintOf(&jwk)
	self := challenge.Agent{Name: q.Agent.Name, Version: q.Agent.Version, OS: q.Agent.OS}
	ok = ok && self.Check() == nil && (q.Agent.Build == "" || challenge.IsText(q.Agent.Build)) &&
		q.Port >= firstPort && q.Port <= lastPort
	return smartcard.Agent{Name: q.Agent.Name, Version: q.Agent.Version, Build: q.Agent.Build, OS: q.Agent.OS,
		Port: q.Port, KeyThumbprint: thumbprint}, ok
}

// thumbprintOf returns the RFC 7638 thumbprint of an agent's key, which is a
// public one on P-256 and nothing else.
func thumbprintOf(jwk *jose.JSONWebKey) (string, bool) {
	key, ok := jwk.Key.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || len(jwk.Certificates) > 0 {
		return "", false
	}
	thumbprint, err := challenge.KeyThumbprint(key)
	return thumbprint, err == nil
}

// progress is what an agent tells of its desk.
type progress struct {
	State smartcard.Doing `json:"state"`
	Left  *int            `json:"left"`
	X5C   [][]byte        `json:"x5c"` // with card_in: the card's certificate
}

// said is the answer to progress: the page's words.
type said struct {
	challenge.Notice
	Notices []challenge.Notice `json:"notices,omitempty"` // what of the card ends soon
}

// notice is m as agents show it.
func notice(m web.Message) challenge.Notice {
	return challenge.Notice{Code: m.Code, Text: strings.TrimSpace(m.Text + " " + m.Action)}
}

func notices(all []web.Message) []challenge.Notice {
	var told []challenge.Notice
	for _, m := range all {
		told = append(told, notice(m))
	}
	return told
}

// mostTries is how many tries a card can say that it has left (ISO 7816-4,
// status 63Cx).
const mostTries = 15

// report returns what there is to keep, or false if it says nothing.
func (p progress) report() (smartcard.Report, bool) {
	r := smartcard.Report{Doing: p.State}
	wrong := p.State == smartcard.PINWrong
	if p.Left != nil && wrong {
		r.TriesLeft = *p.Left
	}
	r.Shows = p.X5C != nil
	return r, p.State.Reportable() && wrong == (p.Left != nil) && r.TriesLeft >= 0 && r.TriesLeft <= mostTries &&
		(!r.Shows || p.State == smartcard.CardIn)
}

// response is the card's answer, or a proof of a session of the old service in
// its place.
type response struct {
	JWS   string   `json:"jws"`
	X5C   [][]byte `json:"x5c"` // RFC 7515 §4.1.6: base64, not base64url
	Proof string   `json:"proof"`
}

// ticket is what an agent shows to have a proof.
type ticket struct {
	Ticket string `json:"sso_ticket"`
}

// refusal is what the page shows of a refused card.
func refusal(reason error) smartcard.Report {
	r := smartcard.Report{Doing: smartcard.Refused, Code: api.Code(reason)}
	if ended, ok := errors.AsType[smartcard.Ended](reason); ok {
		r.Date = ended.At
	}
	if ended, ok := errors.AsType[smartcard.SeriesEnded](reason); ok {
		r.Date = ended.From
	}
	if ended, ok := errors.AsType[smartcard.AgentEnded](reason); ok {
		r.Date = ended.From
	}
	return r
}

func refused(err error) bool  { return errors.Is(err, authenticators.ErrRefused) }
func notAsked(err error) bool { return errors.Is(err, smartcard.ErrNotAsked) }

// read reads the body into v, or answers and returns false.
func read(w http.ResponseWriter, r *http.Request, most int64, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, notJSON)
		return false
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		fail(w, http.StatusRequestEntityTooLarge, tooLarge)
		return false
	}
	if err != nil || !decode(raw, v) {
		fail(w, http.StatusBadRequest, invalidRequest)
		return false
	}
	return true
}

// decode reads one object of JSON with no members but those of v, and no
// member twice: what two readers could understand differently is not read.
func decode(raw []byte, v any) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil || !ended(d) {
		return false
	}
	return onceEach(raw)
}

// ended says whether there is nothing more to read.
func ended(d *json.Decoder) bool {
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// onceEach walks through an object, and those in it. Members are told apart
// as encoding/json does, which takes capital letters for small ones; ours have
// none, so a name with one is refused.
func onceEach(raw []byte) bool {
	members, err := challenge.Members(raw)
	if err != nil {
		return false
	}
	for name, value := range members {
		if hasCapital(name) || value[0] == '{' && !onceEach(value) {
			return false
		}
	}
	return true
}

// hasCapital looks for what strings.EqualFold would take for a small letter:
// nothing but the letters of our members is let through.
func hasCapital(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return true
		}
	}
	return false
}

// fail answers with one of the fixed words.
func fail(w http.ResponseWriter, status int, word string) {
	write(w, status, map[string]string{"error": word})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who does not listen is not told
}
