package totp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/contract"
	room "github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
)

func TestContract(t *testing.T) {
	contract.Room(t, func(t *testing.T) contract.Fixture {
		w := aWorld(t)
		return contract.Fixture{
			Room:    w.room,
			Subject: holder,
			Life:    5 * time.Minute,
			Answer: func(t *testing.T, question json.RawMessage) json.RawMessage {
				w.advance(30 * time.Second) // a code is good for one sign-in
				return answering(w.read(question).Question, email, password, w.code(0))
			},
			Advance: w.advance,
			Break: func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.broken = true
			},
		}
	})
}

func TestFinish(t *testing.T) {
	t.Run("own rule: evidence says who, how, and what the code was", func(t *testing.T) {
		w := aWorld(t)
		e, err := w.signIn(w.room, " Asha.Smith@Riverside.example", password, w.code(0)[:3]+" "+w.code(0)[3:])
		if err != nil {
			t.Fatal(err)
		}
		if e.Subject != holder || e.Authenticator != "totp:k1" || e.Use.ID != "k1" || !e.At.Equal(w.clock()) ||
			string(e.Use.Mark) != fmt.Sprintf(`{"step":%d}`, w.clock().Unix()/30) {
			t.Errorf("evidence %+v with use %+v", e, e.Use)
		}
	})
	t.Run("A4: a password and a code never are more than that, whatever the registry says", func(t *testing.T) {
		w := aWorld(t)
		a := w.held[holder]
		a.Method, a.Level = authenticators.FIDO2, authenticators.AAL3
		w.held[holder] = a
		e, err := w.signIn(w.room, email, password, w.code(0))
		if err != nil || e.Method != authenticators.TOTP || e.Level != authenticators.AAL2 {
			t.Errorf("evidence %+v, %v; want TOTP at AAL2", e, err)
		}
	})
	t.Run("own rule: a password is the same however its characters were composed", func(t *testing.T) {
		w := aWorld(t)
		c, err := w.room.ChangePassword(t.Context(), holder, password, w.code(0), "gar\u00e7on \ufb01le Zo\u00eb")
		if err != nil {
			t.Fatal(err)
		}
		w.held[holder] = c.Authenticator
		w.advance(time.Minute)
		if _, err := w.signIn(w.room, email, "garc\u0327on file Zoe\u0308", w.code(0)); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
	t.Run("own rule: who waits too long for their turn meets an outage, and no try is counted", func(t *testing.T) {
		w := aWorld(t)
		w.config.AtOnce = 1
		inside, let := make(chan struct{}), make(chan struct{})
		w.config.Guesses = slow{w, func() { close(inside); <-let }}
		r := w.open()
		first, second := w.begin(r), w.begin(r)
		code := w.code(0)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.Finish(t.Context(), aLogin, answering(first, email, password, code)); err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-inside
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := r.Finish(ctx, aLogin, answering(second, email, password, code))
		if errors.Is(err, authenticators.ErrRefused) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second: %v, want an outage", err)
		}
		close(let)
		wg.Wait()
		if w.judged != 1 {
			t.Errorf("%d tries counted, want 1", w.judged)
		}
	})
	t.Run("own rule: a sealed seed that was moved to another person opens nothing", func(t *testing.T) {
		w := aWorld(t)
		a := w.held[holder]
		a.Subject = "555000000199"
		w.held[holder] = a
		if _, err := w.signIn(w.room, email, password, w.code(0)); err == nil || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Finish() = %v, want an error that is no refusal", err)
		}
	})
	t.Run("own rule: a hash that would cost too much is not computed", func(t *testing.T) {
		for _, params := range []string{"m=1048576,t=2,p=1", "m=19456,t=4000,p=1", "m=19456,t=2,p=0", "m=19456,t=0,p=1", "m=8,t=2,p=1", "m=19456,t=2,p=1,x=1"} {
			w := aWorld(t)
			a := w.held[holder]
			a.Record = bytes.Replace(a.Record, []byte("m=19456,t=2,p=1"), []byte(params), 1)
			w.held[holder] = a
			if _, err := w.signIn(w.room, email, password, w.code(0)); err == nil || errors.Is(err, authenticators.ErrRefused) {
				t.Errorf("%s: Finish() = %v, want an error that is no refusal", params, err)
			}
		}
	})
}

// slow is a world whose counter takes its time, once.
type slow struct {
	*world
	wait func()
}

