package desk

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
)

// Bounds of a DPoP proof.
const (
	maxProof  = 4 << 10 // bytes
	maxName   = 256     // bytes of jti and tx
	proofSkew = 60      // seconds that its time may lie from ours; agents are told our clock
)

// errProof says which check a proof did not pass. The text is for the log and
// holds nothing of what came.
type errProof string

func (e errProof) Error() string { return "DPoP proof: " + string(e) }

// claims are those of a DPoP proof (RFC 9449 §4.2), with the transaction that
// desk-auth/1 adds. Others are passed over.
type claims struct {
	ID          string `json:"jti"`
	Method      string `json:"htm"`
	URI         string `json:"htu"`
	IssuedAt    *int64 `json:"iat"`
	Transaction string `json:"tx"`
}

// prove returns which agent calls, and about which transaction, or answers
// and returns false. Whether that agent is the one that redeemed is compared in
// the step that acts on it, so a proof by another key is worth nothing.
func (s *Server) prove(w http.ResponseWriter, r *http.Request, uri string) (smartcard.Caller, bool) {
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		s.unproven(w, r, errProof("not one")) // RFC 9449 §4.3, 1
		return smartcard.Caller{}, false
	}
	c, err := check(proofs[0], r.Method, uri, s.Now())
	if err != nil {
		s.unproven(w, r, err)
		return smartcard.Caller{}, false
	}
	return c, true
}

// unproven is the one answer to every agent that has not shown that the
// question is its own: a thief learns nothing of what was wrong.
func (s *Server) unproven(w http.ResponseWriter, r *http.Request, reason error) {
	s.Log.InfoContext(r.Context(), "desk refused", "step", "proof", "reason", reason.Error())
	w.Header().Set("WWW-Authenticate", `DPoP error="`+invalidProof+`", algs="ES256"`)
	fail(w, http.StatusUnauthorized, invalidProof)
}

// check reads a proof by RFC 9449 §4.3, and returns whose it is.
func check(proof, method, uri string, now time.Time) (smartcard.Caller, error) {
	if len(proof) > maxProof {
		return smartcard.Caller{}, errProof("too long")
	}
	jws, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return smartcard.Caller{}, errProof("no JWS by ES256")
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" {
		return smartcard.Caller{}, errProof("typ")
	}
	if header.JSONWebKey == nil {
		return smartcard.Caller{}, errProof("no jwk")
	}
	thumbprint, ok := thumbprintOf(header.JSONWebKey)
	if !ok {
		return smartcard.Caller{}, errProof("jwk")
	}
	payload, err := jws.Verify(header.JSONWebKey)
	if err != nil {
		return smartcard.Caller{}, errProof("signature")
	}

	var c claims
	if json.Unmarshal(payload, &c) != nil {
		return smartcard.Caller{}, errProof("claims")
	}
	if err := c.fit(method, uri, now); err != nil {
		return smartcard.Caller{}, err
	}
	return smartcard.Caller{Transaction: c.Transaction, KeyThumbprint: thumbprint, Once: c.ID}, nil
}

// fit says whether the proof is of this request and of now.
func (c claims) fit(method, uri string, now time.Time) error {
	var wrong []error
	for name, right := range map[string]bool{
		"htm": c.Method == method,
		"htu": sameURI(c.URI, uri),
		"iat": c.IssuedAt != nil && *c.IssuedAt >= now.Unix()-proofSkew && *c.IssuedAt <= now.Unix()+proofSkew,
		"jti": isName(c.ID),
		"tx":  isName(c.Transaction),
	} {
		if !right {
			wrong = append(wrong, errProof(name))
		}
	}
	return errors.Join(wrong...)
}

func isName(s string) bool { return s != "" && len(s) <= maxName }

// sameURI compares as RFC 9449 §4.3 does: without query and fragment, and
// with what RFC 3986 §6.2.2 and §6.2.3 takes for the same.
func sameURI(got, want string) bool {
	g, err1 := url.Parse(got)
	w, err2 := url.Parse(want)
	return err1 == nil && err2 == nil && g.User == nil && g.Opaque == "" &&
		g.Scheme == w.Scheme && host(g) == host(w) && g.EscapedPath() == w.EscapedPath()
}

// host is the host and port of u, without the port that its scheme has anyway.
func host(u *url.URL) string {
	port := u.Port()
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
