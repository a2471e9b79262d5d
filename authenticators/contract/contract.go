// Package contract is the tests that every room must pass.
//
// A room's own test file opens a Fixture and calls Room. What only that room
// knows (what it signs, whom it trusts) is tested beside the room.
package contract

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Fixture is one fresh room with a person who can sign in, and what a test
// may do to it.
type Fixture struct {
	Room    authenticators.Room
	Subject string        // the uid of the person that Answer signs in
	Life    time.Duration // after so long no answer to a question is accepted

	// Answer answers a question rightly, as the person's own device would.
	Answer func(t *testing.T, question json.RawMessage) json.RawMessage

	// Advance moves the clock of the room and of its store.
	Advance func(d time.Duration)

	// Break makes the room's store unreachable, for good.
	Break func()
}

// Room checks one way of signing in. open returns a fixture of its own for
// each test.
func Room(t *testing.T, open func(t *testing.T) Fixture) {
	for _, tt := range []struct {
		rule string
		test func(t *testing.T, f Fixture)
	}{
		{"own rule: the right answer proves who it is", rightAnswer},
		{"own rule: an answer to another login is refused", otherLogin},
		{"own rule: an answer from another browser is refused", otherBrowser},
		{"own rule: an answer twice is refused", twice},
		{"own rule: of many equal answers one wins", race},
		{"own rule: an expired question is refused", expired},
		{"own rule: what is no answer is refused", garbage},
		{"own rule: an outage is not a refusal", outage},
	} {
		t.Run(tt.rule, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// aLogin returns a login; two with different names have nothing in common but
// the client.
func aLogin(name string) authenticators.Login {
	browser := strings.Repeat(name, 32)[:32]
	return authenticators.Login{
		ID:         "login-" + name,
		Browser:    base64.RawURLEncoding.EncodeToString([]byte(browser)),
		ClientID:   "demo-rp",
		ClientName: "Demo application",
	}
}

func rightAnswer(t *testing.T, f Fixture) {
	login := aLogin("a")
	first, err := f.Room.Finish(t.Context(), login, f.answered(t, login))
	if err != nil {
		t.Fatalf("Finish() = %v, want evidence", err)
	}
	if first.Subject != f.Subject || first.Method == "" || first.At.IsZero() || first.Authenticator == "" {
		t.Errorf("Finish() = %+v, want all of it, for %s", first, f.Subject)
	}
	if first.Level < authenticators.AAL1 || first.Level > authenticators.AAL3 {
		t.Errorf("level %d, want 1 to 3", first.Level)
	}
	second, err := f.Room.Finish(t.Context(), login, f.answered(t, login))
	if err != nil {
		t.Fatalf("Finish() of a second question = %v", err)
	}
	if b, err := base64.RawURLEncoding.DecodeString(first.Once); err != nil || len(b) != 32 || first.Once == second.Once {
		t.Errorf("Once is %q and then %q, want 32 bytes in base64url, and others each time", first.Once, second.Once)
	}
}

func otherLogin(t *testing.T, f Fixture) {
	login, other := aLogin("a"), aLogin("a")
	other.ID = "login-b"
	f.wrongThenRight(t, login, other)
}

func otherBrowser(t *testing.T, f Fixture) {
	login, other := aLogin("a"), aLogin("a")
	other.Browser = aLogin("b").Browser
	f.wrongThenRight(t, login, other)
}

// wrongThenRight answers for another login, and then for the right one: the
// first try has used the question up.
func (f Fixture) wrongThenRight(t *testing.T, login, other authenticators.Login) {
	t.Helper()
	answer := f.answered(t, login)
	_, err := f.Room.Finish(t.Context(), other, answer)
	refused(t, err, answer)
	_, err = f.Room.Finish(t.Context(), login, answer)
	refused(t, err, answer)
}

func twice(t *testing.T, f Fixture) {
	login := aLogin("a")
	answer := f.answered(t, login)
	if _, err := f.Room.Finish(t.Context(), login, answer); err != nil {
		t.Fatalf("Finish() = %v, want evidence", err)
	}
	_, err := f.Room.Finish(t.Context(), login, answer)
	refused(t, err, answer)
}

func race(t *testing.T, f Fixture) {
	login := aLogin("a")
	answer := f.answered(t, login)
	var wg sync.WaitGroup
	won := make(chan struct{}, 50)
	for range cap(won) {
		wg.Go(func() {
			_, err := f.Room.Finish(t.Context(), login, answer)
			if err == nil {
				won <- struct{}{}
				return
			}
			refused(t, err, answer)
		})
	}
	wg.Wait()
	if n := len(won); n != 1 {
		t.Errorf("%d answers won, want 1", n)
	}
}

func expired(t *testing.T, f Fixture) {
	login := aLogin("a")
	answer := f.answered(t, login)
	f.Advance(f.Life + time.Second)
	_, err := f.Room.Finish(t.Context(), login, answer)
	refused(t, err, answer)
}

func garbage(t *testing.T, f Fixture) {
	for _, answer := range []string{
		"", "null", "{}", "[]", `"an answer of text"`, "{", `{"id":{"id":"nothing-known"}}`, "not-an-answer-at-all",
		`{"tx":12345678,"completion":12345678}`, strings.Repeat("[", 20_000),
	} {
		_, err := f.Room.Finish(t.Context(), aLogin("a"), json.RawMessage(answer))
		refused(t, err, json.RawMessage(answer))
	}
}

func outage(t *testing.T, f Fixture) {
	login := aLogin("a")
	answer := f.answered(t, login)
	f.Break()
	_, err := f.Room.Finish(t.Context(), login, answer)
	failed(t, err, answer)
	_, err = f.Room.Begin(t.Context(), login)
	failed(t, err, answer)
}

// answered begins for login and returns the right answer.
func (f Fixture) answered(t *testing.T, login authenticators.Login) json.RawMessage {
	t.Helper()
	question, err := f.Room.Begin(t.Context(), login)
	if err != nil {
		t.Fatalf("Begin() = %v, want a question", err)
	}
	if !json.Valid(question) {
		t.Fatal("Begin() returned no JSON")
	}
	return f.Answer(t, question)
}

// refused checks that err is a refusal and quiet about the answer.
func refused(t *testing.T, err error, answer json.RawMessage) {
	t.Helper()
	if !errors.Is(err, authenticators.ErrRefused) {
		t.Errorf("Finish() = %v, want ErrRefused", err)
	}
	quiet(t, err, answer)
}

// failed checks that err is an outage and quiet about the answer.
func failed(t *testing.T, err error, answer json.RawMessage) {
	t.Helper()
	if err == nil || errors.Is(err, authenticators.ErrRefused) {
		t.Errorf("error %v, want one that is not ErrRefused", err)
	}
	quiet(t, err, answer)
}

// quiet checks the rule "no error text contains the answer": neither the whole
// nor any text in it that is long enough to be told from a word.
func quiet(t *testing.T, err error, answer json.RawMessage) {
	t.Helper()
	if err == nil {
		return
	}
	parts := []string{string(answer)}
	var v any
	if json.Unmarshal(answer, &v) == nil {
		parts = append(parts, texts(v)...)
	}
	for _, part := range parts {
		if len(part) >= 8 && strings.Contains(err.Error(), part) {
			t.Error("the error text contains a part of the answer")
		}
	}
}

// texts returns every text in a decoded JSON value.
func texts(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		all = append(all, v)
	case []any:
		for _, e := range v {
			all = append(all, texts(e)...)
		}
	case map[string]any:
		for _, e := range v {
			all = append(all, texts(e)...)
		}
	}
	return all
}
