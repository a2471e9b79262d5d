package card

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

// TestWitnesses has other people's programs read the virtual card, which are
// not of our mind about what a card says.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	v := virtualreader.Start(t)
	says := func(t *testing.T, program string, args ...string) string {
		t.Helper()
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "PCSCLITE_CSOCK_NAME="+v.Socket)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", program, err)
		}
		return string(out)
	}
	modules, err := filepath.Glob("/usr/lib/*/opensc-pkcs11.so")
	if err != nil || len(modules) == 0 {
		t.Skip("opensc-pkcs11 is not installed")
	}
	dir := t.TempDir()
	message, signature := filepath.Join(dir, "message"), filepath.Join(dir, "signature")
	if err := os.WriteFile(message, []byte("message"), 0o600); err != nil {
		t.Fatal(err)
	}
	verified := func(t *testing.T, of *virtualcard.Card) string {
		t.Helper()
		der, err := x509.MarshalPKIXPublicKey(of.Certificate().PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		key := filepath.Join(dir, "key")
		if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return says(t, "openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, message)
	}

	elliptic := ofKind(t, virtualcard.P256, "Asha", nil)
	takeOut := v.Insert(t, 0, elliptic)
	t.Run("own rule: opensc-tool knows the card for PIV", func(t *testing.T) {
		if out := says(t, "opensc-tool", "-w", "-n"); !strings.Contains(out, "Personal Identity Verification") {
			t.Errorf("it says %s", out)
		}
	})
	t.Run("own rule: pkcs11-tool signs with P-256, T=1, and openssl agrees", func(t *testing.T) {
		out := says(t, "pkcs11-tool", "--module", modules[0], "--login", "--pin", "123456", "--sign", "--id", "01", "-m", "ECDSA-SHA256",
			"--signature-format", "openssl", "-i", message, "-o", signature)
		if by := verified(t, elliptic); !strings.Contains(by, "Verified OK") {
			t.Errorf("openssl says %s, pkcs11-tool %s", by, out)
		}
	})
	takeOut()
	noticed(t, v, false)
	arithmetic := ofKind(t, virtualcard.RSA2048, "Asha", func(c *virtualcard.Config) { c.ATR = virtualcard.T0ATR() })
	takeOut = v.Insert(t, 0, arithmetic)
	t.Run("own rule: pkcs11-tool signs with RSA, T=0, and openssl agrees", func(t *testing.T) {
		out := says(t, "opensc-tool", "-w", "-n") + says(t, "pkcs11-tool", "--module", modules[0], "--login", "--pin", "123456", "--sign", "--id", "01",
			"-m", "SHA256-RSA-PKCS", "-i", message, "-o", signature)
		if by := verified(t, arithmetic); !strings.Contains(by, "Verified OK") {
			t.Errorf("openssl says %s, pkcs11-tool %s", by, out)
		}
	})
	takeOut()
	noticed(t, v, false)
	makers := ofKind(t, virtualcard.RSA2048, "Asha", func(c *virtualcard.Config) { c.Profile = virtualcard.Yubico })
	v.Insert(t, 0, makers)
	noticed(t, v, true)
	t.Run("own rule: yubico-piv-tool knows whose card it is, and its tries", func(t *testing.T) {
		out := says(t, "yubico-piv-tool", "-r", "Virtual", "-a", "status")
		for _, want := range []string{"Slot 9a:", "RSA2048", "CN=Asha", "PIN tries left:\t3"} {
			if !strings.Contains(out, want) {
				t.Errorf("it says nothing of %s: %s", want, out)
			}
		}
	})
	t.Run("own rule: yubico-piv-tool tries, changes and unblocks the passcode", func(t *testing.T) {
		tool := []string{"-r", "Virtual", "-a"}
		for _, step := range [][]string{
			{"verify-pin", "-P", "123456"},
			{"change-pin", "-P", "123456", "-N", "654321"},
			{"verify-pin", "-P", "654321"},
			{"unblock-pin", "-P", "12345678", "-N", "123456"},
			{"change-puk", "-P", "12345678", "-N", "87654321"},
			{"unblock-pin", "-P", "87654321", "-N", "123456"},
		} {
			says(t, "yubico-piv-tool", append(tool, step...)...)
		}
		if err := makers.Verify("123456"); err != nil {
			t.Errorf("afterwards Verify() = %v", err)
		}
	})
}

// noticed waits until pcscd has noticed that there is a card in the first slot,
// or none.
func noticed(t *testing.T, v *virtualreader.Reader, present bool) {
	t.Helper()
	for now := []reader(nil); now == nil || now[0].present != present; {
		var err error
		if now, err = pcscd(v.Socket).Readers(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
}
