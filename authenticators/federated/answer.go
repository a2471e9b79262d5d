package federated

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"

	"github.com/lanyard-id/lanyard/authenticators"
)

const (
	mostParts = 16 << 10 // bytes of an answer
	mostCode  = 8 << 10
	mostText  = 2 << 10
)

// answer is what the browser brings back from the upstream: the members of the
// authorization response that count, RFC 6749 §4.1.2 and RFC 9207 §2.
type answer struct {
	State string `json:"state"`
	Code  string `json:"code"`
	Iss   string `json:"iss"`
	Error string `json:"error"`
}

// parse reads an answer, and passes over what it does not know, as RFC 6749
// §4.1.2 has it. It never repeats what it read.
func parse(raw json.RawMessage) (answer, error) {
	var a answer
	if len(raw) > mostParts {
		return answer{}, authenticators.ErrAnswer
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&a); err != nil {
		return answer{}, authenticators.ErrAnswer
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return answer{}, authenticators.ErrAnswer
	}
	if !isName(a.State) || len(a.Code) > mostCode || len(a.Iss) > mostText || len(a.Error) > mostText {
		return answer{}, authenticators.ErrAnswer
	}
	if (a.Code == "") == (a.Error == "") { // one of the two, and not both
		return answer{}, authenticators.ErrAnswer
	}
	return a, nil
}

// isName says whether s could be the name of a question: 256 bits in the one
// way that base64url writes them.
func isName(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && len(s) == 43
}

// refusal is why an upstream that answered with an error did not sign the
// person in, or that it is out of order.
func (a answer) refusal() error {
	switch a.Error {
	case "access_denied": // RFC 6749 §4.1.2.1
		return ErrCancelled
	case "unmet_authentication_requirements": // OpenID Connect Core Error Code unmet_authentication_requirements §2
		return ErrWeak
	case "server_error", "temporarily_unavailable": // RFC 6749 §4.1.2.1
		return unreachable("authorize", errors.New(a.Error))
	}
	return ErrDeclined
}
