package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Begin returns {question, publicKey}. No key is named in it, so that any key
// made for this site may answer and nobody learns which there are; whether the
// browser offers them by itself is the page's business.
func (r *Room) Begin(ctx context.Context, login authenticators.Login) (json.RawMessage, error) {
	name, challenge, err := r.ask(ctx, question{Purpose: toSignIn, ID: login.ID, Browser: login.Browser})
	if err != nil {
		return nil, err
	}
	return json.Marshal(asked{Question: name, PublicKey: protocol.PublicKeyCredentialRequestOptions{
		Challenge:        challenge,
		Timeout:          int(questionLife.Milliseconds()),
		RelyingPartyID:   r.rpID,
		UserVerification: protocol.VerificationRequired,
	}})
}

// Finish takes {question, credential} and returns what the key proved, with
// the mark that it leaves.
func (r *Room) Finish(ctx context.Context, login authenticators.Login, raw json.RawMessage) (authenticators.Evidence, error) {
	q, credential, err := r.take(ctx, raw, question{Purpose: toSignIn, ID: login.ID, Browser: login.Browser})
	if err != nil {
		return authenticators.Evidence{}, err
	}
	got, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return authenticators.Evidence{}, ErrKey // the library's text would repeat what came
	}
	flags := got.Response.AuthenticatorData.Flags
	if err := r.look(got.Response.CollectedClientData, flags); err != nil {
		return authenticators.Evidence{}, err
	}
	held, rec, err := r.prove(ctx, q, got)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	// Only who has the key is told that it is suspended.
	if held.State != authenticators.Active {
		return authenticators.Evidence{}, authenticators.ErrSuspended
	}
	left, err := json.Marshal(mark{Count: got.Response.AuthenticatorData.Counter, Flags: byte(flags)})
	if err != nil {
		return authenticators.Evidence{}, fmt.Errorf("write mark: %w", err)
	}
	method, level := r.present(held, rec)
	once := sha256.Sum256(q.Challenge)
	return authenticators.Evidence{
		Subject: held.Subject, Method: method, Level: level, At: r.now(), Authenticator: held.Called(),
		Once: base64.RawURLEncoding.EncodeToString(once[:]),
		Use:  &authenticators.Use{ID: held.ID, Mark: left, Was: held.Mark},
	}, nil
}

// prove finds the key that an answer is of and has the library check it: the
// signature, that the key knows its holder by what the registry says, and that
// its flags are such as they may be.
func (r *Room) prove(ctx context.Context, q question, got *protocol.ParsedCredentialAssertionData) (authenticators.Authenticator, record, error) {
	none := authenticators.Authenticator{}
	if len(got.RawID) > maxID {
		return none, record{}, ErrKey
	}
	held, err := r.held.ByHandle(ctx, authenticators.KeyKind, base64.RawURLEncoding.EncodeToString(got.RawID))
	if errors.Is(err, authenticators.ErrNotHeld) {
		return none, record{}, ErrKey
	}
	if err != nil {
		return none, record{}, fmt.Errorf("find key: %w", err)
	}
	rec, err1 := recordOf(held)
	last, err2 := markOf(held)
	who, err3 := newOwner(held, rec, last)
	if err := errors.Join(err1, err2, err3); err != nil {
		return none, record{}, fmt.Errorf("find key: %w", err)
	}
	session := webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(q.Challenge), RelyingPartyID: r.rpID, UserVerification: protocol.VerificationRequired,
	}
	if _, _, err := r.library.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return who, nil }, session, got); err != nil {
		return none, record{}, ErrKey
	}
	// The library only remarks on a counter that goes back. In one device it
	// means that there are two, so it refuses. A synced key is in many devices
	// by design, and their counters say nothing.
	now := got.Response.AuthenticatorData.Counter
	if !rec.flags().HasBackupEligible() && (now != 0 || last.Count != 0) && now <= last.Count {
		return none, record{}, ErrCounter
	}
	return held, rec, nil
}

// present returns how a key signs in today, and how surely: what the registry
// says, or less where its model has lost what AAL3 asks for.
func (r *Room) present(held authenticators.Authenticator, rec record) (authenticators.Method, authenticators.Level) {
	if held.Level < authenticators.AAL3 || !held.SelfClaimed && r.stands(rec.Model) {
		return held.Method, held.Level
	}
	return authenticators.Passkey, authenticators.AAL2
}