func (s slow) Attempt(ctx context.Context, account string) error {
	s.wait()
	return s.world.Attempt(ctx, account)
}

func TestGuesses(t *testing.T) {
	t.Run("A1: of 200 guesses at once on two servers no more are judged than the limit lets through", func(t *testing.T) {
		w := aWorld(t)
		servers := []*room.Room{w.room, w.open()}
		wrong := w.wrongCode()
		answers := make([]json.RawMessage, 200)
		for i := range answers {
			answers[i] = answering(w.begin(servers[i%2]), []string{email, strings.ToUpper(email)}[i/2%2], password, wrong)
		}
		var wg sync.WaitGroup
		var refused, limited atomic.Int32
		for i, a := range answers {
			wg.Go(func() {
				switch _, err := servers[i%2].Finish(t.Context(), aLogin, a); {
				case errors.Is(err, room.ErrWrong):
					refused.Add(1)
				case errors.Is(err, idp.ErrLimited), errors.Is(err, authenticators.ErrBusy):
					limited.Add(1)
				default:
					t.Errorf("Finish() = %v", err)
				}
			})
		}
		wg.Wait()
		// Five cost nothing, and the wait begins after the next.
		if most := int32(idp.GuessLimit.Free + 1); refused.Load() != most || limited.Load() != 200-most {
			t.Errorf("%d judged and %d turned away, want %d and %d", refused.Load(), limited.Load(), most, 200-most)
		}
	})
	t.Run("A1: who is right is let in after wrong tries, which then count no more", func(t *testing.T) {
		w := aWorld(t)
		for range 2 {
			for range idp.GuessLimit.Free {
				if _, err := w.signIn(w.room, email, "not my password", w.code(0)); !errors.Is(err, room.ErrWrong) {
					t.Fatalf("Finish() = %v, want ErrWrong", err)
				}
			}
			e, err := w.signIn(w.room, email, password, w.code(0))
			if err != nil {
				t.Fatalf("Finish() = %v, want evidence", err)
			}
			w.keep(e.Use)
			w.advance(time.Minute)
		}
	})
	t.Run("A1: the limit's own word comes through, and nothing is judged", func(t *testing.T) {
		w := aWorld(t)
		for range idp.GuessLimit.Free + 1 {
			_, _ = w.signIn(w.room, email, password, w.wrongCode())
		}
		_, err := w.signIn(w.room, email, password, w.code(0))
		if l, ok := errors.AsType[idp.Limited](err); !ok || l.Wait <= 0 {
			t.Errorf("Finish() = %v, want Limited with its wait", err)
		}
	})
}

func TestCodesOnce(t *testing.T) {
	t.Run("A2: a code that was used is refused, in another login too", func(t *testing.T) {
		w := aWorld(t)
		code := w.code(0)
		e, err := w.signIn(w.room, email, password, code)
		if err != nil {
			t.Fatal(err)
		}
		w.keep(e.Use)
		if _, err := w.signIn(w.open(), email, password, code); !errors.Is(err, room.ErrWrong) {
			t.Errorf("Finish() = %v, want ErrWrong", err)
		}
	})
	t.Run("A2: in the next step the code of the last is refused if it was used, and so is one before it", func(t *testing.T) {
		w := aWorld(t)
		before, code := w.code(-1), w.code(0)
		e, err := w.signIn(w.room, email, password, code)
		if err != nil {
			t.Fatal(err)
		}
		w.keep(e.Use)
		if _, err := w.signIn(w.room, email, password, before); !errors.Is(err, room.ErrWrong) {
			t.Errorf("one before: %v, want ErrWrong", err)
		}
		w.advance(30 * time.Second)
		if _, err := w.signIn(w.room, email, password, code); !errors.Is(err, room.ErrWrong) {
			t.Errorf("the same: %v, want ErrWrong", err)
		}
		if _, err := w.signIn(w.room, email, password, w.code(0)); err != nil {
			t.Errorf("the next: %v", err)
		}
	})
	t.Run("A2: two servers that have heard nothing of each other raise the same fence for one step", func(t *testing.T) {
		w := aWorld(t)
		code := w.code(0)
		one, err1 := w.signIn(w.room, email, password, code)
		w.advance(30 * time.Second) // the other finds it in its drift
		two, err2 := w.signIn(w.open(), email, password, code)
		next, err3 := w.signIn(w.room, email, password, w.code(0))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if one.Once != two.Once || one.Once == next.Once {
			t.Errorf("Once is %s, %s and for the next %s", one.Once, two.Once, next.Once)
		}
	})
	t.Run("A2: a code counts one step to either side of the server's clock and no further", func(t *testing.T) {
		for steps, good := range map[int]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
			w := aWorld(t)
			_, err := w.signIn(w.room, email, password, w.code(steps))
			if good != (err == nil) || !good && !errors.Is(err, room.ErrWrong) {
				t.Errorf("%d steps away: %v", steps, err)
			}
		}
	})
	t.Run("A2: the code that proved the enrolment signs nobody in", func(t *testing.T) {
		w := aWorld(t)
		w.advance(-2 * time.Minute)
		if _, err := w.signIn(w.room, email, password, w.code(0)); !errors.Is(err, room.ErrWrong) {
			t.Errorf("Finish() = %v, want ErrWrong", err)
		}
	})
}

