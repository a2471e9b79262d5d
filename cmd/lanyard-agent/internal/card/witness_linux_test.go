package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
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
	v := virtualreader.Start(t)
	t.Setenv("PCSCLITE_CSOCK_NAME", v.Socket)
	says := func(t *testing.T, program string, args ...string) string {
		t.Helper()
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
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
	digest := sha256.Sum256([]byte("message"))

	elliptic := ofKind(t, virtualcard.P256, "Asha", nil)
	takeOut := v.Insert(t, 0, elliptic)
	t.Run("own rule: opensc-tool knows the card for PIV", func(t *testing.T) {
		if out := says(t, "opensc-tool", "-w", "-n"); !strings.Contains(out, "Personal Identity Verification") {
			t.Errorf("it says %s", out)
		}
	})
	t.Run("own rule: pkcs11-tool signs with P-256, T=1", func(t *testing.T) {
		out := says(t, "pkcs11-tool", "--module", modules[0], "--login", "--pin", "123456", "--sign", "--id", "01", "-m", "ECDSA-SHA256",
			"--signature-format", "openssl", "-i", message, "-o", signature)
		signed, _ := os.ReadFile(signature)
		if key := elliptic.Certificate().PublicKey.(*ecdsa.PublicKey); !ecdsa.VerifyASN1(key, digest[:], signed) { //nolint:forcetypeassert // it was made so
			t.Errorf("no signature; it says %s", out)
		}
	})
	takeOut()
	gone := func(r []reader) bool { return !r[0].present }
	for now := []reader(nil); now == nil || !gone(now); {
		if now, err = pcscd(v.Socket).Readers(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	arithmetic := ofKind(t, virtualcard.RSA2048, "Asha", func(c *virtualcard.Config) { c.ATR = virtualcard.T0ATR() })
	v.Insert(t, 0, arithmetic)
	t.Run("own rule: pkcs11-tool signs with RSA, T=0", func(t *testing.T) {
		out := says(t, "opensc-tool", "-w", "-n") + says(t, "pkcs11-tool", "--module", modules[0], "--login", "--pin", "123456", "--sign", "--id", "01",
			"-m", "SHA256-RSA-PKCS", "-i", message, "-o", signature)
		signed, _ := os.ReadFile(signature)
		if key := arithmetic.Certificate().PublicKey.(*rsa.PublicKey); rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signed) != nil { //nolint:forcetypeassert // it was made so
			t.Errorf("no signature; it says %s", out)
		}
	})
}
