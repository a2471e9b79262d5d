package provider

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func TestProven(t *testing.T) {
	t.Run("own rule: an ID token whose signature was checked is asked all else again, and no other goes by it", func(t *testing.T) {
		w := aKeyWorld(t)
		key := aSigningKey(t, "k", idp.P256Key, idp.KeyTimes{})
		w.change(idp.P256Key, key)
		token, _ := w.signs(t, "ES256")
		for range 2 {
			if _, err := w.verify(token); err != nil {
				t.Fatal(err)
			}
		}
		if !w.proven.has(token) {
			t.Error("its signature would be checked again")
		}

		head, rest, _ := strings.Cut(token, ".")
		claims, signature, _ := strings.Cut(rest, ".")
		other, err := w.sign("ES256", idp.IDToken{Issuer: w.Issuer, Audience: "c", Subject: "555000000102", Expires: 1, AuthTime: 1})
		if err != nil {
			t.Fatal(err)
		}
		for name, forged := range map[string]string{
			"other claims":        head + "." + claims[:len(claims)-4] + "AAAA" + "." + signature,
			"another's signature": head + "." + claims + other[strings.LastIndexByte(other, '.'):],
			"half a signature":    token[:len(token)-8],
		} {
			if _, err := w.verify(forged); err == nil {
				t.Errorf("%s: it was taken", name)
			}
			if w.proven.has(forged) {
				t.Errorf("%s: it is remembered", name)
			}
		}

		key.KeyTimes, key.Signer = idp.KeyTimes{RevokedAt: w.now.Add(-time.Second)}, nil
		w.change(idp.P256Key, key)
		if _, err := w.verify(token); err == nil {
			t.Error("its key was revoked since, and it was taken")
		}
	})
	t.Run("own rule: no more tokens are remembered than there is room for, and the newest is", func(t *testing.T) {
		var p proven
		for n := range maxProven + 100 {
			token := fmt.Sprint(n)
			p.add(token)
			if !p.has(token) {
				t.Fatalf("token %d was forgotten at once", n)
			}
		}
		if len(p.of) != maxProven {
			t.Errorf("%d are remembered, want %d", len(p.of), maxProven)
		}
	})
}
