package passkey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lanyard-id/lanyard/authenticators"
)

// maxID is how long a credential ID may be, in bytes (WebAuthn §7.1).
const maxID = 1023

// Sizes of RSA keys. The upper bound is for our sake: checking a signature of
// a key of any size would be work that strangers order.
const (
	minModulus = 2048
	maxModulus = 4096
)

// offered are the algorithms that a key may sign with, the best known first.
func offered() []protocol.CredentialParameter {
	var all []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		all = append(all, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return all
}

// BeginEnrolment returns {question, publicKey}. It asks for a key that finds
// its person by itself, verifies them, and says what its maker attests.
func (r *Room) BeginEnrolment(ctx context.Context, e authenticators.Enrolment) (json.RawMessage, error) {
	if e.Subject == "" {
		return nil, errors.New("ask: nobody to enrol")
	}
	user, exclude, err := r.known(e.Held)
	if err != nil {
		return nil, err
	}
	name, challenge, err := r.ask(ctx, question{Purpose: toEnrol, ID: e.ID, Browser: e.Browser, Subject: e.Subject, User: user})
	if err != nil {
		return nil, err
	}
	called := e.Email
	if called == "" {
		called = e.Display
	}
	return json.Marshal(asked{Question: name, PublicKey: protocol.PublicKeyCredentialCreationOptions{
		RelyingParty: protocol.RelyingPartyEntity{CredentialEntity: protocol.CredentialEntity{Name: r.rpName}, ID: r.rpID},
		User: protocol.UserEntity{
			CredentialEntity: protocol.CredentialEntity{Name: called}, DisplayName: e.Display, ID: protocol.URLEncodedBase64(user),
		},
		Challenge:             challenge,
		Parameters:            offered(),
		Timeout:               int(questionLife.Milliseconds()),
		CredentialExcludeList: exclude,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(),
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Attestation: protocol.PreferDirectAttestation,
	}})
}

// known returns by what a person's keys know them, and the keys that they
// have. The first key gives its person 256 random bits, which the others
// share: an identity that tells nothing of them (WebAuthn §14.6.1).
func (r *Room) known(held []authenticators.Authenticator) (user []byte, keys []protocol.CredentialDescriptor, err error) {
	for _, a := range held {
		if a.Kind != authenticators.KeyKind {
			continue
		}
		rec, err1 := recordOf(a)
		id, err2 := base64.RawURLEncoding.DecodeString(a.Handle)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, fmt.Errorf("list keys: %w", err)
		}
		if user == nil {
			user = rec.User
		}
		keys = append(keys, protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: id, Transport: rec.Transports})
	}
	if user == nil {
		user, err = r.random()
	}
	return user, keys, err
}

// FinishEnrolment takes {question, credential} and returns the key that was
// made, with what it is worth.
func (r *Room) FinishEnrolment(ctx context.Context, e authenticators.Enrolment, raw json.RawMessage) (authenticators.Authenticator, error) {
	none := authenticators.Authenticator{}
	q, credential, err := r.take(ctx, raw, question{Purpose: toEnrol, ID: e.ID, Browser: e.Browser, Subject: e.Subject})
	if err != nil {
		return none, err
	}
	got, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return none, ErrKey
	}
	if err := r.look(got.Response.CollectedClientData, got.Response.AttestationObject.AuthData.Flags); err != nil {
		return none, err
	}
	made, err := r.library.CreateCredential(owner{user: q.User}, webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(q.Challenge), RelyingPartyID: r.rpID, UserID: q.User,
		UserVerification: protocol.VerificationRequired, CredParams: offered(),
	}, got)
	if err != nil || !sound(made) {
		return none, ErrKey
	}
	handle := base64.RawURLEncoding.EncodeToString(made.ID)
	switch _, err := r.held.ByHandle(ctx, authenticators.KeyKind, handle); {
	case err == nil:
		return none, ErrKnown
	case !errors.Is(err, authenticators.ErrNotHeld):
		return none, fmt.Errorf("look for the key: %w", err)
	}
	return r.judged(ctx, e, q, made, got)
}

// judged makes what the registry is to keep of a new key.
func (r *Room) judged(ctx context.Context, e authenticators.Enrolment, q question, made *webauthn.Credential, got *protocol.ParsedCredentialCreationData) (authenticators.Authenticator, error) {
	now := r.now()
	blob := r.metadata.now()
	method, level := Worth(r.facts(ctx, blob, got.Response.AttestationObject, now))
	rec, err1 := json.Marshal(newRecord(made, q.User, blob.number(), now))
	left, err2 := json.Marshal(mark{Count: made.Authenticator.SignCount, Flags: byte(made.Flags.ProtocolValue())})
	if err := errors.Join(err1, err2); err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("write record: %w", err)
	}
	return authenticators.Authenticator{
		Subject: e.Subject, Kind: authenticators.KeyKind, Handle: base64.RawURLEncoding.EncodeToString(made.ID),
		Model: blob.called([16]byte(made.Authenticator.AAGUID)), Method: method, Level: level, Record: rec, Mark: left,
	}, nil
}

// sound says whether a key and its name are such as we take. The library does
// not look at a key whose attestation is none, and at no RSA key's size.
func sound(c *webauthn.Credential) bool {
	if len(c.ID) > maxID || len(c.Authenticator.AAGUID) != 16 {
		return false
	}
	key, err := webauthncose.ParsePublicKey(c.PublicKey)
	if err != nil {
		return false
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		return k.Algorithm == int64(webauthncose.AlgES256) && k.Curve == int64(webauthncose.P256)
	case webauthncose.OKPPublicKeyData:
		return k.Algorithm == int64(webauthncose.AlgEdDSA) && k.Curve == int64(webauthncose.Ed25519)
	case webauthncose.RSAPublicKeyData:
		bits := new(big.Int).SetBytes(k.Modulus).BitLen()
		return k.Algorithm == int64(webauthncose.AlgRS256) && bits >= minModulus && bits <= maxModulus
	}
	return false
}
