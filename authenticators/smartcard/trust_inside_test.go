package smartcard

import "testing"

func TestNewTrust(t *testing.T) {
	t.Run("X1: without roots the machine's own are not taken", func(t *testing.T) {
		if newTrust(nil, nil).roots == nil {
			t.Error("crypto/x509 would take the machine's roots")
		}
	})
}