func TestNothingTellsPeopleApart(t *testing.T) {
	t.Run("A11: whatever is wrong, the refusal is the same and so are the calls", func(t *testing.T) {
		type try struct {
			what, email, password string
			code                  func(*world) string
			state                 authenticators.State
		}
		right := func(w *world) string { return w.code(0) }
		var want []string
		for i, tt := range []try{
			{"wrong code", email, password, (*world).wrongCode, authenticators.Active},
			{"wrong password", email, "not my password", right, authenticators.Active},
			{"both wrong", email, "not my password", (*world).wrongCode, authenticators.Active},
			{"nobody's e-mail", "nobody@riverside.example", password, right, authenticators.Active},
			{"no e-mail", "", password, right, authenticators.Active},
			{"a person without codes", "no.codes@riverside.example", password, right, authenticators.Active},
			{"suspended, wrong password", email, "not my password", right, authenticators.Suspended},
			{"suspended, wrong code", email, password, (*world).wrongCode, authenticators.Suspended},
			{"no code", email, password, func(*world) string { return "" }, authenticators.Active},
			{"a code of eight digits", email, password, func(w *world) string { return "00" + w.code(0) }, authenticators.Active},
			{"no password", email, "", right, authenticators.Active},
		} {
			w := aWorld(t)
			a := w.held[holder]
			a.State = tt.state
			w.held[holder] = a
			w.calls = nil
			_, err := w.signIn(w.room, tt.email, tt.password, tt.code(w))
			if err != room.ErrWrong { //nolint:errorlint // the very same: a wrapping would tell them apart
				t.Errorf("%s: %v, want ErrWrong and nothing around it", tt.what, err)
			}
			if i == 0 {
				want = w.calls
			}
			if !slices.Equal(w.calls, want) {
				t.Errorf("%s: calls %v, want %v", tt.what, w.calls, want)
			}
		}
	})
	t.Run("A11: tries at an e-mail that is nobody's are counted like a person's, however it is spelt", func(t *testing.T) {
		w := aWorld(t)
		for i := range idp.GuessLimit.Free + 2 {
			e := []string{"nobody@riverside.example", "NOBODY@riverside.example", " nobody@riverside.example "}[i%3]
			_, err := w.signIn(w.room, e, password, "123456")
			want := error(room.ErrWrong)
			if i > idp.GuessLimit.Free {
				want = idp.ErrLimited
			}
			if !errors.Is(err, want) {
				t.Errorf("try %d: %v, want %v", i+1, err, want)
			}
		}
	})
	t.Run("own rule: who has all of it right is told that it is suspended", func(t *testing.T) {
		w := aWorld(t)
		a := w.held[holder]
		a.State = authenticators.Suspended
		w.held[holder] = a
		if _, err := w.signIn(w.room, email, password, w.code(0)); !errors.Is(err, authenticators.ErrSuspended) {
			t.Errorf("Finish() = %v, want ErrSuspended", err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	w := aWorld(f)
	for _, seed := range []string{
		`{"question":"q","email":"a@b.example","password":"p","code":"123456"}`, `{"question":1}`, `null`, `[]`, `{`, `"x"`,
		`{"question":"` + strings.Repeat("A", 43) + `","email":"\ud800","password":"\u0000","code":"１２３４５６"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := w.room.Finish(t.Context(), aLogin, raw)
		if !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("Finish() = %v, want ErrAnswer: no question is open", err)
		}
		_, err = w.room.FinishEnrolment(t.Context(), anEnrolment(), raw)
		if !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("FinishEnrolment() = %v, want ErrAnswer: no question is open", err)
		}
	})
}
