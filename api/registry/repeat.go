package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// repeatHeader names a request, so that one that comes again is not done again.
// draft-ietf-httpapi-idempotency-key-header.
const repeatHeader = "Idempotency-Key"

const (
	repeatLife = 12 * time.Hour  // of an answer: shorter than the fence that tells of it when this is lost
	inHandLife = 2 * time.Minute // of a request whose server is gone; longer than any may take

	// maxKept bounds an answer that is kept. Of a longer one it is known only
	// that the change was made.
	maxKept = 64 << 10
)

// Repeats remembers requests that may come again.
type Repeats interface {
	// TakeRepeat takes a name for a request in one atomic step, and returns ""
	// if nobody had it. Otherwise it returns the digest of the request that has
	// it, and what was answered: nothing while that is in hand.
	TakeRepeat(ctx context.Context, name, digest string, now, expires time.Time) (string, []byte, error)

	// KeepRepeat keeps what was answered to the request with that name and
	// digest, and DropRepeat forgets the request.
	KeepRepeat(ctx context.Context, name, digest string, answer []byte, expires time.Time) error
	DropRepeat(ctx context.Context, name, digest string) error
}

// repeat is a request that its caller has named.
type repeat struct{ name, digest string }

// given is an answer that was given. It may hold what is shown once, so it is
// sealed before it is kept.
type given struct {
	Status int    `json:"status"`
	Place  string `json:"place,omitempty"`
	Body   []byte `json:"body"`
}

// once answers a request that its caller has named with what was answered
// before, or has run make the change. Refusals are not kept: what is refused
// has changed nothing, and may be asked for again.
func (a *API) once(c *call, run func() (given, error)) (given, error) {
	rep, err := c.repeat()
	if err != nil || rep == nil {
		return try(run, err)
	}
	ctx := c.r.Context()
	digest, kept, err := a.Repeats.TakeRepeat(ctx, rep.name, rep.digest, a.Now(), a.Now().Add(inHandLife))
	switch {
	case err != nil:
		return given{}, err
	case digest != "" && digest != rep.digest:
		return given{}, api.ErrOtherRequest
	case digest != "" && kept == nil:
		return given{}, api.ErrInHand
	case digest != "":
		// It may hold what is shown once: who has lost the right to ask is not
		// told again.
		if _, err := a.Service.Admit(c.actor); err != nil {
			return given{}, err
		}
		return a.open(*rep, kept)
	}
	c.named = rep
	got, err := run()
	// Who has hung up may come again: the answer is kept for them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err != nil {
		return got, errors.Join(err, a.Repeats.DropRepeat(ctx, rep.name, rep.digest))
	}
	if sealed, failed := a.seal(*rep, got); failed == nil {
		// Should it not be kept, the fence says that the change was made.
		_ = a.Repeats.KeepRepeat(ctx, rep.name, rep.digest, sealed, a.Now().Add(repeatLife))
	}
	return got, nil
}

func try(run func() (given, error), err error) (given, error) {
	if err != nil {
		return given{}, err
	}
	return run()
}

// repeat is what the caller has named the request; nil if they have not, or if
// it changes nothing. Two people, or a person and the operator, may choose the
// same name.
func (c *call) repeat() (*repeat, error) {
	values := c.r.Header.Values(repeatHeader)
	if len(values) == 0 || !c.once() || c.asked.Get("check") == "true" {
		return nil, nil
	}
	key, ok := repeatKey(values[0])
	if len(values) > 1 || !ok {
		return nil, fields{{Name: repeatHeader, Problem: registry.Form}}.err()
	}
	who := fmt.Sprintf("%q %q ", c.actor.Host, c.actor.Person.UID)
	what := fmt.Sprintf("%s %q %q %q ", c.r.Method, c.r.URL.Path, c.r.URL.Query().Encode(), c.r.Header.Get("If-Match"))
	// The name, which is by chance, keeps a number in the text from being guessed
	// by its digest.
	return &repeat{name: idp.Hash(who + key), digest: idp.Hash(what + key + " " + string(c.text))}, nil
}

// repeatKey reads a name: a string of RFC 9651 §3.3.3, or the same without its
// quotation marks.
func repeatKey(text string) (string, bool) {
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return "", false
		}
	}
	return text, text != "" && len(text) <= maxText
}

// once says whether what a route does must not be done again because a request
// comes again.
func (rt route) once() bool {
	return rt.method != http.MethodGet && reflect.TypeOf(rt.answer) == reflect.TypeFor[registry.Done]()
}

// seal and open keep an answer from whoever can read what is kept.
func (a *API) seal(rep repeat, g given) ([]byte, error) {
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	if len(text) > maxKept {
		return nil, errors.New("the answer is too long to be kept")
	}
	return a.Sealer.Seal(text, []byte("repeat "+rep.name+rep.digest))
}

func (a *API) open(rep repeat, sealed []byte) (given, error) {
	var g given
	text, err := a.Sealer.Unseal(sealed, []byte("repeat "+rep.name+rep.digest))
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		return g, fmt.Errorf("open what was answered: %w", err)
	}
	return g, nil
}

// fenced is a keeper of changes that a caller has named. That one was made is
// written in its own transaction, so that it is not made again when what was
// answered is forgotten.
type fenced struct {
	registry.Keeper
	name string
}

// Change implements registry.Keeper.
func (f fenced) Change(ctx context.Context, t registry.Touch, decide func(*registry.Records) (idp.Act, error)) error {
	err := f.Keeper.Change(ctx, t, func(r *registry.Records) (idp.Act, error) {
		act, err := decide(r)
		if err == nil && act.Event.Kind != registry.ChangeNo {
			act.Fences = append(act.Fences, idp.Fence{Kind: idp.RepeatFence, Hash: f.name})
		}
		return act, err
	})
	if used, ok := errors.AsType[idp.Used](err); ok && used.Fence.Kind == idp.RepeatFence {
		return api.ErrDoneBefore
	}
	return err
}

// written is an answer as it is sent.
func (c *call) written(answer any) (given, error) {
	rt := c.route
	g := given{Status: rt.status(c, answer)}
	if done, ok := answer.(registry.Done); ok && g.Status == http.StatusCreated && rt.place != "" {
		g.Place = Root + rt.place + url.PathEscape(done.ID)
	}
	var body bytes.Buffer
	err := json.NewEncoder(&body).Encode(whole(answer))
	g.Body = body.Bytes()
	return g, err
}

// send writes an answer.
func (g given) send(w http.ResponseWriter) {
	if g.Place != "" {
		w.Header().Set("Location", g.Place)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(g.Body)))
	w.WriteHeader(g.Status)
	_, _ = w.Write(g.Body) // who hung up hears nothing
}
