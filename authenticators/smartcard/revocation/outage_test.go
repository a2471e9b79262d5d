package revocation_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// failures are sources that do not do their work.
var failures = map[string]http.HandlerFunc{
	"is frozen": frozen,
	"is frozen in the middle": func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte{0x30, 0x82, 0x0F})
		w.(http.Flusher).Flush()
		frozen(w, r)
	},
	"is not there": nil,
	"has a fault":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
}

func TestOutage(t *testing.T) {
	for what, fails := range failures {
		t.Run("X8: when OCSP "+what+", the list says", func(t *testing.T) {
			t.Parallel()
			w := aWorld(t, byOCSP|byList)
			w.serve(fails, says(w.aRoll().der(t)))
			inTime(t, func() { w.wants(t, good) })
			r := w.aRoll()
			r.list(w.leaf.SerialNumber)
			w.serve(fails, says(r.der(t)))
			w.restart(nil)
			inTime(t, func() { w.wants(t, revoked) })
		})
		t.Run("F21: when every source "+what+", nothing is said", func(t *testing.T) {
			t.Parallel()
			w := aWorld(t, byOCSP|byList)
			w.serve(fails, fails)
			inTime(t, func() { w.wants(t, unavailable) })
		})
		t.Run("X8: when every source "+what+", the last answer stands until the next was due", func(t *testing.T) {
			t.Parallel()
			w := aWorld(t, byOCSP|byList)
			r := w.aReply()
			r.next = noon.Add(30 * time.Minute)
			w.serve(says(r.der(t)), nil)
			w.wants(t, good)
			w.serve(fails, fails)
			w.advance(30*time.Minute - time.Second)
			inTime(t, func() { w.wants(t, good) })
			w.advance(time.Second)
			inTime(t, func() { w.wants(t, unavailable) })
		})
	}
}

func TestSources(t *testing.T) {
	w := aWorld(t, byOCSP|byList)
	r := w.aReply()
	w.serve(says(r.der(t)), frozen)
	t.Run("X8: where OCSP says, the list is not asked", func(t *testing.T) {
		w.wants(t, good)
		if n := w.asked.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("X8: that OCSP does not know it is final", func(t *testing.T) {
		r.status = 2
		w.serve(says(r.der(t)), says(w.aRoll().der(t)))
		w.restart(nil)
		w.wants(t, unknown)
	})
	t.Run("X8: a certificate that names no source", func(t *testing.T) {
		w.leaf = w.card(0x0101, 0)
		w.wants(t, unavailable)
	})
	t.Run("X8: addresses that are not asked", func(t *testing.T) {
		w.leaf = w.card(0x0101, 0)
		before := w.asked.Load()
		w.leaf.OCSPServer = []string{"ldap://ldap.example/ocsp", "file:///etc/passwd", "http://", "http://user:secret@" + w.url[len("http://"):] + "/ocsp", ":", "/ocsp"}
		w.wants(t, unavailable)
		if n := w.asked.Load(); n != before {
			t.Errorf("%d requests", n-before)
		}
	})
	t.Run("F21: a responder that sends us elsewhere", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		reply := says(w.aReply().der(t))
		w.serve(func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, w.url+"/crl", http.StatusTemporaryRedirect)
		}, reply)
		w.wants(t, unavailable)
		if n := w.asked.Load(); n != 1 {
			t.Errorf("%d requests: the redirect was followed", n)
		}
	})
	t.Run("F21: an answer that comes with a fault, or with a way elsewhere, is none", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		for _, status := range []int{http.StatusInternalServerError, http.StatusNotFound, http.StatusFound, http.StatusAccepted} {
			w.serve(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "/crl")
				rw.WriteHeader(status)
				_, _ = rw.Write(w.aReply().der(w.t))
			}, nil)
			w.wants(t, unavailable)
		}
	})
	t.Run("own rule: no question without random bytes", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		w.serve(says(w.aReply().der(t)), nil)
		w.restart(func(c *revocation.Config) { c.Rand = iotest.ErrReader(errors.New("dry")) })
		w.wants(t, unavailable)
	})
}

