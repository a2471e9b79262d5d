package totp_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/authenticators"
	room "github.com/lanyard-id/lanyard/authenticators/totp"
)

func TestCheckPassword(t *testing.T) {
	about := []string{"asha.smith@riverside.example", "Dr Asha Smith", "Lanyard"}
	for _, tt := range []struct {
		rule, password string
		want           error
	}{
		{"own rule: eleven characters are too few", "k7#Qm2xL9!p", room.ErrTooShort},
		{"own rule: twelve of nobody's are enough", "k7#Qm2xL9!pv", nil},
		{"own rule: what is composed counts once", "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", room.ErrTooShort},
		{"own rule: 128 characters may be, of any language", fill(128), nil},
		{"own rule: 129 may not", fill(129), room.ErrTooLong},
		{"own rule: megabytes are not even read", strings.Repeat("a", 1<<20), room.ErrTooLong},
		{"own rule: four words are enough", "correct horse battery staple", nil},
		{"own rule: no kind of character must be in it", "gwyliwch rhag y defaid", nil},
		{"own rule: spaces alone are nothing", "              ", room.ErrCommon},
		{"own rule: a common password is refused", "1qaz2wsx3edc", room.ErrCommon},
		{"own rule: with a year and a mark it is no better", "Password2024!", room.ErrCommon},
		{"own rule: with figures for letters neither", "p4$$w0rd1234", room.ErrCommon},
		{"own rule: said twice neither", "passwordpassword", room.ErrCommon},
		{"own rule: two common words are one guess", "dragonmonkey1", room.ErrCommon},
		{"own rule: one character many times", "aaaaaaaaaaaaaaaa", room.ErrCommon},
		{"own rule: one after the other", "abcdefghijklmnop", room.ErrCommon},
		{"own rule: a row of the keyboard", "qwertyuiopasdfghjkl", room.ErrCommon},
		{"own rule: numbers alone", "19800412197901", room.ErrCommon},
		{"own rule: one piece over and over", "xk7xk7xk7xk7xk7", room.ErrCommon},
		{"own rule: the person's own name", "AshaSmith1980!", room.ErrPersonal},
		{"own rule: their address", "riverside.asha.smith", room.ErrPersonal},
		{"own rule: the service's name", "Lanyard-Lanyard-1", room.ErrPersonal},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			err := room.CheckPassword(tt.password, about...)
			if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, authenticators.ErrRefused) {
				t.Errorf("CheckPassword() = %v, want %v", err, tt.want)
			}
		})
	}
}

// fill returns so many characters that are no run and no repetition.
func fill(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune('一' + i*i*7%1999))
	}
	return b.String()
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("Password2024!", "Asha")
	f.Add("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4", "\xff")
	f.Add("İİİİİİİİİİİİ", "ﷺﷺﷺ")
	f.Fuzz(func(t *testing.T, password, about string) {
		if err := room.CheckPassword(password, about); err == nil && utf8.RuneCountInString(password) < 3 {
			t.Errorf("%q is taken", password)
		}
	})
}
