package totp_test

import (
	"errors"
	"fmt"
	"image"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"rsc.io/qr"

	"github.com/lanyard-id/lanyard/authenticators"
	room "github.com/lanyard-id/lanyard/authenticators/totp"
)

func TestEnrolment(t *testing.T) {
	t.Run("A2: the seed has 160 bits, and another library reads six digits, 30 seconds and SHA-1", func(t *testing.T) {
		w := aWorld(t)
		o := w.beginEnrolment(anEnrolment())
		key, err := otp.NewKeyFromURL(o.URI)
		if err != nil {
			t.Fatal(err)
		}
		if key.Issuer() != "Lanyard" || key.AccountName() != email || key.Period() != 30 || key.Digits() != otp.DigitsSix ||
			key.Algorithm() != otp.AlgorithmSHA1 || key.Type() != "totp" {
			t.Errorf("%s is not what it should be", o.URI)
		}
		if key.Secret() != strings.ReplaceAll(o.Secret, " ", "") || len(key.Secret()) != 32 || len(w.seedBytes()) != 20 {
			t.Errorf("secret of %d characters", len(key.Secret()))
		}
		if again := w.beginEnrolment(anEnrolment()); again.Secret == o.Secret || again.Question == o.Question {
			t.Error("two enrolments have the same seed or question")
		}
	})
	t.Run("own rule: the QR code is the URI, as boxes in a quiet zone", func(t *testing.T) {
		w := aWorld(t)
		o := w.beginEnrolment(anEnrolment())
		want, err := qr.Encode(o.URI, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		dark := map[image.Point]bool{}
		for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(o.QR.Path, -1) {
			var n [5]int
			for i := 1; i < 5; i++ {
				n[i], _ = strconv.Atoi(m[i])
			}
			for x := range n[3] {
				dark[image.Pt(n[1]+x, n[2])] = true
			}
		}
		if o.QR.Size != want.Size+8 {
			t.Errorf("size %d, want %d", o.QR.Size, want.Size+8)
		}
		for y := range o.QR.Size {
			for x := range o.QR.Size {
				if dark[image.Pt(x, y)] != want.Black(x-4, y-4) {
					t.Fatalf("module %d, %d is wrong", x, y)
				}
			}
		}
	})
	t.Run("own rule: what was proved is AAL2, and its record tells neither password nor seed", func(t *testing.T) {
		w := aWorld(t)
		a := w.held[holder]
		if a.Kind != authenticators.CodeKind || a.Handle != holder || a.Subject != holder || a.Method != authenticators.TOTP || a.Level != authenticators.AAL2 {
			t.Errorf("authenticator %+v", a)
		}
		for _, secret := range []string{password, w.seed, string(w.seedBytes())} {
			if strings.Contains(string(a.Record), secret) {
				t.Error("the record tells a secret")
			}
		}
		if !strings.Contains(string(a.Record), "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("record %s has no argon2id", a.Record)
		}
	})
	t.Run("own rule: a wrong code or password is asked again with the same seed, five wrong codes are not", func(t *testing.T) {
		w := aWorld(t)
		o := w.beginEnrolment(anEnrolment())
		secret := o.Secret
		w.seed = strings.ReplaceAll(secret, " ", "")
		_, err := w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(o.Question, "", "asha.smith@riverside", w.code(0)))
		o = w.again(err, room.ErrPersonal)
		for range 4 {
			_, err := w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(o.Question, "", password, w.wrongCode()))
			old := o
			if o = w.again(err, room.ErrCode); o.Secret != secret || o.Question == old.Question {
				t.Fatal("not the same seed in another question")
			}
			_, err = w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(old.Question, "", password, w.code(0)))
			if !errors.Is(err, authenticators.ErrAnswer) {
				t.Fatalf("the question before: %v, want ErrAnswer", err)
			}
		}
		_, err = w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(o.Question, "", password, w.wrongCode()))
		if _, more := errors.AsType[room.Again](err); more || !errors.Is(err, room.ErrCode) {
			t.Errorf("the fifth: %v, want ErrCode and no more", err)
		}
	})
	t.Run("own rule: asking again does not make the seed live longer", func(t *testing.T) {
		w := aWorld(t)
		o := w.beginEnrolment(anEnrolment())
		w.seed = strings.ReplaceAll(o.Secret, " ", "")
		w.advance(9 * time.Minute)
		_, err := w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(o.Question, "", password, w.wrongCode()))
		o = w.again(err, room.ErrCode)
		w.advance(time.Minute)
		if _, err = w.room.FinishEnrolment(t.Context(), anEnrolment(), answering(o.Question, "", password, w.code(0))); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("FinishEnrolment() = %v, want ErrAnswer", err)
		}
	})
	t.Run("own rule: another act, browser, person or purpose ends the question", func(t *testing.T) {
		for _, change := range []func(*authenticators.Enrolment){
			func(e *authenticators.Enrolment) { e.ID = "other" },
			func(e *authenticators.Enrolment) { e.Browser = digest("other") },
			func(e *authenticators.Enrolment) { e.Subject = "555000000102" },
		} {
			w := aWorld(t)
			o, other := w.beginEnrolment(anEnrolment()), anEnrolment()
			w.seed = strings.ReplaceAll(o.Secret, " ", "")
			change(&other)
			for _, e := range []authenticators.Enrolment{other, anEnrolment()} {
				if _, err := w.room.FinishEnrolment(t.Context(), e, answering(o.Question, "", password, w.code(0))); !errors.Is(err, authenticators.ErrAnswer) {
					t.Errorf("FinishEnrolment() = %v, want ErrAnswer", err)
				}
			}
		}
		w := aWorld(t)
		login := authenticators.Login{ID: "act", Browser: anEnrolment().Browser}
		o := w.beginEnrolment(anEnrolment())
		if _, err := w.room.Finish(t.Context(), login, answering(o.Question, email, password, w.code(0))); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("signing in with the question of an enrolment: %v, want ErrAnswer", err)
		}
	})
	t.Run("own rule: a person has one password", func(t *testing.T) {
		w := aWorld(t)
		e := anEnrolment()
		e.Held = []authenticators.Authenticator{w.held[holder]}
		if _, err := w.room.BeginEnrolment(t.Context(), e); !errors.Is(err, room.ErrHeld) {
			t.Errorf("BeginEnrolment() = %v, want ErrHeld", err)
		}
	})
	t.Run("own rule: names with spaces and signs stand in the URI as apps read them", func(t *testing.T) {
		w := aWorld(t)
		w.config.Service = "Sign in & out: Trust"
		w.room = w.open()
		e := anEnrolment()
		e.Email = "o'neil+x@riverside.example"
		o := w.beginEnrolment(e)
		u, err := url.Parse(o.URI)
		if err != nil || u.Query().Get("issuer") != w.config.Service || strings.Contains(u.RawQuery, "+") ||
			u.Path != fmt.Sprintf("/%s:%s", w.config.Service, e.Email) {
			t.Errorf("%s, %v", o.URI, err)
		}
	})
}