func TestMemory(t *testing.T) {
	t.Run("X8: one card shown twice is asked about once, and again after a minute", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		w.serve(says(w.aReply().der(t)), nil)
		for _, step := range []struct {
			after time.Duration
			asked int32
		}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}} {
			w.advance(step.after)
			if w.wants(t, good); w.asked.Load() != step.asked {
				t.Errorf("after %v: %d requests, want %d", step.after, w.asked.Load(), step.asked)
			}
		}
	})
	t.Run("X8: an answer stands in for an hour at most", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		r := w.aReply()
		r.next = noon.Add(100 * time.Hour)
		w.serve(says(r.der(t)), nil)
		w.wants(t, good)
		w.serve(nil, nil)
		w.advance(time.Hour - time.Second)
		w.wants(t, good)
		w.advance(time.Second)
		w.wants(t, unavailable)
	})
	t.Run("X8: what was revoked stays so through any outage", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		r := w.aReply()
		r.status = 1
		w.serve(says(r.der(t)), nil)
		w.wants(t, revoked)
		w.serve(nil, nil)
		w.advance(1000 * time.Hour)
		w.wants(t, revoked)
	})
	t.Run("X7: what was said before a revocation does not undo it, what is said after does", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		before := w.aReply()
		before.next = noon.Add(100 * time.Hour)
		now := w.aReply()
		now.status, now.this, now.next = 1, noon, noon.Add(time.Hour)
		same := w.aReply()
		same.this, same.next = noon, noon.Add(time.Hour)
		after := w.aReply()
		after.this, after.next = noon.Add(time.Second), noon.Add(time.Hour)
		for _, step := range []struct {
			reply *reply
			want  revocation.Status
		}{{before, good}, {now, revoked}, {before, revoked}, {same, revoked}, {after, good}} {
			w.serve(says(step.reply.der(t)), nil)
			w.advance(time.Minute)
			w.wants(t, step.want)
		}
	})
	t.Run("X8: that it is unknown ends that it was good", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		r := w.aReply()
		w.serve(says(r.der(t)), nil)
		w.wants(t, good)
		r.status = 2
		w.serve(says(r.der(t)), nil)
		w.advance(time.Minute)
		w.wants(t, unknown)
		w.serve(nil, nil)
		w.wants(t, unknown) // and stays so: a source that is down is no better news
	})
}

func TestListMemory(t *testing.T) {
	other := func(w *world) { w.leaf = w.card(w.leaf.SerialNumber.Int64()+16, byList) }
	t.Run("X8: a list is read once for many cards, and again after ten minutes", func(t *testing.T) {
		w := aWorld(t, byList)
		w.serve(nil, says(w.aRoll().der(t)))
		for range 3 {
			other(w)
			w.wants(t, good)
		}
		if n := w.asked.Load(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		w.advance(10 * time.Minute)
		w.wants(t, good)
		if n := w.asked.Load(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
	t.Run("X8: the last list stands in for cards that were never asked about", func(t *testing.T) {
		w := aWorld(t, byList)
		w.serve(nil, says(w.aRoll().der(t)))
		w.wants(t, good)
		w.serve(nil, nil)
		w.advance(30 * time.Minute)
		other(w)
		w.wants(t, good)
		w.advance(30 * time.Minute)
		other(w)
		w.wants(t, unavailable)
	})
	t.Run("X7: an older list does not take the place of a newer", func(t *testing.T) {
		w := aWorld(t, byList)
		older, newer := w.aRoll(), w.aRoll()
		newer.ThisUpdate = noon.Add(-time.Minute)
		listed := w.card(0x0999, byList)
		newer.list(listed.SerialNumber)
		w.serve(nil, says(newer.der(t)))
		w.wants(t, good)
		w.serve(nil, says(older.der(t)))
		w.advance(15 * time.Minute)
		w.leaf = listed
		w.wants(t, revoked)
	})
}

func TestStampede(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		names int
	}{
		{"X8: many who ask at once about one card make one request", byOCSP},
		{"X8: many who need one list at once make one request", byList},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aWorld(t, tt.names)
			reply, list := w.aReply().der(t), w.aRoll().der(t)
			arrived, release := make(chan struct{}, 64), make(chan struct{})
			waiting := func(b []byte) http.HandlerFunc {
				return func(rw http.ResponseWriter, _ *http.Request) {
					arrived <- struct{}{}
					<-release
					_, _ = rw.Write(b)
				}
			}
			w.serve(waiting(reply), waiting(list))
			cards := []signer{w.leaf}
			if tt.names == byList {
				cards = append(cards, w.card(0x0201, byList), w.card(0x0202, byList))
			}
			var wg sync.WaitGroup
			for i := range 60 {
				wg.Go(func() {
					got, err := w.checker.Check(t.Context(), cards[i%len(cards)].Certificate, w.issuer.Certificate)
					if got != good {
						t.Errorf("Check() = %v, %v", got, err)
					}
				})
			}
			<-arrived
			close(release)
			wg.Wait()
			if n := w.asked.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestGivingUp(t *testing.T) {
	t.Run("own rule: who goes away gets their own error, and the answer is there for the next", func(t *testing.T) {
		w := aWorld(t, byOCSP)
		reply := w.aReply().der(t)
		arrived, release := make(chan struct{}), make(chan struct{})
		w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-release
			_, _ = rw.Write(reply)
		}, nil)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := w.checker.Check(ctx, w.leaf.Certificate, w.issuer.Certificate)
			left <- err
		}()
		<-arrived
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("Check() = %v, want that the caller left", err)
		}
		close(release)
		w.wants(t, good)
		if n := w.asked.Load(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestNew(t *testing.T) {
	good := revocation.Config{Client: http.DefaultClient, Now: time.Now}
	for rule, change := range map[string]func(*revocation.Config){
		"own rule: no checker without a client": func(c *revocation.Config) { c.Client = nil },
		"own rule: no checker without a clock":  func(c *revocation.Config) { c.Now = nil },
		"own rule: no list of less than nought": func(c *revocation.Config) { c.MaxList = -1 },
	} {
		t.Run(rule, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := revocation.New(c); err == nil {
				t.Error("New() made a checker")
			}
		})
	}
}
