package passkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lanyard-id/lanyard/authenticators"
)

// record is what the registry keeps of a key for us: nothing in it is secret.
// It holds the attestation as it came, so that it can be judged again.
type record struct {
	User       []byte                            `json:"user"` // by what the key knows its person: random, theirs alone
	PublicKey  []byte                            `json:"public_key"`
	Model      [16]byte                          `json:"-"`
	AAGUID     []byte                            `json:"aaguid"`
	Flags      byte                              `json:"flags"` // when it was added
	Type       string                            `json:"attestation_type"`
	Format     string                            `json:"attestation_format"`
	Object     []byte                            `json:"attestation_object"`
	ClientData []byte                            `json:"client_data"`
	Transports []protocol.AuthenticatorTransport `json:"transports,omitempty"`
	Attachment protocol.AuthenticatorAttachment  `json:"attachment,omitempty"`
	Blob       int                               `json:"metadata"` // number of the metadata that judged it; 0: none
	ProvedAt   time.Time                         `json:"proved_at"`
}

// mark is what the next sign-in is compared with.
type mark struct {
	Count uint32 `json:"count"`
	Flags byte   `json:"flags"`
}

// newRecord makes what is kept of a new key.
func newRecord(c *webauthn.Credential, user []byte, blob int, at time.Time) record {
	return record{
		User: user, PublicKey: c.PublicKey, AAGUID: c.Authenticator.AAGUID, Flags: byte(c.Flags.ProtocolValue()),
		Type: c.AttestationType, Format: c.AttestationFormat, Object: c.Attestation.Object, ClientData: c.Attestation.ClientDataJSON,
		Transports: c.Transport, Attachment: c.Authenticator.Attachment, Blob: blob, ProvedAt: at.UTC(),
	}
}

// recordOf reads the record of a key that is held.
func recordOf(a authenticators.Authenticator) (record, error) {
	var rec record
	if err := json.Unmarshal(a.Record, &rec); err != nil || len(rec.AAGUID) != len(rec.Model) || len(rec.User) == 0 {
		return record{}, fmt.Errorf("the record of %s cannot be read", a.Called())
	}
	rec.Model = [16]byte(rec.AAGUID)
	return rec, nil
}

// markOf reads what the last use left; nothing yet is a count of nothing.
func markOf(a authenticators.Authenticator) (mark, error) {
	var m mark
	if len(a.Mark) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(a.Mark, &m); err != nil {
		return mark{}, fmt.Errorf("the mark of %s cannot be read", a.Called())
	}
	return m, nil
}

// flags returns the flags of the day that the key was added.
func (rec record) flags() protocol.AuthenticatorFlags { return protocol.AuthenticatorFlags(rec.Flags) }

// attestation reads what the key's maker attested.
func (rec record) attestation() (protocol.AttestationObject, error) {
	var o protocol.AttestationObject
	if err := webauthncbor.Unmarshal(rec.Object, &o); err != nil {
		return o, errors.New("the attestation cannot be read")
	}
	if err := o.AuthData.Unmarshal(o.RawAuthData); err != nil {
		return o, errors.New("the attested data cannot be read")
	}
	o.Type = rec.Type
	return o, nil
}

// owner is the one person whom the library is told of.
type owner struct {
	user       []byte
	credential webauthn.Credential
}

// newOwner tells of the person who holds that key.
func newOwner(a authenticators.Authenticator, rec record, m mark) (owner, error) {
	id, err := base64.RawURLEncoding.DecodeString(a.Handle)
	if err != nil {
		return owner{}, fmt.Errorf("the handle of %s cannot be read", a.Called())
	}
	return owner{user: rec.User, credential: webauthn.Credential{
		ID: id, PublicKey: rec.PublicKey, AttestationType: rec.Type, AttestationFormat: rec.Format, Transport: rec.Transports,
		Flags:         webauthn.NewCredentialFlags(rec.flags()),
		Authenticator: webauthn.Authenticator{AAGUID: rec.AAGUID, SignCount: m.Count, Attachment: rec.Attachment},
	}}, nil
}

// WebAuthnID, WebAuthnName, WebAuthnDisplayName and WebAuthnCredentials are
// how the library asks.
func (o owner) WebAuthnID() []byte          { return o.user }
func (o owner) WebAuthnName() string        { return "" }
func (o owner) WebAuthnDisplayName() string { return "" }
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	return []webauthn.Credential{o.credential}
}
