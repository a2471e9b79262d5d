package idp_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

const proving = "email"

// send sends the nurse a code, and returns it as the mail has it.
func (o *office) send() string {
	o.t.Helper()
	if err := o.mailed.Send(o.t.Context(), proving, nurse, nurseMail, "cy"); err != nil {
		o.t.Fatal(err)
	}
	mails := o.registry.Mails()
	return mails[len(mails)-1].Args["code"]
}

// shows enters a code.
func (o *office) shows(code string) error {
	return o.mailed.Check(o.t.Context(), proving, nurse, code, func(string) error { return nil })
}

// wrong is another code than code.
func wrong(code string) string {
	if strings.HasPrefix(code, "A") {
		return "B" + code[1:]
	}
	return "A" + code[1:]
}

// watched are questions of which no two are looked at at once.
type watched struct {
	authenticators.Questions
	inHand, most, judged atomic.Int64
}

func (q *watched) Ask(ctx context.Context, name string, question []byte, expires time.Time) error {
	q.inHand.Add(-1)
	return q.Questions.Ask(ctx, name, question, expires)
}

func (q *watched) Take(ctx context.Context, name string, now time.Time) ([]byte, error) {
	b, err := q.Questions.Take(ctx, name, now)
	if err == nil {
		q.judged.Add(1)
		q.most.Store(max(q.most.Load(), q.inHand.Add(1)))
	}
	return b, err
}

func TestMailCodes(t *testing.T) {
	t.Run("A9: a code by mail has 40 random bits", func(t *testing.T) {
		const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
		o := anOffice(t)
		var seen [8]map[rune]bool
		codes := map[string]bool{}
		for range 1000 {
			code := o.send()
			plain := strings.ReplaceAll(code, "-", "")
			if len(code) != 9 || code[4] != '-' || len(plain) != len(seen) {
				t.Fatalf("a code is %q", code)
			}
			for i, r := range plain {
				if seen[i] == nil {
					seen[i] = map[rune]bool{}
				}
				if seen[i][r] = true; !strings.ContainsRune(letters, r) {
					t.Fatalf("a code is %q", code)
				}
			}
			codes[code] = true
		}
		for i, s := range seen {
			if len(s) != len(letters) {
				t.Errorf("letter %d is one of %d, want 32", i, len(s))
			}
		}
		if len(codes) != 1000 {
			t.Errorf("of 1,000 codes %d differ", len(codes))
		}
	})
	t.Run("A9: a code by mail is good for ten minutes", func(t *testing.T) {
		for age, want := range map[time.Duration]error{10*time.Minute - time.Second: nil, 10 * time.Minute: idp.ErrMailCode, 10*time.Minute + time.Second: idp.ErrMailCode} {
			o := anOffice(t)
			code := o.send()
			o.now = o.now.Add(age) // and Redis still has it
			if err := o.shows(code); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("after %v: %v, want %v", age, err, want)
			}
		}
	})
	t.Run("A9: once, for its purpose and its person", func(t *testing.T) {
		o := anOffice(t)
		code := o.send()
		never := func(string) error { t.Error("it was taken"); return nil }
		for _, of := range [][2]string{{"password", nurse}, {proving, porter}, {proving, ""}, {"", nurse}} {
			if err := o.mailed.Check(t.Context(), of[0], of[1], code, never); !errors.Is(err, idp.ErrMailCode) {
				t.Errorf("for %v: %v, want ErrMailCode", of, err)
			}
		}
		got := ""
		if err := o.mailed.Check(t.Context(), proving, nurse, code, func(address string) error { got = address; return nil }); err != nil || got != nurseMail {
			t.Errorf("Check: %v, for %q", err, got)
		}
		if err := o.shows(code); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("the second time: %v, want ErrMailCode", err)
		}
	})
	t.Run("A9: four wrong tries leave it good, the fifth ends it", func(t *testing.T) {
		for tries, want := range map[int]error{4: nil, 5: idp.ErrMailCode} {
			o := anOffice(t)
			code := o.send()
			for range tries {
				if err := o.shows(wrong(code)); !errors.Is(err, idp.ErrMailCode) {
					t.Errorf("a wrong code: %v, want ErrMailCode", err)
				}
			}
			if err := o.shows(code); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("after %d wrong tries: %v, want %v", tries, err, want)
			}
		}
	})
	t.Run("A9: a right code whose use fails is a try, and what it should have done is the answer", func(t *testing.T) {
		o := anOffice(t)
		code := o.send()
		for range 5 {
			if err := o.mailed.Check(t.Context(), proving, nurse, code, func(string) error { return idp.ErrTaken }); !errors.Is(err, idp.ErrTaken) {
				t.Errorf("Check: %v, want ErrTaken", err)
			}
		}
		if err := o.shows(code); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("the sixth time: %v, want ErrMailCode", err)
		}
	})
	t.Run("A9: a second code ends the first", func(t *testing.T) {
		o := anOffice(t)
		first, second := o.send(), o.send()
		if err := o.shows(first); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("the first: %v", err)
		}
		if err := o.shows(second); err != nil {
			t.Errorf("the second: %v", err)
		}
	})
	t.Run("own rule: a code is right however it is typed", func(t *testing.T) {
		o := anOffice(t)
		for {
			code := o.send()
			if !strings.Contains(code, "0") || !strings.Contains(code, "1") {
				continue
			}
			typed := strings.ToLower(" " + strings.NewReplacer("0", "o", "1", "l", "-", "  ").Replace(code) + " ")
			if err := o.shows(typed); err != nil {
				t.Errorf("%q for %q: %v", typed, code, err)
			}
			code = o.send()
			if err := o.shows(strings.NewReplacer("1", "I", "0", "O", "-", "").Replace(code)); err != nil {
				t.Errorf("the same in capitals: %v", err)
			}
			return
		}
	})
	t.Run("A9: of 200 guesses at once one is judged at a time, and five in all", func(t *testing.T) {
		o := anOffice(t)
		q := &watched{Questions: o.mailed.Questions}
		code := o.send()
		o.mailed.Questions = q
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if err := o.shows(wrong(code)); !errors.Is(err, idp.ErrMailCode) {
					t.Errorf("a wrong code: %v", err)
				}
			})
		}
		wg.Wait()
		for range 5 { // those that came while another was judged found nothing to judge
			_ = o.shows(wrong(code))
		}
		if q.judged.Load() != 5 || q.most.Load() != 1 {
			t.Errorf("%d were judged, %d at once; want 5 and 1", q.judged.Load(), q.most.Load())
		}
		if err := o.shows(code); !errors.Is(err, idp.ErrMailCode) {
			t.Errorf("the right one afterwards: %v", err)
		}
	})
	t.Run("A9: of 50 who show the right code at once one succeeds", func(t *testing.T) {
		o := anOffice(t)
		code := o.send()
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if o.shows(code) == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d succeeded", won.Load())
		}
	})
	t.Run("own rule: neither the store nor the journal knows the code", func(t *testing.T) {
		o := anOffice(t)
		code := o.send()
		plain := strings.ReplaceAll(code, "-", "")
		for _, key := range o.rdb.Keys(t.Context(), "*").Val() {
			if v := o.rdb.Get(t.Context(), key).Val(); strings.Contains(v, plain) || strings.Contains(key, nurse) {
				t.Errorf("%s holds %q", key, v)
			}
		}
		if e := o.last(); e.Kind != idp.MailCodeSent || strings.Contains(e.Reason, plain) {
			t.Errorf("recorded %+v", e)
		}
	})
}

