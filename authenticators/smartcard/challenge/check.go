package challenge

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most that single members may hold.
const (
	maxText    = 512     // bytes of a text
	maxGUID    = 64      // hex digits; a PIV card's GUID has 32
	maxATR     = 66      // hex digits; ISO 7816-3 §8.2.1 allows 33 bytes
	maxSerial  = 40      // hex digits; RFC 5280 §4.1.2.2 allows 20 bytes
	maxInteger = 1 << 53 // what every JSON reader reads alike (RFC 8259 §6)
)

// IsDigest says whether s is 32 bytes in base64url without padding, in the one
// way that those bytes can be written.
func IsDigest(s string) bool {
	b, ok := decode(s)
	return ok && len(b) == sha256.Size
}

// Check returns nil if the message of an agent that calls itself a can be read
// by Parse, and ErrMalformed if not.
func (a Agent) Check() error {
	return firstBad([]rule{
		{"agent.name", IsText(a.Name)},
		{"agent.version", IsText(a.Version)},
		{"agent.os", IsText(a.OS)},
	})
}

func (h Header) check(typ string) error {
	return firstBad([]rule{
		{"alg", known(string(h.Alg), string(ES256), string(ES384), string(PS256), string(RS256))},
		{"typ", h.Type == typ},
		{"x5t#S256", IsDigest(h.Certificate)},
	})
}

func (p Payload) check() error {
	if err := firstBad([]rule{
		{"v", p.Version == Version},
		{"act", known(p.Act, Login, Unlock, Reauth, Manage)},
		{"iss", IsText(p.Issuer)},
		{"origin", IsText(p.Origin)},
		{"client_id", IsText(p.ClientID)},
		{"tx", IsText(p.Transaction)},
		{"sn", IsDigest(p.ServerNonce)},
		{"cn", IsDigest(p.ClientNonce)},
		{"bsh", IsDigest(p.Browser)},
		{"epk", IsDigest(p.AgentKey)},
		{"iat", isInteger(p.IssuedAt)},
		{"exp", isInteger(p.Expires)},
		{"reader", IsText(p.Reader)},
		{"card.guid", isHex(p.Card.GUID, maxGUID)},
		{"card.series", isInteger(p.Card.Series)},
		{"card.atr", isHex(p.Card.ATR, maxATR)},
		{"card.cert_sn", isHex(p.Card.Serial, maxSerial)},
		{"pin", known(p.PIN, Host, PINPad)},
	}); err != nil {
		return err
	}
	return p.Agent.Check()
}

// rule is one member and whether it is well formed.
type rule struct {
	member string
	good   bool
}

func firstBad(rules []rule) error {
	for _, r := range rules {
		if !r.good {
			return malformed("member " + r.member)
		}
	}
	return nil
}

func known(s string, all ...string) bool {
	for _, k := range all {
		if s == k {
			return true
		}
	}
	return false
}

// IsText says whether s is neither empty nor too long, and holds nothing that a
// person could not be shown: no control characters, and not the mark that JSON
// readers leave where something could not be read.
func IsText(s string) bool {
	if s == "" || len(s) > maxText || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}

func isHex(s string, most int) bool {
	if s == "" || len(s)%2 != 0 || len(s) > most {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEF") == ""
}

func isInteger(n int64) bool { return n >= 0 && n < maxInteger }

// decode reads base64url without padding. Go's decoder skips line ends and
// unused bits, so one value could be written in many ways; writing it again
// leaves only one.
func decode(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && encode(b) == s
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
