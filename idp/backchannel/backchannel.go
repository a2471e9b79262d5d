// Package backchannel tells applications, from server to server, that sessions
// have ended. OIDC Back-Channel Logout.
//
// What is to be told waits in a queue of the registry, and any server carries
// it. Each application is served by one worker at a time, so one that is slow or
// broken costs nobody else anything. Nothing is lost: a logout is told, or
// refused by its application, or given up after some tries, and each of these
// is written down. It may be told twice, to an application whose answer was
// lost. What becomes of a logout is judged in package idp; whose addresses may
// be reached, by the HTTP client that is given to this package.
package backchannel

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	// workers is how many applications are served at once, by one server.
	workers = 64

	// atOnce is how many logouts of one application are taken at once, and batch
	// how long they may take together. What is left then goes back.
	atOnce = 32
	batch  = 5 * time.Second

	// patience is how long an application may take to answer.
	patience = 5 * time.Second

	// lease is how long a logout is one server's own: longer than a batch and the
	// last try of it together.
	lease = batch + patience + 5*time.Second

	// most is the longest pause after a queue that does not answer.
	most = 10 * time.Second
)

// Signer makes what an application is told.
type Signer interface {
	LogoutToken(c idp.Client, l idp.Logout) (string, error)
}

// Teller carries logouts. All of it must be there.
type Teller struct {
	Queue   idp.Logouts
	Clients idp.Clients
	Signer  Signer
	HTTP    Doer
	Count   func(result string, after time.Duration) // after the session's end was taken up first
	Pause   time.Duration                            // between two looks into the queue
	Now     func() time.Time
	Log     *slog.Logger

	mu   sync.Mutex
	busy map[string]struct{} // the applications that are served now
}

// Run carries logouts until ctx is done, and then brings to an end what is in
// hand.
func (t *Teller) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	free := make(chan struct{}, 1) // somebody has become free
	pause, silent := t.Pause, false
	for {
		more, err := t.serve(ctx, &serving, free)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = min(max(2*pause, t.Pause), most)
			if !silent {
				t.Log.WarnContext(ctx, "logouts wait", "error", err.Error())
			}
		case more:
			pause = 0
		default:
			pause = t.Pause
		}
		silent = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-free:
		case <-time.After(pause):
		}
	}
}

// serve takes what is due and lets workers serve it, and says whether more may
// be due.
func (t *Teller) serve(ctx context.Context, serving *sync.WaitGroup, free chan<- struct{}) (more bool, err error) {
	but := t.served()
	if len(but) >= workers {
		return false, nil
	}
	now := t.Now()
	taken, err := t.Queue.TakeLogouts(ctx, idp.LogoutTaking{Now: now, Until: now.Add(lease).Truncate(time.Microsecond),
		Clients: workers - len(but), Each: atOnce, But: but})
	if err != nil {
		return false, err
	}
	of := map[string][]idp.Logout{}
	for _, l := range taken {
		of[l.Client] = append(of[l.Client], l)
	}
	for client, logouts := range of {
		t.begin(client)
		serving.Go(func() {
			t.client(ctx, client, logouts)
			select {
			case free <- struct{}{}:
			default: // it is known already
			}
		})
	}
	return len(of) > 0, nil
}

func (t *Teller) served() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	busy := make([]string, 0, len(t.busy))
	for client := range t.busy {
		busy = append(busy, client)
	}
	return busy
}

func (t *Teller) begin(client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy = map[string]struct{}{}
	}
	t.busy[client] = struct{}{}
}

func (t *Teller) end(client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, client)
}

// client tells one application, one logout after the other. Where it does not
// answer, or the time is over, or the server leaves, the others go back untried.
func (t *Teller) client(ctx context.Context, id string, logouts []idp.Logout) {
	defer t.end(id)
	defer func() {
		if p := recover(); p != nil { // people who are signing in must not be cut off
			t.Log.ErrorContext(ctx, "telling an application failed", "client", id, "panic", p)
		}
	}()
	inTime, cancel := context.WithTimeout(ctx, batch)
	defer cancel()
	for i, l := range logouts {
		if inTime.Err() != nil {
			t.putBack(ctx, logouts[i:])
			return
		}
		if answers := t.one(ctx, id, l); !answers {
			t.putBack(ctx, logouts[i+1:])
			return
		}
	}
}

// putBack lets logouts be taken again that were not tried: soon, and not at
// once, so that others of the queue come first.
func (t *Teller) putBack(ctx context.Context, logouts []idp.Logout) {
	next := t.Now().Add(patience)
	for _, l := range logouts {
		l.Tries--
		ctx, cancel := settling(ctx)
		err := t.Queue.PutBackLogout(ctx, l, next)
		cancel()
		t.note(ctx, err)
	}
}

// one tells an application of one logout, and says whether it answers.
func (t *Teller) one(ctx context.Context, id string, l idp.Logout) (answers bool) {
	trying, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // what has begun comes to its end
	defer cancel()
	c, err := t.Clients.Client(trying, id)
	switch {
	case errors.Is(err, idp.ErrClientUnknown), err == nil && c.BackchannelLogoutURI == "":
		t.settle(ctx, l, idp.LogoutGone, "")
		return true
	case err != nil:
		t.settle(ctx, l, idp.LogoutAgain, "unknown")
		return true
	}
	token, err := t.Signer.LogoutToken(c, l)
	if err != nil {
		t.Log.ErrorContext(ctx, "a logout token cannot be signed", "client", id, "error", err.Error())
		t.settle(ctx, l, idp.LogoutAgain, "unsigned")
		return true
	}
	said, why := post(trying, t.HTTP, c.BackchannelLogoutURI, token)
	result := judge(said)
	if result != idp.LogoutTold {
		t.Log.WarnContext(ctx, "an application was not told that a session ended", "client", id, "sid", l.SID, "try", l.Tries, "said", said, "error", why)
	}
	t.settle(ctx, l, result, said)
	return why == ""
}

// settle writes down what came of a try.
func (t *Teller) settle(ctx context.Context, l idp.Logout, result, said string) {
	now := t.Now()
	l.Said, l.SaidAt = said, now
	ctx, cancel := settling(ctx)
	defer cancel()
	next, ever := l.NextTry(now, rand.Float64()) //nolint:gosec // nobody gains by knowing when
	if result == idp.LogoutAgain && ever {
		t.note(ctx, t.Queue.PutBackLogout(ctx, l, next))
		t.Count(result, now.Sub(l.At))
		return
	}
	if result == idp.LogoutAgain {
		result = idp.LogoutGivenUp
	}
	l.Result = result
	err := t.Queue.EndLogout(ctx, l)
	if err == nil {
		t.Count(result, now.Sub(l.At))
	}
	t.note(ctx, err)
}

// note tells operators of a queue that does not answer. A logout that is
// another's by now was dealt with there.
func (t *Teller) note(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		t.Log.WarnContext(ctx, "what came of a logout was not written down", "error", err.Error())
	}
}

// settling bounds what is written down, and lets it be written even when the
// server is leaving: what was told must not be told again.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