func TestParseEmail(t *testing.T) {
	long := strings.Repeat("a", 60) + "@" + strings.Repeat("b23456789.", 19) + "nhs"
	for text, want := range map[string]string{
		"nurse@ward.example": "nurse@ward.example", " nurse@ward.example\n": "nurse@ward.example", "N.O'Brien+x@a.b-c.example": "N.O'Brien+x@a.b-c.example",
		long: long, long + "s": "",
		"": "", "nurse": "", "nurse@": "", "@ward.example": "", "nurse@localhost": "", "nurse@@ward.example": "", "a@b@c.example": "",
		"Nurse <nurse@ward.example>": "", "<nurse@ward.example>": "", "nurse@ward.example, x@y.example": "", "nurse@ward.example;x@y.example": "",
		"nurse@ward.example\r\nBcc: x@y.example": "", "nu rse@ward.example": "", `"nu rse"@ward.example`: "", "nurse@[192.0.2.1]": "", "nurse(x)@ward.example": "",
		"nurse@ward.example\x00": "", "nurse@ward..example": "", ".nurse@ward.example": "", strings.Repeat("a", 10_000) + "@ward.example": "",
	} {
		t.Run("own rule: one address and no more", func(t *testing.T) {
			got, err := idp.ParseEmail(text)
			if got != want || (want == "") != errors.Is(err, idp.ErrEmail) {
				t.Errorf("ParseEmail(%.60q) = %q, %v; want %q", text, got, err, want)
			}
		})
	}
}

// unlimited lets every try through.
type unlimited struct{}

func (unlimited) Attempt(context.Context, idp.LimitKey, idp.Limit, time.Time) error { return nil }
func (unlimited) Clear(context.Context, idp.LimitKey) error                         { return nil }

func TestMailLimit(t *testing.T) {
	t.Run("own rule: nobody fills a mailbox with codes, whatever they are for", func(t *testing.T) {
		o := anOffice(t)
		o.mailed.Limits = o.live
		sent := 0
		for range 10 {
			if o.mailed.Send(t.Context(), "email", nurse, "other@example.org", "en") == nil {
				sent++
			}
		}
		if want := idp.MailLimit.Free + 1; sent != want {
			t.Errorf("%d were sent, want %d", sent, want)
		}
	})
}
