// Package testkey is a security key in software, for tests and for the load
// and fault rig. It makes and answers the JSON that browsers do.
//
// It can be made to lie in every way that a server must find out: its flags,
// counter, model, statement and each part of an answer can be set. It protects
// nothing, so no key of it may be held where real people sign in.
package testkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags of authenticator data.
const (
	UserPresent    byte = 1 << 0
	UserVerified   byte = 1 << 2
	BackupEligible byte = 1 << 3
	BackupState    byte = 1 << 4
	attested       byte = 1 << 6
	Extended       byte = 1 << 7 // extensions follow; set it with Extensions
)

// Algorithms, by their COSE numbers.
const (
	ES256 = -7
	EdDSA = -8
	RS256 = -257
)

// Key is a security key with one credential. Set what should differ before
// Create or Get.
type Key struct {
	ID         []byte // of the credential
	Model      [16]byte
	Flags      byte
	Count      uint32
	Step       uint32 // by how much a sign-in raises Count
	Attest     Attest // how the maker vouches; nil means None
	Extensions []byte // CBOR, with the flag Extended
	Trailing   []byte // what follows authenticator data
	User       []byte // by what it knows its person; Create sets it

	// Client, COSE and Answer change the client data, the public key and the
	// answer, as a broken or hostile browser or key would.
	Client func(data map[string]any)
	COSE   func(key map[int]any)
	Answer func(response map[string]any)

	signer crypto.Signer
	alg    int
}

// New returns a device-bound key of that algorithm, that verifies its person
// and attests nothing.
func New(alg int) (*Key, error) {
	var signer crypto.Signer
	var err error
	switch alg {
	case ES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("no algorithm %d", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	k := &Key{ID: make([]byte, 32), Flags: UserPresent | UserVerified, Step: 1, signer: signer, alg: alg}
	_, err = rand.Read(k.ID)
	return k, err
}

// asked is a question as the server puts it.
type asked struct {
	Question  string `json:"question"`
	PublicKey struct {
		Challenge string                `json:"challenge"`
		RPID      string                `json:"rpId"`
		RP        struct{ ID string }   `json:"rp"`
		User      struct{ ID text }     `json:"user"`
		Exclude   []struct{ ID text }   `json:"excludeCredentials"`
		Params    []struct{ Alg int64 } `json:"pubKeyCredParams"`
	} `json:"publicKey"`
}

// text is bytes in base64url.
type text []byte

// UnmarshalText reads base64url.
func (t *text) UnmarshalText(b []byte) (err error) {
	*t, err = base64.RawURLEncoding.DecodeString(string(b))
	return err
}

// ErrExcluded is what a key says that the server knows already.
var ErrExcluded = errors.New("the server holds this key already")

// Create makes the answer to a question of an enrolment, for a page of that
// origin.
func (k *Key) Create(question json.RawMessage, origin string) (json.RawMessage, error) {
	q, client, err := k.read(question, "webauthn.create", origin)
	if err != nil {
		return nil, err
	}
	for _, x := range q.PublicKey.Exclude {
		if bytes.Equal(x.ID, k.ID) {
			return nil, ErrExcluded
		}
	}
	k.User = q.PublicKey.User.ID
	public, err := k.public()
	if err != nil {
		return nil, err
	}
	data := k.data(q.PublicKey.RP.ID, k.Flags|attested, append(k.credential(), public...))
	attest := k.Attest
	if attest == nil {
		attest = None
	}
	format, statement, err := attest(k, data, sha256.Sum256(client))
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	object, err := webauthncbor.Marshal(map[string]any{"fmt": format, "attStmt": statement, "authData": data})
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	return k.answer(q.Question, map[string]any{
		"clientDataJSON": encode(client), "attestationObject": encode(object), "authenticatorData": encode(data),
		"transports": []string{"usb"}, "publicKeyAlgorithm": k.alg,
	})
}

// Get makes the answer to a question of a sign-in, for a page of that origin.
func (k *Key) Get(question json.RawMessage, origin string) (json.RawMessage, error) {
	q, client, err := k.read(question, "webauthn.get", origin)
	if err != nil {
		return nil, err
	}
	k.Count += k.Step
	data := k.data(q.PublicKey.RPID, k.Flags, nil)
	hash := sha256.Sum256(client)
	signature, err := k.sign(append(bytes.Clone(data), hash[:]...))
	if err != nil {
		return nil, err
	}
	return k.answer(q.Question, map[string]any{
		"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(k.User),
	})
}

// read reads a question and makes the client data of an answer.
func (k *Key) read(question json.RawMessage, ceremony, origin string) (asked, []byte, error) {
	var q asked
	if err := json.Unmarshal(question, &q); err != nil {
		return q, nil, fmt.Errorf("read question: %w", err)
	}
	data := map[string]any{"type": ceremony, "challenge": q.PublicKey.Challenge, "origin": origin, "crossOrigin": false}
	if k.Client != nil {
		k.Client(data)
	}
	client, err := json.Marshal(data)
	return q, client, err
}

// data makes authenticator data.
func (k *Key) data(rpID string, flags byte, credential []byte) []byte {
	hash := sha256.Sum256([]byte(rpID))
	b := append(hash[:], flags)
	b = binary.BigEndian.AppendUint32(b, k.Count)
	b = append(b, credential...)
	return append(append(b, k.Extensions...), k.Trailing...)
}

// credential is the head of attested credential data.
func (k *Key) credential() []byte {
	b := binary.BigEndian.AppendUint16(bytes.Clone(k.Model[:]), uint16(len(k.ID))) //nolint:gosec // tests give what lengths they like
	return append(b, k.ID...)
}

// public returns the public key as COSE writes it.
func (k *Key) public() ([]byte, error) {
	key := map[int]any{3: k.alg}
	switch p := k.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			return nil, fmt.Errorf("write public key: %w", err)
		}
		key[1], key[-1], key[-2], key[-3] = 2, 1, point[1:33], point[33:]
	case ed25519.PublicKey:
		key[1], key[-1], key[-2] = 1, 6, []byte(p)
	case *rsa.PublicKey:
		key[1], key[-1], key[-2] = 3, p.N.Bytes(), []byte{1, 0, 1}
	}
	if k.COSE != nil {
		k.COSE(key)
	}
	return webauthncbor.Marshal(key)
}

// sign signs with the credential's key.
func (k *Key) sign(message []byte) ([]byte, error) { return sign(k.signer, message) }

// sign signs as COSE and X.509 do with that kind of key.
func sign(signer crypto.Signer, message []byte) ([]byte, error) {
	if _, ok := signer.(ed25519.PrivateKey); ok {
		return signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	hash := sha256.Sum256(message)
	return signer.Sign(rand.Reader, hash[:], crypto.SHA256)
}

// answer writes an answer as a page sends it.
func (k *Key) answer(question string, response map[string]any) (json.RawMessage, error) {
	if k.Answer != nil {
		k.Answer(response)
	}
	return json.Marshal(map[string]any{"question": question, "credential": map[string]any{
		"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key", "authenticatorAttachment": "cross-platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	}})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
