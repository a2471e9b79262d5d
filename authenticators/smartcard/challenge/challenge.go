// Package challenge is what a card signs at a desk: what it says, how its bytes
// are made, and how they are read. There is one message to sign in with, and one
// to open a session at the gateway of the old service.
//
// Server and desk agent share it, so it needs the standard library only. The
// messages are JWS (RFC 7515, compact), the first of the protocol desk-auth/1.
// Their types and their first byte keep them apart from everything else that a
// card may be asked to sign: no hash, no document and no token can pass for one. Sign and
// SignOpening are the only ways to make them and take no bytes from anybody;
// Parse and ParseOpening read them
// and leave nothing that two readers could understand differently.
//
// It knows no trust: whether the certificate is good, the values are those of
// an open question and the card is somebody's is judged in package smartcard.
package challenge

import (
	"errors"
	"fmt"
)

// Version is the version of the protocol that this package speaks.
const Version = 1

// Type is the typ of the JWS header. No other token of ours has it, and no
// other place accepts it.
const Type = "desk-auth+jws"

// MaxSize is the most bytes that a whole message may have.
const MaxSize = 16 << 10

// What a signature is for.
const (
	Login  = "login"  // to sign in
	Unlock = "unlock" // to open a locked session again
	Reauth = "reauth" // to show that the person is still there
	Manage = "cms"    // to change what is on the card
)

// Where the passcode was typed.
const (
	Host   = "host"   // at the computer
	PINPad = "pinpad" // at the reader's own keys
)

// ErrMalformed says that a message is not one of desk-auth/1. The text around
// it names the member at fault and holds nothing of what was sent.
var ErrMalformed = errors.New("malformed desk-auth message")

// ErrSignature says that a signature is not of that key, or was made in a way
// that is not allowed for it.
var ErrSignature = errors.New("signature does not fit the key")

// Header is the JWS header. It has these three members and no others.
type Header struct {
	Alg         Alg    `json:"alg"`      // how the card signed
	Type        string `json:"typ"`      // Type
	Certificate string `json:"x5t#S256"` // RFC 7515 §4.1.8: base64url SHA-256 of the card's certificate
}

// Payload is what the card signs. The server owns the members from Version to
// ServerNonce, Browser, AgentKey and Expires, and compares each with the
// question that it asked. Agent, Reader, Card and PIN are claims by a program
// that nobody attests: good for block lists and the audit, never for trust.
// Every member must be there, Card.Series excepted.
type Payload struct {
	Version     int64  `json:"v"`         // Version
	Act         string `json:"act"`       // what the signature is for: Login, Unlock, Reauth or Manage
	Issuer      string `json:"iss"`       // the provider, as its configuration spells it
	Origin      string `json:"origin"`    // the provider's web origin, which the page must have
	ClientID    string `json:"client_id"` // the application that the person signs in to
	Transaction string `json:"tx"`        // the question's public name
	ServerNonce string `json:"sn"`        // 32 random bytes of the server, base64url
	ClientNonce string `json:"cn"`        // 32 random bytes of the agent, base64url: the server alone cannot choose what is signed
	Browser     string `json:"bsh"`       // base64url SHA-256 of the secret of the browser that began
	AgentKey    string `json:"epk"`       // RFC 7638 thumbprint of the key that the agent made for this run
	IssuedAt    int64  `json:"iat"`       // when the message was made, in seconds since 1970; by the server's clock, which Question tells
	Expires     int64  `json:"exp"`       // when the question ends, in seconds since 1970

	Agent  Agent  `json:"agent"`
	Reader string `json:"reader"` // the card reader's name
	Card   Card   `json:"card"`
	PIN    string `json:"pin"` // Host or PINPad
}

// Agent is the program at the desk, by its own account.
type Agent struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	OS      string `json:"os"`
}

// Card is the card, by the agent's account.
type Card struct {
	GUID   string `json:"guid"`             // upper-case hex, from the CHUID (SP 800-73-4 part 1 §3.1.2)
	Series int64  `json:"series,omitempty"` // 0 and left out if the agent cannot tell
	ATR    string `json:"atr"`              // upper-case hex, the answer to reset (ISO 7816-3)
	Serial string `json:"cert_sn"`          // upper-case hex, the certificate's serial number as Serial writes it
}

// Question is what the server asks the agent to have signed, as it goes over
// the wire when a handle is redeemed.
type Question struct {
	Transaction string `json:"tx"`          // public name of the question
	Issuer      string `json:"iss"`         // the agent signs for its configured issuer only
	Origin      string `json:"origin"`      // likewise
	ClientID    string `json:"client_id"`   // the application that asks
	ClientName  string `json:"client_name"` // its name, to show to the person
	Browser     string `json:"bsh"`         // base64url SHA-256 of the browser's secret
	DisplayCode string `json:"dc"`          // four digits that the page shows too
	Act         string `json:"act"`         // what the signature is for
	ServerNonce string `json:"sn"`          // 32 random bytes, base64url
	Now         int64  `json:"now"`         // the server's clock, in seconds since 1970
	Expires     int64  `json:"exp"`         // when the question ends, in seconds since 1970
	PINTimer    int64  `json:"pin_timer"`   // how many seconds the agent may wait for the card and the passcode
	Algs        []Alg  `json:"algs"`        // what the server lets a card sign with
	DoneURL     string `json:"done_url"`    // where the browser goes with the completion code; the agent goes to its configured one only
	Language    string `json:"lang"`        // in which the person is spoken to: "en" or "cy"
	Mode        string `json:"mode"`        // what the card's coming and going means at this desk

	Notices []Notice `json:"notices,omitempty"` // what the person is told before anything is asked
}

// Connect is the mode in which a card is wanted for the signature and not
// after: its coming and going alone does nothing.
const Connect = "connect"

// Notice is something that a person is told at the desk, in their language.
type Notice struct {
	Code string `json:"code"` // of the message catalogue
	Text string `json:"text"`
}

// Payload returns the server's members of the message that answers q. The
// agent adds its own.
func (q Question) Payload() Payload {
	return Payload{
		Version:     Version,
		Act:         q.Act,
		Issuer:      q.Issuer,
		Origin:      q.Origin,
		ClientID:    q.ClientID,
		Transaction: q.Transaction,
		ServerNonce: q.ServerNonce,
		Browser:     q.Browser,
		IssuedAt:    q.Now,
		Expires:     q.Expires,
	}
}

// malformed names what is wrong. It must never be given a part of a message.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
