//go:build !pkcs11

package vault

import (
	"errors"
	"testing"
)

func TestWithoutPKCS11(t *testing.T) {
	t.Run("own rule: a program without PKCS#11 says so", func(t *testing.T) {
		if _, err := OpenToken(Token{Module: "/usr/lib/softhsm/libsofthsm2.so"}); !errors.Is(err, ErrWithoutPKCS11) {
			t.Errorf("OpenToken() = %v, want ErrWithoutPKCS11", err)
		}
	})
}
