package vault

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/lanyard-id/lanyard/idp"
)

// Keyset seals with the primary key of a Tink keyset, and opens what any of its
// keys sealed. So a keyset is changed by adding a key to its file, on every
// server, before that key becomes the primary.
type Keyset struct{ aead tink.AEAD }

var _ Vault = (*Keyset)(nil)

// ReadKeyset returns the keyset in a file.
func ReadKeyset(path string) (*Keyset, error) {
	b, err := readSecretFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	k, err := parseKeyset(b)
	if err != nil {
		return nil, fmt.Errorf("keyset %s: %w", path, err)
	}
	return k, nil
}

// parseKeyset says nothing of why it cannot: the library's errors quote what
// they read.
func parseKeyset(b []byte) (*Keyset, error) {
	var from keyset.Reader = keyset.NewBinaryReader(bytes.NewReader(b))
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		from = keyset.NewJSONReader(bytes.NewReader(b))
	}
	handle, err := insecurecleartextkeyset.Read(from)
	if err != nil {
		return nil, ErrNoKeyset
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, ErrNoKeyset
	}
	return &Keyset{sealer}, nil
}

// NewKeyset makes a keyset that nobody keeps: what it seals is lost with it.
func NewKeyset() (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	return &Keyset{sealer}, nil
}

// CreateKeyset makes a keyset with one new key, in a new file that its owner
// alone can read. A file that is there is left as it is: what it sealed would
// be lost with it.
func CreateKeyset(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("make a keyset: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return fmt.Errorf("make a keyset: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return fmt.Errorf("new keyset: %w", err)
	}
	_, err = f.Write(b.Bytes())
	// What it seals is worth nothing without it, so it is on the disk first.
	if err = errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path))); err != nil {
		return errors.Join(fmt.Errorf("new keyset: %w", err), os.Remove(path))
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Kinds implements Vault.
func (k *Keyset) Kinds() []idp.KeyKind { return idp.KeyKinds }

// New implements Vault: what is sealed is the whole key, in PKCS#8.
func (k *Keyset) New(id string, kind idp.KeyKind) ([]byte, crypto.Signer, error) {
	key, err := kind.Generate()
	if err != nil {
		return nil, nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write a %s key: %w", kind, err)
	}
	defer clear(plain)
	sealed, err := k.Seal(plain, keyName(id))
	return sealed, key, err
}

// Open implements Vault.
func (k *Keyset) Open(id string, sealed []byte) (crypto.Signer, error) {
	plain, err := k.Unseal(sealed, keyName(id))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, ErrSealed // it was not New that sealed this
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrSealed
	}
	return signer, nil
}

// Close implements Vault.
func (k *Keyset) Close() error { return nil }

// keyName ties what is sealed to a key's id, so that one row's key cannot be
// put into another.
func keyName(id string) []byte { return []byte("signing_key " + id) }

// Seal encrypts a secret so that it can be opened with the same associated
// data alone.
func (k *Keyset) Seal(plain, associated []byte) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Unseal returns what was sealed, or ErrSealed.
func (k *Keyset) Unseal(sealed, associated []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
