package totp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Begin opens a question and returns {question}. It needs the login's ID and
// the hash of its browser's secret, to which the answer is bound.
func (r *Room) Begin(ctx context.Context, login authenticators.Login) (json.RawMessage, error) {
	if login.ID == "" || login.Browser == "" {
		return nil, errors.New("begin: the login has no ID or no browser")
	}
	name, err := r.ask(ctx, asked{For: signIn, ID: login.ID, Browser: login.Browser}, r.now().Add(questionLife))
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"question": name})
}

// answer is what the browser brings back.
type answer struct {
	Question string `json:"question"`
	Email    string `json:"email"` // of signing in alone
	Password string `json:"password"`
	Code     string `json:"code"`
}

// readAnswer reads what came. What cannot be read is ErrAnswer: the decoder's
// text would repeat it.
func readAnswer(raw json.RawMessage) (answer, error) {
	var a answer
	if len(raw) > maxAnswer || json.Unmarshal(raw, &a) != nil {
		return answer{}, authenticators.ErrAnswer
	}
	return a, nil
}

// Finish takes {question, email, password, code} and returns who it is, or
// ErrWrong. Only who has all three right is told that theirs is suspended.
func (r *Room) Finish(ctx context.Context, login authenticators.Login, raw json.RawMessage) (authenticators.Evidence, error) {
	now := r.now()
	a, err := readAnswer(raw)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	if _, err := r.take(ctx, a.Question, signIn, login.ID, login.Browser, now); err != nil {
		return authenticators.Evidence{}, err
	}

	uid, err := r.people.ByEmail(ctx, a.Email)
	if errors.Is(err, authenticators.ErrNotHeld) {
		uid = stranger(r.people.Spelt(a.Email))
	} else if err != nil {
		return authenticators.Evidence{}, fmt.Errorf("find person by e-mail: %w", err)
	}
	h, err := r.holding(ctx, uid)
	if err != nil {
		return authenticators.Evidence{}, err
	}

	done, err := r.hashes.turn(ctx)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	defer done()
	step, err := r.judge(ctx, h, guess{password: &a.Password, code: a.Code, at: now})
	if err != nil {
		return authenticators.Evidence{}, err
	}
	return authenticators.Evidence{
		Subject: h.Subject, Method: authenticators.TOTP, Level: min(h.Level, authenticators.AAL2), At: now,
		Authenticator: h.Called(), Once: once(h.Subject, step), Use: &authenticators.Use{ID: h.ID, Mark: marked(step), Was: h.Mark},
	}, nil
}

// stranger is the account of an e-mail that is nobody's. Tries at it count
// like those at a person's, or the count would tell them apart.
func stranger(email string) string {
	sum := sha256.Sum256([]byte("nobody " + email))
	return "nobody:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// holding is what is judged: a person's authenticator, opened.
type holding struct {
	authenticators.Authenticator
	account string // whose tries are counted
	nobody  bool   // it is the decoy
	record  record
	hash    phc
	seed    []byte
	last    int64 // the last step accepted; 0: none
}

// holding finds what the person with that uid holds, and the decoy where that
// is nothing. It opens both alike.
func (r *Room) holding(ctx context.Context, uid string) (holding, error) {
	h := holding{account: uid}
	var err error
	h.Authenticator, err = r.held.ByHandle(ctx, authenticators.CodeKind, uid)
	if errors.Is(err, authenticators.ErrNotHeld) {
		h.Authenticator, h.nobody = r.decoy, true
	} else if err != nil {
		return holding{}, fmt.Errorf("find password and codes: %w", err)
	}

	if err := json.Unmarshal(h.Record, &h.record); err != nil {
		return holding{}, fmt.Errorf("read record of %s: %w", h.Called(), err)
	}
	if h.hash, err = parse(h.record.Hash); err != nil {
		return holding{}, fmt.Errorf("read record of %s: %w", h.Called(), err)
	}
	if h.seed, err = r.sealer.Unseal(h.record.Seed, sealedFor(h.Subject)); err != nil {
		return holding{}, fmt.Errorf("open seed of %s: %w", h.Called(), err)
	}
	if len(h.Mark) > 0 {
		var m mark
		if err := json.Unmarshal(h.Mark, &m); err != nil {
			return holding{}, fmt.Errorf("read mark of %s: %w", h.Called(), err)
		}
		h.last = m.Step
	}
	return h, nil
}

// guess is what somebody says theirs is.
type guess struct {
	password *string // nil where the caller has proof in its place
	code     string
	at       time.Time // when it came: who waits for their turn loses nothing
}

// judge counts a try and then judges all of it, whatever is wrong. It returns
// the step that was accepted. The caller has its turn to hash.
func (r *Room) judge(ctx context.Context, h holding, g guess) (int64, error) {
	if err := r.guesses.Attempt(ctx, h.account); err != nil {
		return 0, err
	}
	knows := g.password == nil || r.hashes.matches(h.hash, *g.password)
	step, has := matchCode(h.seed, g.code, g.at, h.last)
	if h.nobody || !knows || !has {
		return 0, ErrWrong
	}
	if err := r.guesses.Clear(ctx, h.account); err != nil {
		return 0, err
	}
	if h.State != authenticators.Active {
		return 0, authenticators.ErrSuspended
	}
	return step, nil
}

// once is true of one use of one step. The fence that is raised on it holds
// on all servers, whatever each of them has heard of the last use.
func once(uid string, step int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "totp %s %d", uid, step))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func marked(step int64) json.RawMessage {
	return fmt.Appendf(nil, `{"step":%d}`, step)
}
