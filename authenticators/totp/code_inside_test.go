package totp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

func TestCodes(t *testing.T) {
	t.Run("A2: the codes are those of RFC 6238", func(t *testing.T) {
		seed := []byte("12345678901234567890")
		for at, want := range map[int64]string{
			59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
		} {
			if got := codeAt(seed, stepOf(time.Unix(at, 0)), 8); got != want {
				t.Errorf("at %d: %s, want %s", at, got, want)
			}
		}
	})
	t.Run("A2: another implementation gives the same codes", func(t *testing.T) {
		for range 500 {
			seed, when := make([]byte, seedSize), make([]byte, 4)
			_, _ = rand.Read(seed)
			_, _ = rand.Read(when)
			at := time.Unix(int64(binary.BigEndian.Uint32(when)), 0)
			want, err := totp.GenerateCode(base32.StdEncoding.EncodeToString(seed), at)
			if err != nil {
				t.Fatal(err)
			}
			if step, ok := matchCode(seed, want, at, 0); !ok || step != stepOf(at) && codeAt(seed, step, digits) != want {
				t.Errorf("at %s: step %d, %t", at, step, ok)
			}
		}
	})
}

func TestHashes(t *testing.T) {
	t.Run("own rule: a hash is written and read, and its cost is bound", func(t *testing.T) {
		h := newHashes(fewestPasses, 1, rand.Reader)
		text, err := h.of("seven gulls over the pier")
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(text)
		if err != nil || !h.matches(p, "seven gulls over the pier") || h.matches(p, "seven gulls over the pier ") {
			t.Errorf("%s: %v", text, err)
		}
		// The cost of a server has risen since.
		if !newHashes(3, 1, rand.Reader).matches(p, "seven gulls over the pier") {
			t.Error("a hash of a lower cost does not match")
		}
		d, err := h.decoy()
		if _, bad := parse(d); err != nil || bad != nil {
			t.Errorf("decoy: %v, %v", err, bad)
		}
	})
}

func FuzzHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=4294967296,t=-1,p=1$$")
	f.Add("$2a$10$abc")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err == nil && (p.String() != text || p.memory > mostMemory || p.passes > mostPasses) {
			t.Errorf("%q was read as %s", text, p)
		}
	})
}
