// Package vault keeps private keys from whoever reads the database: sealed
// with a keyset that is in a file of this server's host, or in a PKCS#11 token
// that they never leave.
//
// It makes keys and opens them again. Which key signs when is decided in
// package idp and kept in store/postgres, which asks a vault for nothing else.
// No error of this package holds anything of a key.
package vault

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lanyard-id/lanyard/idp"
)

// Vault makes signing keys and opens them again.
type Vault interface {
	// Kinds are the kinds of keys that it can make.
	Kinds() []idp.KeyKind

	// New makes a key. What it returns beside it opens the key again, under
	// that id alone, and may be read by anybody.
	New(id string, kind idp.KeyKind) (sealed []byte, key crypto.Signer, err error)

	// Open returns the key that New made, or ErrSealed.
	Open(id string, sealed []byte) (crypto.Signer, error)

	// Close lets go of what the vault holds.
	Close() error
}

// What a server that cannot use its vault refuses to start with.
var (
	// ErrSealed is of what cannot be opened.
	ErrSealed = errors.New("it was sealed by another vault or under another name, or was changed since")

	// ErrExposed is of a file of secrets that others can read, or its group
	// can change. Its group may read: that is how secrets are given to services
	// that do not own them.
	ErrExposed = errors.New("it must be a regular file that others cannot read and its group cannot change: chmod 0400 or 0440")

	// ErrNoKeyset is of a file that holds something else.
	ErrNoKeyset = errors.New("it holds no keyset for authenticated encryption, in Tink's JSON or binary form")

	// ErrWithoutPKCS11 is of a program that cannot speak to tokens.
	ErrWithoutPKCS11 = errors.New("this program was built without PKCS#11: build it with -tags pkcs11")
)

// Token names a PKCS#11 token.
type Token struct {
	Module  string // the path of the library that speaks to it
	Label   string
	PINFile string // holds the user's PIN and nothing else
}

// maxSecretFile bounds a file of secrets; a keyset of ten keys has 2 kB.
const maxSecretFile = 64 << 10

// readSecretFile reads a file that nobody but its owner and group may read.
func readSecretFile(path string) ([]byte, error) {
	// Before it is opened, because opening a pipe would wait for its writer;
	// and after, because it may be another by then.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if err := private(info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSecretFile {
		return nil, fmt.Errorf("%s: it is larger than %d bytes", path, maxSecretFile)
	}
	return b, nil
}

func private(info os.FileInfo) error {
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o027 != 0 {
		return ErrExposed
	}
	return nil
}
