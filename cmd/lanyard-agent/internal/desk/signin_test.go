package desk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// wordsOf is what the person is told of a sign-in that ended.
func wordsOf(err error) string {
	why, _ := errors.AsType[Ended](err)
	return why.Words
}

func TestSignIn(t *testing.T) {
	t.Run("desk-auth/1: a card is shown before its passcode is asked, and the passcode before it signs", func(t *testing.T) {
		s, p, c := newService(), types("123456"), newCard(t, "Dr Asha Smith")
		s.comes(t)
		if err := s.agent(cardsOf(card.ForCard, c), p).SignIn(t.Context(), aLink); err != nil {
			t.Fatal(err)
		}
		if got, want := s.states(), []doing{"wait_card", cardIn, pinPrompt, signing}; !slices.Equal(got, want) {
			t.Errorf("it heard %v, want %v", got, want)
		}
		if shown := s.heard[1].X5C; len(shown) != 1 || !slices.Equal(shown[0], c.about.Certificate.Raw) {
			t.Error("the card was not shown")
		}
		if !slices.Equal(p.told, []string{"en: words of wait_card"}) {
			t.Errorf("the person was told %q", p.told)
		}
		if len(s.signed) != 1 || s.signed[0].Card.GUID != c.about.GUID || s.signed[0].ServerNonce != s.question.ServerNonce {
			t.Errorf("it signed %+v", s.signed)
		}
	})
	t.Run("desk-auth/1: the person reads who asks, whose card it is, what ends soon and what the page says of a passcode", func(t *testing.T) {
		s, p := newService(), types("111111", "222222", "123456")
		s.comes(t)
		s.question.Language, s.question.Notices = "cy", []challenge.Notice{{Code: "AGT-04", Text: "The program ends."}}
		s.reports = func(_ *http.Request, r report) *http.Response {
			if r.State == cardIn {
				return answer(http.StatusOK, said{Notices: []challenge.Notice{{Code: "CRT-02", Text: "The certificate ends."}, {Text: "The program ends."}}})
			}
			return nil
		}
		if err := s.agent(cardsOf(newCard(t, "Dr Asha Smith")), p).SignIn(t.Context(), aLink); err != nil {
			t.Fatal(err)
		}
		if len(p.asked) != 3 {
			t.Fatalf("asked %d times", len(p.asked))
		}
		q := p.asked[0]
		if q.Language != "cy" || q.Service != "id.example" || q.Application != "Records" || q.Code != "4711" || q.Holder != "Dr Asha Smith" || q.Wrong != "" || q.TriesLeft != 3 {
			t.Errorf("asked %+v", q)
		}
		if !slices.Equal(slices.Compact(slices.Sorted(slices.Values(q.Notices))), []string{"The certificate ends.", "The program ends."}) {
			t.Errorf("notices %q", q.Notices)
		}
		for i, left := range []int{2, 1} {
			if q := p.asked[i+1]; q.Wrong != "words of pin_wrong" || q.TriesLeft != left {
				t.Errorf("asked again %+v", q)
			}
		}
		if got, want := s.states(), []doing{cardIn, pinPrompt, pinWrong, signing}; !slices.Equal(got, want) {
			t.Errorf("it heard %v: what was wrong has to stay on the page", got)
		}
	})
	t.Run("own rule: who agrees without a passcode is told that it is missing, costs no try and is asked again", func(t *testing.T) {
		s, p := newService(), types("", "123456")
		c := newCard(t, "Dr Asha Smith")
		s.comes(t)
		if err := s.agent(cardsOf(c), p).SignIn(t.Context(), aLink); err != nil {
			t.Fatal(err)
		}
		if len(p.asked) != 2 || p.asked[1].Wrong != "words of pin_missing" || p.asked[1].TriesLeft != 3 {
			t.Errorf("asked %+v", p.asked)
		}
		if got, want := s.states(), []doing{cardIn, pinPrompt, pinMissing, signing}; !slices.Equal(got, want) {
			t.Errorf("it heard %v", got)
		}
	})
	t.Run("desk-auth/1: a card that cannot sign in is refused in words, and costs no try", func(t *testing.T) {
		s, p := newService(), types("123456")
		s.reports = func(_ *http.Request, r report) *http.Response {
			if r.X5C != nil {
				return refuses("CRD-07", "Peidiodd cardiau")
			}
			return nil
		}
		err := s.agent(cardsOf(newCard(t, "Asha")), p).SignIn(t.Context(), aLink)
		why, _ := errors.AsType[Ended](err)
		if r, ok := errors.AsType[Refused](err); !ok || r.Code != "CRD-07" || why.Words != "Peidiodd cardiau" || why.Language != "cy" {
			t.Errorf("SignIn() = %v, %+v", err, why)
		}
		if len(p.asked) != 0 || !slices.Equal(s.states(), []doing{cardIn}) {
			t.Errorf("asked %d times, and the service heard %v", len(p.asked), s.states())
		}
	})
	t.Run("own rule: a card that the service could not judge is told of in its words, once", func(t *testing.T) {
		s := newService()
		s.reports = func(*http.Request, report) *http.Response {
			return answer(http.StatusServiceUnavailable, map[string]string{"code": "SYS-01", "detail": "We cannot sign you in now."})
		}
		err := s.agent(cardsOf(newCard(t, "Asha")), types()).SignIn(t.Context(), aLink)
		if wordsOf(err) != "We cannot sign you in now." || s.count() != 1 {
			t.Errorf("SignIn() = %v after %d reports", err, s.count())
		}
	})
	for name, tt := range map[string]struct {
		redeems func(*http.Request) *http.Response
		want    error
		words   string
	}{
		"a link that was used":       {func(*http.Request) *http.Response { return answer(http.StatusGone, nil) }, ErrGone, prompt.In("en").Gone},
		"nobody there":               {func(*http.Request) *http.Response { return nobody }, ErrUnreachable, prompt.In("en").Unreachable},
		"an agent that is too old":   {func(*http.Request) *http.Response { return refuses("AGT-03", "Mae angen diweddariad.") }, Refused{"AGT-03", "Mae angen diweddariad.", "cy"}, "Mae angen diweddariad."},
		"a page that says nothing":   {func(*http.Request) *http.Response { return answer(http.StatusNotFound, nil) }, nil, prompt.In("en").Failed},
		"a question without members": {func(*http.Request) *http.Response { return answer(http.StatusOK, 1) }, nil, prompt.In("en").Failed},
	} {
		t.Run("own rule: the person is told why nothing begins: "+name, func(t *testing.T) {
			s := newService()
			s.redeems = tt.redeems
			err := s.agent(cardsOf(newCard(t, "Asha")), types("123456")).SignIn(t.Context(), aLink)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || wordsOf(err) != tt.words || s.count() != 0 {
				t.Errorf("SignIn() = %v, %q", err, wordsOf(err))
			}
		})
	}
	t.Run("own rule: card readers that cannot be used end the sign-in in words of our own", func(t *testing.T) {
		s := newService()
		s.question.Language = "cy"
		err := s.agent(cardsOf(card.ErrNoReaders), types()).SignIn(t.Context(), aLink)
		if wordsOf(err) != prompt.In("cy").NoReaders || !slices.Equal(s.states(), []doing{agentStopped}) {
			t.Errorf("SignIn() = %v; it heard %v", err, s.states())
		}
	})
	for name, tt := range map[string]struct {
		person *person
		states []doing
		words  string
		want   error
	}{
		"who turns away":         {types(), []doing{cardIn, pinPrompt, cancelled}, "", prompt.ErrCancelled},
		"a card that was locked": {types("1", "2", "3"), []doing{cardIn, pinPrompt, pinWrong, pinBlocked}, "words of pin_blocked", card.ErrBlocked},
		"who is away": {&person{ask: func(ctx context.Context, _ int) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }},
			[]doing{cardIn, pinPrompt, timedOut}, "words of timeout", ErrTimeout},
		"a window that had its own end": {&person{ask: func(context.Context, int) ([]byte, error) { return nil, context.DeadlineExceeded }},
			[]doing{cardIn, pinPrompt, timedOut}, "words of timeout", ErrTimeout},
		"a window that cannot be opened": {&person{ask: func(context.Context, int) ([]byte, error) { return nil, errors.New("no window") }},
			[]doing{cardIn, pinPrompt, agentStopped}, prompt.In("en").Failed, nil},
	} {
		t.Run("desk-auth/1: the page is told how it ended, and the person where they do not know: "+name, func(t *testing.T) {
			s := newService()
			a := s.agent(cardsOf(newCard(t, "Asha")), tt.person)
			a.PINTimer = time.Second
			err := a.SignIn(t.Context(), aLink)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || wordsOf(err) != tt.words || !slices.Equal(s.states(), tt.states) {
				t.Errorf("SignIn() = %v, %q; it heard %v", err, wordsOf(err), s.states())
			}
		})
	}
	t.Run("own rule: the time for card and passcode is the shorter of the service's and this computer's", func(t *testing.T) {
		for _, tt := range []struct {
			ours     time.Duration
			theirs   int64
			lives    int64
			wantLeft time.Duration
		}{{0, 300, 330, 5 * time.Minute}, {2 * time.Minute, 300, 330, 2 * time.Minute}, {5 * time.Minute, 60, 330, time.Minute}, {0, 300, 40, 40 * time.Second}, {0, 300, -5, time.Second}} {
			if got := (Agent{PINTimer: tt.ours}).timeLeft(challenge.Question{PINTimer: tt.theirs, Now: 1000, Expires: 1000 + tt.lives}); got != tt.wantLeft {
				t.Errorf("%+v: %v", tt, got)
			}
		}
	})
	t.Run("own rule: a card that cannot sign this question is waited for to be changed for another", func(t *testing.T) {
		s, p, other := newService(), types("123456"), newCard(t, "Ben")
		s.comes(t)
		c := newCard(t, "Asha")
		odd, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		certificate := *c.about.Certificate
		certificate.PublicKey = odd.Public()
		c.about.Certificate = &certificate
		cards := cardsOf(c)
		s.reports = func(_ *http.Request, r report) *http.Response {
			if r.State == cardOther {
				cards.steps <- card.ForCard
				cards.steps <- other
				close(c.gone)
			}
			return nil
		}
		if err := s.agent(cards, p).SignIn(t.Context(), aLink); err != nil {
			t.Fatal(err)
		}
		if got, want := s.states(), []doing{cardIn, cardOther, "wait_card", cardIn, pinPrompt, signing}; !slices.Equal(got, want) || p.asked[0].Holder != "Ben" {
			t.Errorf("it heard %v", got)
		}
	})
	t.Run("own rule: a card that another program has is asked again with the same passcode", func(t *testing.T) {
		s, p, c := newService(), types("123456"), newCard(t, "Asha")
		s.comes(t)
		busy := 2
		c.uses = func() error {
			if busy--; busy >= 0 {
				return card.ErrBusy
			}
			return nil
		}
		if err := s.agent(cardsOf(c), p).SignIn(t.Context(), aLink); err != nil || len(p.asked) != 1 {
			t.Fatalf("SignIn() = %v, asked %d times", err, len(p.asked))
		}
		if got, want := s.states(), []doing{cardIn, pinPrompt, cardBusy, signing}; !slices.Equal(got, want) {
			t.Errorf("it heard %v", got)
		}
	})
	t.Run("own rule: nothing is signed when the service does not hear of it any more", func(t *testing.T) {
		s := newService()
		s.reports = func(_ *http.Request, r report) *http.Response {
			if r.State == signing {
				return answer(http.StatusUnauthorized, nil)
			}
			return nil
		}
		err := s.agent(cardsOf(newCard(t, "Asha")), types("123456")).SignIn(t.Context(), aLink)
		if !errors.Is(err, ErrOver) || wordsOf(err) != prompt.In("en").Over || len(s.signed) != 0 {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("own rule: two cards of one person are told apart by their readers", func(t *testing.T) {
		about := func(holder, reader string) card.About {
			a := newCard(t, holder).about
			a.Reader = reader
			return a
		}
		if got := holders([]card.About{about("Asha", "One"), about("Ben", "Two"), about("Asha", "Three")}); !slices.Equal(got, []string{"Asha (One)", "Ben", "Asha (Three)"}) {
			t.Errorf("holders() = %q", got)
		}
	})
}

// TestOracle has a service, or who passes for it, ask for signatures on what is
// no sign-in here.
func TestOracle(t *testing.T) {
	for name, change := range map[string]func(q *challenge.Question){
		"another issuer":                       func(q *challenge.Question) { q.Issuer = "https://evil.example" },
		"an issuer spelt otherwise":            func(q *challenge.Question) { q.Issuer += "/" },
		"another origin":                       func(q *challenge.Question) { q.Origin = "https://evil.example" },
		"another place to go to":               func(q *challenge.Question) { q.DoneURL = "https://evil.example/desk/v1/done" },
		"another purpose":                      func(q *challenge.Question) { q.Act = "prescribe" },
		"a change of what is on the card":      func(q *challenge.Question) { q.Act = challenge.Manage },
		"a hash for a nonce":                   func(q *challenge.Question) { q.ServerNonce = strings.Repeat("0f", 32) },
		"bytes for a nonce":                    func(q *challenge.Question) { q.ServerNonce = "MIIB..." },
		"a nonce that ends the message":        func(q *challenge.Question) { q.ServerNonce = digestOf('s') + `","act":"cms` },
		"no browser":                           func(q *challenge.Question) { q.Browser = "" },
		"a document for its application":       func(q *challenge.Question) { q.ClientID = strings.Repeat("x", 20<<10) },
		"lines for its application":            func(q *challenge.Question) { q.ClientID = "a\nb" },
		"no name of a question":                func(q *challenge.Question) { q.Transaction = "" },
		"an end before its beginning":          func(q *challenge.Question) { q.Expires = q.Now - 1 },
		"an algorithm that its card is not of": func(q *challenge.Question) { q.Algs = []challenge.Alg{"none", challenge.PS256} },
	} {
		t.Run("X9: nothing is signed for "+name, func(t *testing.T) {
			s, p := newService(), types("123456", "123456")
			change(&s.question)
			a := s.agent(cardsOf(newCard(t, "Asha")), p)
			a.PINTimer = time.Second
			if err := a.SignIn(t.Context(), aLink); err == nil || len(s.signed) != 0 || len(p.asked) != 0 {
				t.Errorf("SignIn() = %v, signed %d, asked %d times", err, len(s.signed), len(p.asked))
			}
		})
	}
	t.Run("X9: what is signed is made here of the question's members, and is nothing that another could want", func(t *testing.T) {
		s, c := newService(), newCard(t, "Asha")
		s.comes(t)
		s.question.ClientName = "Records\n\nType your passcode at evil.example"
		p := types("123456")
		if err := s.agent(cardsOf(c), p).SignIn(t.Context(), aLink); err != nil {
			t.Fatal(err)
		}
		if p.asked[0].Application != "" {
			t.Errorf("the window says %q", p.asked[0].Application)
		}
		want := s.question.Payload()
		got := s.signed[0]
		if got.ClientNonce == "" || got.ClientNonce == got.ServerNonce || got.AgentKey == "" {
			t.Errorf("it signed %+v: what the service chooses alone could be anything", got)
		}
		want.ClientNonce, want.AgentKey, want.Agent, want.Reader, want.PIN, want.Card = got.ClientNonce, got.AgentKey, got.Agent, got.Reader, got.PIN, got.Card
		if got != want {
			t.Errorf("it signed %+v, want %+v", got, want)
		}
	})
}

func TestCardTakenOut(t *testing.T) {
	for name, when := range map[string]struct {
		takes  func(c *aCard, p *person)
		states []doing
	}{
		"while its passcode is typed": {func(c *aCard, p *person) {
			typed := p.ask
			p.ask = func(ctx context.Context, n int) ([]byte, error) {
				if n == 0 {
					close(c.gone)
					<-ctx.Done()
					return []byte("123456"), nil // typed to the end all the same
				}
				return typed(ctx, n)
			}
		}, []doing{cardIn, pinPrompt, cardRemoved, cardIn, pinPrompt, signing}},
		"while it signs": {func(c *aCard, _ *person) {
			c.lends = func() error { return card.ErrRemoved }
		}, []doing{cardIn, pinPrompt, cardRemoved, cardIn, pinPrompt, signing}},
		"before it is asked": {func(c *aCard, _ *person) {
			close(c.gone)
		}, []doing{cardIn, pinPrompt, cardRemoved, cardIn, pinPrompt, signing}},
	} {
		t.Run("own rule: a card that was taken out "+name+" is put back to carry on", func(t *testing.T) {
			s, p, c, back := newService(), types("123456", "123456"), newCard(t, "Asha"), newCard(t, "Asha")
			s.comes(t)
			when.takes(c, p)
			cards := cardsOf(c, card.ForCard)
			s.reports = func(_ *http.Request, r report) *http.Response {
				if r.State == cardRemoved && len(cards.steps) < 2 {
					cards.steps <- back
				}
				return nil
			}
			if err := s.agent(cards, p).SignIn(t.Context(), aLink); err != nil {
				t.Fatal(err)
			}
			if got := s.states(); !slices.Equal(got, when.states) {
				t.Errorf("it heard %v, want %v", got, when.states)
			}
			if !slices.Contains(p.told, "en: words of card_removed") || slices.ContainsFunc(p.told, func(s string) bool { return strings.Contains(s, "wait_card") }) {
				t.Errorf("the person was told %q", p.told)
			}
		})
	}
	t.Run("own rule: a reader that went with its card is asked for by itself", func(t *testing.T) {
		s, c := newService(), newCard(t, "Asha")
		close(c.gone)
		p := &person{ask: func(ctx context.Context, _ int) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }}
		a := s.agent(cardsOf(c, card.ForReader, card.ForCard), p)
		a.PINTimer = time.Second
		if err := a.SignIn(t.Context(), aLink); !errors.Is(err, ErrTimeout) {
			t.Errorf("SignIn() = %v", err)
		}
		if got, want := s.states(), []doing{cardIn, pinPrompt, cardRemoved, "no_reader", "wait_card", timedOut}; !slices.Equal(got, want) {
			t.Errorf("it heard %v, want %v", got, want)
		}
	})
}
