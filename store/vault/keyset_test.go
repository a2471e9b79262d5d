package vault

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/signature"

	"github.com/lanyard-id/lanyard/idp"
)

// aKeyset is a new keyset and the file that it is in.
func aKeyset(t *testing.T) (*Keyset, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := CreateKeyset(path); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, path
}

// opens holds a vault to what it promises of a key that it makes.
func opens(t *testing.T, v Vault, kind idp.KeyKind) {
	t.Helper()
	sealed, key, err := v.New("one", kind)
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.Open("one", sealed)
	if err != nil {
		t.Fatal(err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(again.Public()) || idp.KindOf(again.Public()) != kind {
		t.Errorf("another key was opened: %T", again.Public())
	}
	if _, err := v.Open("another", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("under another id: %v, want ErrSealed", err)
	}
	for _, changed := range [][]byte{nil, sealed[:len(sealed)-1], append(bytes.Clone(sealed), 'x'), append([]byte{sealed[0] ^ 1}, sealed[1:]...)} {
		if _, err := v.Open("one", changed); !errors.Is(err, ErrSealed) {
			t.Errorf("changed: %v, want ErrSealed", err)
		}
	}
}

func TestKeyset(t *testing.T) {
	k, path := aKeyset(t)
	for _, kind := range k.Kinds() {
		t.Run("own rule: what was sealed opens under its id alone, "+string(kind), func(t *testing.T) { opens(t, k, kind) })
	}

	t.Run("F18: another keyset opens nothing", func(t *testing.T) {
		sealed, _, err := k.New("one", idp.P256Key)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := aKeyset(t)
		if _, err := other.Open("one", sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("Open() = %v, want ErrSealed", err)
		}
	})

	t.Run("own rule: what was sealed as something else is no key", func(t *testing.T) {
		sealed, err := k.Seal([]byte("no key"), keyName("one"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Open("one", sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("Open() = %v, want ErrSealed", err)
		}
	})

	t.Run("own rule: a secret opens with its associated data alone", func(t *testing.T) {
		sealed, err := k.Seal([]byte("QQ123456C"), []byte("ni_number 555000000101"))
		if err != nil || bytes.Contains(sealed, []byte("QQ123456C")) {
			t.Fatalf("Seal() = %q, %v", sealed, err)
		}
		if plain, err := k.Unseal(sealed, []byte("ni_number 555000000101")); err != nil || string(plain) != "QQ123456C" {
			t.Errorf("Unseal() = %q, %v", plain, err)
		}
		if _, err := k.Unseal(sealed, []byte("ni_number 555000000102")); !errors.Is(err, ErrSealed) {
			t.Errorf("another person's: %v, want ErrSealed", err)
		}
	})

	t.Run("own rule: a keyset that exists is not written over", func(t *testing.T) {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := CreateKeyset(path); !errors.Is(err, os.ErrExist) {
			t.Errorf("CreateKeyset() = %v, want os.ErrExist", err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the file is another now: %v", err)
		}
	})
}

func TestKeysetChange(t *testing.T) {
	t.Run("own rule: a keyset with a new primary opens what the old one sealed", func(t *testing.T) {
		manager := keyset.NewManager()
		id, err := manager.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			t.Fatal(err)
		}
		old := written(t, manager, id, jsonForm)
		sealed, _, err := old.New("one", idp.P256Key)
		if err != nil {
			t.Fatal(err)
		}
		second, err := manager.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			t.Fatal(err)
		}
		both := written(t, manager, second, binaryForm)
		if _, err := both.Open("one", sealed); err != nil {
			t.Errorf("Open() = %v", err)
		}
		later, _, err := both.New("two", idp.P256Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := old.Open("two", later); !errors.Is(err, ErrSealed) {
			t.Errorf("the new primary does not seal: %v", err)
		}
	})
}

func jsonForm(b *bytes.Buffer) keyset.Writer   { return keyset.NewJSONWriter(b) }
func binaryForm(b *bytes.Buffer) keyset.Writer { return keyset.NewBinaryWriter(b) }

// written is what a manager holds, by way of a file.
func written(t *testing.T, m *keyset.Manager, primary uint32, form func(*bytes.Buffer) keyset.Writer) *Keyset {
	t.Helper()
	if err := m.SetPrimary(primary); err != nil {
		t.Fatal(err)
	}
	handle, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, form(&b)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestReadKeyset(t *testing.T) {
	_, good := aKeyset(t)
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := keyset.NewHandle(signature.ECDSAP256KeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	var signing bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&signing)); err != nil {
		t.Fatal(err)
	}
	const secret = "c2VjcmV0LWtleS1tYXRlcmlhbA"
	for _, tt := range []struct {
		rule    string
		content []byte
		mode    os.FileMode
		want    error
	}{
		{"own rule: its owner's alone", content, 0o400, nil},
		{"own rule: its group may read it", content, 0o440, nil},
		{"F18: a keyset that its group can change", content, 0o660, ErrExposed},
		{"F18: a keyset that anybody can read", content, 0o644, ErrExposed},
		{"F18: a keyset that anybody can write", content, 0o602, ErrExposed},
		{"F18: an empty file", nil, 0o600, ErrNoKeyset},
		{"F18: a file of something else", []byte(secret), 0o600, ErrNoKeyset},
		{"F18: half a keyset", content[:len(content)/2], 0o600, ErrNoKeyset},
		{"F18: a keyset whose key is none", []byte(`{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"x","value":"` + secret + `","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"TINK"}]}`), 0o600, ErrNoKeyset},
		{"F18: a keyset for something else", signing.Bytes(), 0o600, ErrNoKeyset},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyset")
			if err := os.WriteFile(path, tt.content, tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil { // whatever the umask
				t.Fatal(err)
			}
			_, err := ReadKeyset(path)
			if !errors.Is(err, tt.want) {
				t.Fatalf("ReadKeyset() = %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds what the file holds: %v", err)
			}
		})
	}
	t.Run("F18: a keyset that is not there", func(t *testing.T) {
		if _, err := ReadKeyset(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("ReadKeyset() = %v, want os.ErrNotExist", err)
		}
	})
	t.Run("F18: a pipe, which would be waited for", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyset(path); !errors.Is(err, ErrExposed) {
			t.Errorf("ReadKeyset() = %v, want ErrExposed", err)
		}
	})
	t.Run("F18: a file of any size", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "large")
		if err := os.WriteFile(path, bytes.Repeat([]byte("{"), maxSecretFile+1), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyset(path); err == nil || !strings.Contains(err.Error(), "larger") {
			t.Errorf("ReadKeyset() = %v", err)
		}
	})
}

// FuzzKeyset holds whatever is in the file to this: it is read or it is not,
// without a panic and without a word of it in the error.
func FuzzKeyset(f *testing.F) {
	f.Add([]byte(`{"primaryKeyId":1,"key":[]}`))
	f.Add([]byte("\x08\x01\x12\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		k, err := parseKeyset(content)
		if (k == nil) == (err == nil) || err != nil && !errors.Is(err, ErrNoKeyset) {
			t.Errorf("parseKeyset() = %v, %v", k, err)
		}
	})
}
