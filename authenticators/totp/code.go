package totp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 §1.2 is HMAC-SHA-1, which the weakness of SHA-1 does not touch
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// What the apps that people have can do: RFC 6238 with its usual values.
const (
	seedSize = 20 // 160 bits, RFC 4226 §4 R6
	digits   = 6
	period   = 30 // seconds
	drift    = 1  // steps to either side: RFC 6238 §5.2
)

// stepOf is the number of the step that t is in. RFC 6238 §4.2.
func stepOf(t time.Time) int64 { return t.Unix() / period }

// codeAt returns the code of a step in that many digits. RFC 4226 §5.3.
func codeAt(seed []byte, step int64, digits int) string {
	mac := hmac.New(sha1.New, seed)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step)) //nolint:gosec // the clock stands after 1970
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}

// matchCode says which step has that code: one at now or beside it that comes
// after last, the last one accepted. RFC 6238 §5.2. It looks at all of them
// whatever it finds.
func matchCode(seed []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "") // apps show them in two groups
	here := stepOf(now)
	for s := here - drift; s <= here+drift; s++ {
		fits := same(codeAt(seed, s, digits), code)
		if fits && s > last {
			step, ok = s, true
		}
	}
	return step, ok
}

// same compares in constant time what is secret or guards it.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
