package totp_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/pquerna/otp/totp"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	room "github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/redis"
)

const (
	holder   = "555000000101"
	email    = "asha.smith@riverside.example"
	password = "seven gulls over the pier"
)

var (
	noon      = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	errOutage = errors.New("the store does not answer")
)

// world is a room with everything around it, and a phone that has the seed.
type world struct {
	t      testing.TB
	room   *room.Room
	config room.Config
	limits *redis.Store
	seed   string // base32

	mu     sync.Mutex
	now    time.Time
	broken bool
	held   map[string]authenticators.Authenticator // by handle
	asked  map[string][]byte
	until  map[string]time.Time
	calls  []string
	judged int // tries that were let through
}

func aWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: noon, held: map[string]authenticators.Authenticator{}, asked: map[string][]byte{}, until: map[string]time.Time{}}
	server := miniredis.RunT(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	w.limits = redis.New(rdb, w.clock)
	w.config = room.Config{
		Service: "Lanyard", People: w, Held: w, Questions: w, Guesses: w, Sealer: aSealer(t), Now: w.clock, Passes: 2, AtOnce: 2,
	}
	w.room = w.open()
	w.enrol()
	return w
}

// open returns another server with the same stores.
func (w *world) open() *room.Room {
	w.t.Helper()
	r, err := room.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// call notes a call of a store.
func (w *world) call(name string) error {
	w.calls = append(w.calls, name)
	if w.broken {
		return errOutage
	}
	return nil
}

func (w *world) ByEmail(_ context.Context, e string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.call("ByEmail"); err != nil {
		return "", err
	}
	switch w.Spelt(e) {
	case email:
		return holder, nil
	case "no.codes@riverside.example":
		return "555000000102", nil
	}
	return "", authenticators.ErrNotHeld
}

func (w *world) Spelt(e string) string { return strings.ToLower(strings.TrimSpace(e)) }

func (w *world) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.call("ByHandle"); err != nil {
		return authenticators.Authenticator{}, err
	}
	a, ok := w.held[handle]
	if !ok || a.Kind != kind {
		return authenticators.Authenticator{}, authenticators.ErrNotHeld
	}
	return a, nil
}

func (w *world) HeldBy(context.Context, string) ([]authenticators.Authenticator, error) {
	return nil, errors.New("not asked by this room")
}

func (w *world) Ask(_ context.Context, name string, question []byte, expires time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.call("Ask"); err != nil {
		return err
	}
	w.asked[name], w.until[name] = question, expires
	return nil
}

func (w *world) Take(_ context.Context, name string, now time.Time) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.call("Take"); err != nil {
		return nil, err
	}
	q, ok := w.asked[name]
	delete(w.asked, name)
	if !ok || !now.Before(w.until[name]) {
		return nil, authenticators.ErrAnswer
	}
	return q, nil
}

func (w *world) Attempt(ctx context.Context, account string) error {
	w.mu.Lock()
	err := w.call("Attempt")
	w.mu.Unlock()
	if err == nil {
		err = w.limits.Attempt(ctx, idp.LimitKey{Account: account, Authenticator: "totp"}, idp.GuessLimit, w.clock())
	}
	if err == nil {
		w.mu.Lock()
		w.judged++
		w.mu.Unlock()
	}
	return err
}

func (w *world) Clear(ctx context.Context, account string) error {
	w.mu.Lock()
	err := w.call("Clear")
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.limits.Clear(ctx, idp.LimitKey{Account: account, Authenticator: "totp"})
}

// sealer is AES-GCM with a key of its own.
type sealer struct{ cipher.AEAD }

func aSealer(t testing.TB) sealer {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{aead}
}

func (s sealer) Seal(plain, about []byte) ([]byte, error) {
	nonce := make([]byte, s.NonceSize())
	_, _ = rand.Read(nonce)
	return s.AEAD.Seal(nonce, nonce, plain, about), nil
}

func (s sealer) Unseal(sealed, about []byte) ([]byte, error) {
	if len(sealed) < s.NonceSize() {
		return nil, errors.New("too short")
	}
	return s.Open(nil, sealed[:s.NonceSize()], sealed[s.NonceSize():], about)
}

func anEnrolment() authenticators.Enrolment {
	return authenticators.Enrolment{
		ID: "act", Browser: digest("browser"), Subject: holder, Email: email, Display: "Dr Asha Smith",
	}
}

func digest(s string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(s, 32)[:32]))
}

// offered is what an enrolment shows.
type offered struct {
	Question, URI, Secret string
	QR                    struct {
		Size int
		Path string
	}
}

func (w *world) beginEnrolment(e authenticators.Enrolment) offered {
	w.t.Helper()
	raw, err := w.room.BeginEnrolment(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(raw)
}

func (w *world) read(raw json.RawMessage) offered {
	w.t.Helper()
	var o offered
	if err := json.Unmarshal(raw, &o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// enrol gives the holder a password and a phone, as the registry would keep
// them, and goes on to a code that was not used.
func (w *world) enrol() {
	w.t.Helper()
	o := w.beginEnrolment(anEnrolment())
	w.seed = strings.ReplaceAll(o.Secret, " ", "")
	a, err := w.room.FinishEnrolment(w.t.Context(), anEnrolment(), answering(o.Question, "", password, w.code(0)))
	if err != nil {
		w.t.Fatal(err)
	}
	a.ID, a.State, a.AddedAt = "k1", authenticators.Active, w.clock()
	w.held[a.Handle] = a
	w.advance(2 * time.Minute)
}

// keep writes what a sign-in or a change left behind.
func (w *world) keep(u *authenticators.Use) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.held[holder]
	a.Mark = u.Mark
	w.held[holder] = a
}

// code is what the phone shows so many steps from now. The phone is another
// implementation than ours.
func (w *world) code(steps int) string {
	w.t.Helper()
	c, err := totp.GenerateCode(w.seed, w.clock().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// wrongCode is one that no step near now has.
func (w *world) wrongCode() string {
	for _, c := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777"} {
		near := false
		for s := -3; s <= 3; s++ {
			near = near || c == w.code(s)
		}
		if !near {
			return c
		}
	}
	return ""
}

func answering(question, email, password, code string) json.RawMessage {
	b, _ := json.Marshal(map[string]string{"question": question, "email": email, "password": password, "code": code})
	return b
}

var aLogin = authenticators.Login{ID: "login", Browser: digest("b"), ClientID: "demo-rp", ClientName: "Demo application"}

func (w *world) begin(r *room.Room) string {
	w.t.Helper()
	raw, err := r.Begin(w.t.Context(), aLogin)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(raw).Question
}

// signIn goes from question to evidence at that server.
func (w *world) signIn(r *room.Room, email, password, code string) (authenticators.Evidence, error) {
	w.t.Helper()
	return r.Finish(w.t.Context(), aLogin, answering(w.begin(r), email, password, code))
}

// seedBytes are those of the phone.
func (w *world) seedBytes() []byte {
	b, err := base32.StdEncoding.DecodeString(w.seed)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}
