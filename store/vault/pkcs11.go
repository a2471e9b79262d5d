//go:build pkcs11

package vault

import (
	"crypto"
	"crypto/elliptic"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"

	"github.com/lanyard-id/lanyard/idp"
)

// token keeps keys in a PKCS#11 token, where they are made and sign, and which
// they never leave. It makes no Ed25519 keys: few tokens can.
type token struct {
	ctx   *crypto11.Context
	close func() error // once: the library panics the second time
}

// tokenPatience is how long a signature waits for the token to be free.
const tokenPatience = 5 * time.Second

// OpenToken returns the vault that a token is.
func OpenToken(t Token) (Vault, error) {
	pin, err := readSecretFile(t.PINFile)
	if err != nil {
		return nil, fmt.Errorf("PIN of the token: %w", err)
	}
	ctx, err := crypto11.Configure(&crypto11.Config{
		Path: t.Module, TokenLabel: t.Label, Pin: strings.TrimSpace(string(pin)), PoolWaitTimeout: tokenPatience,
	})
	if err != nil {
		return nil, fmt.Errorf("token %q of %s: %w", t.Label, t.Module, err)
	}
	return &token{ctx, sync.OnceValue(ctx.Close)}, nil
}

// Kinds implements Vault.
func (t *token) Kinds() []idp.KeyKind { return []idp.KeyKind{idp.RSAKey, idp.P256Key} }

// New implements Vault. The key signs and does nothing else; what opens it
// again is its label.
func (t *token) New(id string, kind idp.KeyKind) ([]byte, crypto.Signer, error) {
	label := tokenLabel(id)
	public, err := crypto11.NewAttributeSetWithIDAndLabel([]byte(id), label)
	if err != nil {
		return nil, nil, fmt.Errorf("name a key of the token: %w", err)
	}
	private := public.Copy()
	var key crypto.Signer
	switch kind {
	case idp.RSAKey:
		if err := never(public, crypto11.CkaEncrypt); err != nil {
			return nil, nil, err
		}
		if err := never(private, crypto11.CkaDecrypt); err != nil {
			return nil, nil, err
		}
		key, err = t.ctx.GenerateRSAKeyPairWithAttributes(public, private, 2048)
	case idp.P256Key:
		key, err = t.ctx.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P256())
	default:
		err = fmt.Errorf("tokens make no keys of the kind %s", kind)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make a key in the token: %w", err)
	}
	return label, key, nil
}

func never(set crypto11.AttributeSet, use crypto11.AttributeType) error {
	if err := set.Set(use, false); err != nil {
		return fmt.Errorf("say what a key of the token is for: %w", err)
	}
	return nil
}

// Open implements Vault.
func (t *token) Open(id string, sealed []byte) (crypto.Signer, error) {
	label := tokenLabel(id)
	if string(sealed) != string(label) {
		return nil, ErrSealed
	}
	found, err := t.ctx.FindKeyPairs([]byte(id), label)
	if err != nil {
		return nil, fmt.Errorf("look for a key in the token: %w", err)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("the token holds %d keys of that name: %w", len(found), ErrSealed)
	}
	return found[0], nil
}

// tokenLabel names a key as ours: the token may hold keys of other programs,
// and nobody shall have those sign by writing their names into the database.
func tokenLabel(id string) []byte { return []byte("lanyard signing key " + id) }

// Close implements Vault.
func (t *token) Close() error { return t.close() }
