package challenge

import (
	"crypto"
	"crypto/x509"
)

// OpeningType is the typ of an Opening's JWS header.
const OpeningType = "desk-gateway+jws"

// Opening is what a card signs to open a session at the gateway of the old
// service for an agent of ours. The agents of that service have cards sign any
// bytes that their gateway sends, as PKCS #1 v1.5 with SHA-1: whatever somebody
// has them sign by the RSA key that their cards have, it is never this.
type Opening struct {
	Version  int64  `json:"v"`       // Version
	Gateway  string `json:"gateway"` // where the agent knows the gateway to be, by its settings
	Nonce    string `json:"sn"`      // the gateway's 32 random bytes, base64url
	AgentKey string `json:"epk"`     // RFC 7638 thumbprint of the agent's key: who has that, and nobody else, shows the session for a sign-in
}

func (o Opening) check() error {
	return firstBad([]rule{
		{"v", o.Version == Version},
		{"gateway", IsText(o.Gateway)},
		{"sn", IsDigest(o.Nonce)},
		{"epk", IsDigest(o.AgentKey)},
	})
}

// SignOpening makes the message that says o, as Sign does.
func SignOpening(o Opening, certificate *x509.Certificate, key crypto.Signer) ([]byte, error) {
	return write(OpeningType, o, o.check(), certificate, key)
}

// OpeningMessage is an Opening that was read. Nothing in it may be believed
// before Verify.
type OpeningMessage struct {
	signed
	Opening Opening
}

// ParseOpening reads a message that SignOpening made, as strictly as Parse.
func ParseOpening(jws []byte) (OpeningMessage, error) {
	s, err := readSigned(jws, OpeningType)
	if err != nil {
		return OpeningMessage{}, err
	}
	read := readObject(s.payload, "the payload")
	o := Opening{Version: read.integer("v"), Gateway: read.text("gateway"), Nonce: read.text("sn"), AgentKey: read.text("epk")}
	if err := read.end(); err != nil {
		return OpeningMessage{}, err
	}
	return OpeningMessage{signed: s, Opening: o}, o.check()
}
