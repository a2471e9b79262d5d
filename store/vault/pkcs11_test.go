//go:build pkcs11

package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	pin      = "7391"
	adminPIN = "73915550"
)

// modules are where systems keep SoftHSM's library.
var modules = []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"}

// aToken makes a token in software.
func aToken(t *testing.T) Token {
	t.Helper()
	module := ""
	for _, m := range modules {
		if _, err := os.Stat(m); err == nil {
			module = m
			break
		}
	}
	if module == "" {
		t.Fatal("SoftHSM is not installed: `make test` installs it")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	pinFile := filepath.Join(dir, "pin")
	tokens := filepath.Join(dir, "tokens")
	for path, content := range map[string]string{conf: fmt.Sprintf("directories.tokendir = %s\nlog.level = ERROR\n", tokens), pinFile: pin + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", "lanyard", "--so-pin", adminPIN, "--pin", pin).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return Token{Module: module, Label: "lanyard", PINFile: pinFile}
}

func openToken(t *testing.T, at Token) Vault {
	t.Helper()
	v, err := OpenToken(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func TestToken(t *testing.T) {
	at := aToken(t)
	v := openToken(t, at)
	for _, kind := range v.Kinds() {
		t.Run("own rule: a key in a token opens under its id alone, "+string(kind), func(t *testing.T) {
			id := "one" + string(kind)
			sealed, key, err := v.New(id, kind)
			if err != nil {
				t.Fatal(err)
			}
			if string(sealed) != string(tokenLabel(id)) {
				t.Errorf("beside the key there is %q", sealed)
			}
			again, err := v.Open(id, sealed)
			if err != nil {
				t.Fatal(err)
			}
			if idp.KindOf(again.Public()) != kind {
				t.Errorf("opened a %T", again.Public())
			}
			signed(t, again, key.Public())
			if _, err := v.Open("another", sealed); !errors.Is(err, ErrSealed) {
				t.Errorf("under another id: %v, want ErrSealed", err)
			}
		})
	}

	t.Run("F18: a key that the token has lost", func(t *testing.T) {
		if _, err := v.Open("lost", tokenLabel("lost")); !errors.Is(err, ErrSealed) {
			t.Errorf("Open() = %v, want ErrSealed", err)
		}
	})

	t.Run("own rule: a token makes no Ed25519 keys and does not say that it does", func(t *testing.T) {
		if _, _, err := v.New("ed", idp.Ed25519Key); err == nil || strings.Contains(fmt.Sprint(v.Kinds()), "Ed25519") {
			t.Errorf("New() = %v, of the kinds %v", err, v.Kinds())
		}
	})

	t.Run("own rule: keys are there when the token is opened again", func(t *testing.T) {
		sealed, key, err := v.New("kept", idp.P256Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		v = openToken(t, at)
		again, err := v.Open("kept", sealed)
		if err != nil {
			t.Fatal(err)
		}
		signed(t, again, key.Public())
	})
}

// signed has a key sign and looks at the signature with another's public part.
func signed(t *testing.T, key crypto.Signer, public crypto.PublicKey) {
	t.Helper()
	sum := sha256.Sum256([]byte("what is signed"))
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, sum[:], signature) {
			err = errors.New("not its signature")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestTokenRefusals(t *testing.T) {
	at := aToken(t)
	for _, tt := range []struct {
		rule   string
		change func(*Token)
	}{
		{"F18: a wrong PIN", func(t *Token) { t.PINFile = wrongPIN(at) }},
		{"F18: a token that is not there", func(t *Token) { t.Label = "another" }},
		{"F18: a library that is not there", func(t *Token) { t.Module = "/nowhere.so" }},
		{"F18: a file without a PIN", func(t *Token) { t.PINFile = "/nowhere" }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			other := at
			tt.change(&other)
			v, err := OpenToken(other)
			if err == nil {
				_ = v.Close()
				t.Fatal("it was opened")
			}
			if strings.Contains(err.Error(), pin) {
				t.Errorf("the error holds the PIN: %v", err)
			}
		})
	}
	t.Run("F18: a PIN that others can read", func(t *testing.T) {
		if err := os.Chmod(at.PINFile, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenToken(at); !errors.Is(err, ErrExposed) {
			t.Errorf("OpenToken() = %v, want ErrExposed", err)
		}
	})
}

func wrongPIN(at Token) string {
	path := at.PINFile + ".wrong"
	if err := os.WriteFile(path, []byte("0000"), 0o600); err != nil {
		panic(err)
	}
	return path
}

// An authority of cards keeps its key in the token too: what it issues, and its
// list of what is revoked, are signed there.
func TestTokenOfCardAuthority(t *testing.T) {
	token, err := OpenToken(aToken(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	for _, kind := range token.Kinds() {
		t.Run("own rule: an authority signs certificates and lists in the token, "+string(kind), func(t *testing.T) {
			id := "card authority " + string(kind)
			sealed, _, err := token.New(id, kind)
			if err != nil {
				t.Fatal(err)
			}
			key, err := token.Open(id, sealed)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Cards"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			root, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, root, key)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := x509.ParseRevocationList(list)
			if err := errors.Join(err, root.CheckSignatureFrom(root), parsed.CheckSignatureFrom(root)); err != nil {
				t.Error(err)
			}
		})
	}
}