// again reads the question that a refusal comes with.
func (w *world) again(err, why error) offered {
	w.t.Helper()
	a, ok := errors.AsType[room.Again](err)
	if !ok || !errors.Is(err, why) || !errors.Is(err, authenticators.ErrRefused) {
		w.t.Fatalf("%v, want an Again for %v", err, why)
	}
	return w.read(a.Question)
}

func TestChange(t *testing.T) {
	const fresh = "nine herons under a bridge"
	t.Run("A9: who has forgotten the password needs a right code all the same, and both old and new are judged after", func(t *testing.T) {
		w := aWorld(t)
		if _, err := w.room.ResetPassword(t.Context(), holder, w.wrongCode(), fresh); !errors.Is(err, room.ErrWrong) {
			t.Fatalf("a wrong code: %v, want ErrWrong", err)
		}
		if _, err := w.room.ResetPassword(t.Context(), holder, "", fresh); !errors.Is(err, room.ErrWrong) {
			t.Fatalf("no code: %v, want ErrWrong", err)
		}
		code := w.code(0)
		c, err := w.room.ResetPassword(t.Context(), holder, code, fresh)
		if err != nil {
			t.Fatal(err)
		}
		w.held[holder] = c.Authenticator
		w.works(fresh, code)
	})
	t.Run("A9: changing it needs the old one and a code", func(t *testing.T) {
		w := aWorld(t)
		for _, g := range [][2]string{{"not my password", w.code(0)}, {"", w.code(0)}, {password, w.wrongCode()}, {password, ""}} {
			if _, err := w.room.ChangePassword(t.Context(), holder, g[0], g[1], fresh); !errors.Is(err, room.ErrWrong) {
				t.Fatalf("%q: %v, want ErrWrong", g, err)
			}
		}
		code := w.code(0)
		c, err := w.room.ChangePassword(t.Context(), holder, password, code, fresh)
		if err != nil {
			t.Fatal(err)
		}
		w.held[holder] = c.Authenticator
		w.works(fresh, code)
	})
	t.Run("A9: what is suspended stays so, with everything right", func(t *testing.T) {
		w := aWorld(t)
		a := w.held[holder]
		a.State = authenticators.Suspended
		w.held[holder] = a
		if _, err := w.room.ResetPassword(t.Context(), holder, w.code(0), fresh); !errors.Is(err, authenticators.ErrSuspended) {
			t.Errorf("ResetPassword() = %v, want ErrSuspended", err)
		}
	})
	t.Run("A9: the code of a reset raises the fence of its step, which signing in would raise", func(t *testing.T) {
		w := aWorld(t)
		code := w.code(0)
		c, err1 := w.room.ResetPassword(t.Context(), holder, code, fresh)
		e, err2 := w.signIn(w.open(), email, password, code) // has not heard of the reset
		if err1 != nil || err2 != nil || c.Once != e.Once || c.Use.ID != e.Use.ID || string(c.Use.Mark) != string(e.Use.Mark) {
			t.Errorf("%+v, %v and %+v, %v: want the same", c, err1, e, err2)
		}
	})
	t.Run("A1: guesses at a reset count with those at signing in", func(t *testing.T) {
		w := aWorld(t)
		for range 3 {
			_, _ = w.room.ResetPassword(t.Context(), holder, w.wrongCode(), fresh)
			_, _ = w.signIn(w.room, email, password, w.wrongCode())
		}
		if w.judged != 6 {
			t.Fatalf("%d judged, want 6", w.judged)
		}
		_, err := w.room.ResetPassword(t.Context(), holder, w.code(0), fresh)
		if err == nil || errors.Is(err, authenticators.ErrRefused) || w.judged != 6 {
			t.Errorf("ResetPassword() = %v after %d, want the limit's word", err, w.judged)
		}
	})
	t.Run("own rule: a new password that will not do costs no try", func(t *testing.T) {
		w := aWorld(t)
		if _, err := w.room.ChangePassword(t.Context(), holder, password, w.code(0), "Asha Smith 1980!", "Dr Asha Smith"); !errors.Is(err, room.ErrPersonal) || w.judged != 0 {
			t.Errorf("%v after %d tries, want ErrPersonal and none", err, w.judged)
		}
	})
}

// works checks that the new password signs in, the old one does not, and the
// code that made the change is used up.
func (w *world) works(fresh, used string) {
	w.t.Helper()
	if _, err := w.signIn(w.room, email, fresh, used); !errors.Is(err, room.ErrWrong) {
		w.t.Errorf("with the code that was used: %v, want ErrWrong", err)
	}
	w.advance(time.Minute)
	if _, err := w.signIn(w.room, email, password, w.code(0)); !errors.Is(err, room.ErrWrong) {
		w.t.Errorf("with the old password: %v, want ErrWrong", err)
	}
	if _, err := w.signIn(w.room, email, fresh, w.code(0)); err != nil {
		w.t.Errorf("with the new one: %v", err)
	}
}
