//go:build witness

package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

// TestPivGo has another library for PIV cards use the virtual one, which is
// alone with its cards and speaks T=1 only. It needs C, and so is a test of its
// own.
func TestPivGo(t *testing.T) {
	v := virtualreader.Start(t)
	t.Setenv("PCSCLITE_CSOCK_NAME", v.Socket)
	for _, kind := range []virtualcard.KeyType{virtualcard.RSA2048, virtualcard.P256} {
		t.Run("own rule: piv-go reads, tries, unblocks and signs: "+string(kind), func(t *testing.T) {
			inside := ofKind(t, kind, "Asha", func(c *virtualcard.Config) { c.Profile = virtualcard.Yubico })
			defer noticed(t, v, false)
			defer v.Insert(t, 0, inside)()
			noticed(t, v, true)
			names, err := piv.Cards()
			if err != nil || len(names) == 0 {
				t.Fatalf("Cards() = %v, %v", names, err)
			}
			yk, err := piv.Open(names[0])
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = yk.Close() }()

			certificate, err := yk.Certificate(piv.SlotAuthentication)
			if err != nil || !certificate.Equal(inside.Certificate()) {
				t.Fatalf("Certificate() = %v", err)
			}
			if left, err := yk.Retries(); left != 3 || err != nil {
				t.Errorf("Retries() = %d, %v", left, err)
			}
			wrong, ok := errors.AsType[piv.AuthErr](yk.VerifyPIN("111111"))
			if !ok || wrong.Retries != 2 {
				t.Errorf("a wrong passcode: %v", wrong)
			}
			if err := errors.Join(yk.SetPIN("123456", "654321"), yk.Unblock("12345678", "123456")); err != nil {
				t.Errorf("SetPIN, Unblock: %v", err)
			}
			key, err := yk.PrivateKey(piv.SlotAuthentication, certificate.PublicKey, piv.KeyAuth{PIN: "123456", PINPolicy: piv.PINPolicyOnce})
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256([]byte("message"))
			signature, err := key.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256) //nolint:forcetypeassert // it says so
			if err != nil {
				t.Fatal(err)
			}
			switch public := certificate.PublicKey.(type) {
			case *rsa.PublicKey:
				err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
			case *ecdsa.PublicKey:
				if !ecdsa.VerifyASN1(public, digest[:], signature) {
					err = errors.New("it is no signature")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
