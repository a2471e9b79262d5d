package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	programs "github.com/lanyard-id/lanyard/api/registry"
)

// addsAnn is a change that makes another person each time that it is made.
func addsAnn(family string) m {
	return m{"name": m{"given": "Ann", "family": family}, "profile": "unverified", "confirmed": true}
}

const namedSo = "Idempotency-Key"

func TestRepeats(t *testing.T) {
	onEveryStage(t, func(t *testing.T, s running) {
		p := aSteward(t, s, signedInAs(t, s, newPerson(t), manager).Token)
		t.Run("own rule: a change that comes again with its name is answered as before, and made once", func(t *testing.T) {
			first := p.call("POST", "/people", addsAnn("Once"), 201, namedSo, `"aname-1"`)
			for range 3 {
				again := p.call("POST", "/people", addsAnn("Once"), 201, namedSo, "aname-1")
				if again.text != first.text || again.header.Get("Location") != first.header.Get("Location") {
					t.Errorf("the answer is %s, and was %s", again.text, first.text)
				}
			}
			if found := foundSoon(p, "Once"); found != 1 {
				t.Errorf("there are %d of them", found)
			}
			p.call("POST", "/people", addsAnn("Once"), 201)
			p.call("POST", "/people", addsAnn("Once"), 201, namedSo, "another")
		})
		t.Run("own rule: what is shown once is shown again to whom it was, and to nobody else", func(t *testing.T) {
			code := m{"check": anIdentityCheck()}
			first := p.call("POST", "/people/"+fiveRoles+"/invite", code, 201, namedSo, "code")
			if again := p.call("POST", "/people/"+fiveRoles+"/invite", code, 201, namedSo, "code"); again.body["secret"] != first.body["secret"] || first.body["secret"] == nil {
				t.Errorf("%s, and before %s", again.text, first.text)
			}
			other := p.as(signedInAs(t, s, newPerson(t), agent).Token)
			if a := other.call("POST", "/people/"+fiveRoles+"/invite", code, 403, namedSo, "code"); strings.Contains(a.text, "secret") {
				t.Errorf("another is told %s", a.text)
			}
		})
		t.Run("own rule: a name is that of one request", func(t *testing.T) {
			p.call("POST", "/people", addsAnn("One"), 201, namedSo, "one")
			for path, body := range map[string]m{"/people": addsAnn("Two"), "/robots": {"display": "R", "owner": oneRole, "until": "2090-01-01", "reason": "x"}} {
				if a := p.call("POST", path, body, 422, namedSo, "one"); a.body["code"] != "API-09" {
					t.Errorf("%s: %s", path, a.text)
				}
			}
		})
		t.Run("own rule: what was refused, or only tried, leaves its name free", func(t *testing.T) {
			p.call("POST", "/people", m{"name": m{"given": "A"}, "profile": "unverified"}, 422, namedSo, "free")
			p.call("POST", "/people?check=true", addsAnn("Free"), 200, namedSo, "free")
			p.call("POST", "/people", addsAnn("Free"), 201, namedSo, "free")
		})
		t.Run("own rule: a name that is none is refused", func(t *testing.T) {
			for _, name := range []string{`"`, `""`, "a b", `a"b`, strings.Repeat("x", 201), "é"} {
				if a := p.call("POST", "/people", addsAnn("Nameless"), 400, namedSo, name); a.body["code"] != "API-03" {
					t.Errorf("%q: %s", name, a.text)
				}
			}
		})
		t.Run("own rule: of many with one name at once one makes the change", func(t *testing.T) {
			var crowd sync.WaitGroup
			var made, waits atomic.Int32
			for range 12 {
				crowd.Go(func() {
					text, _ := json.Marshal(addsAnn("Crowd"))
					req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.at+"/people", strings.NewReader(string(text)))
					req.Header.Set("Authorization", "Bearer "+p.token)
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set(namedSo, "crowd")
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					_ = resp.Body.Close()
					switch resp.StatusCode {
					case http.StatusCreated:
						made.Add(1)
					case http.StatusConflict:
						waits.Add(1)
					default:
						t.Errorf("one is answered %s", resp.Status)
					}
				})
			}
			crowd.Wait()
			if found := foundSoon(p, "Crowd"); made.Load() == 0 || made.Load()+waits.Load() != 12 || found != 1 {
				t.Errorf("%d made, %d are to wait, %d are found", made.Load(), waits.Load(), found)
			}
		})
	})
}

// foundSoon is how many people of that name are found. Another server may hear
// of them a moment after who added them.
func foundSoon(p *steward, name string) (found int) {
	p.t.Helper()
	until(p.t, "somebody named "+name+" is found", func() bool {
		found = strings.Count(p.call("GET", "/people?q="+name, nil, 200).text, `"uid"`)
		return found > 0
	})
	return found
}

func TestRepeatsForgotten(t *testing.T) {
	t.Parallel()
	w := newFacesWorld(t)
	a := w.actors[0]
	post := func(family string) *httptest.ResponseRecorder {
		text, err := json.Marshal(addsAnn(family))
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, programs.Root+"/people", strings.NewReader(string(text)))
		req.Header.Set("Authorization", "Bearer "+a.token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(namedSo, "name")
		return w.serve(req)
	}
	t.Run("own rule: what Redis has forgotten is not made again", func(t *testing.T) {
		if got := post("Once"); got.Code != http.StatusCreated {
			t.Fatalf("%d: %s", got.Code, got.Body)
		}
		for _, key := range w.rdb.Keys(t.Context(), "repeat:*").Val() {
			if kept := w.rdb.HGetAll(t.Context(), key).Val(); strings.Contains(kept["answer"], "Once") || strings.Contains(kept["answer"], "status") || w.rdb.PTTL(t.Context(), key).Val() <= 0 {
				t.Errorf("Redis has %v", kept)
			}
			w.rdb.Del(t.Context(), key)
		}
		people := len(w.people.Document().People)
		if got := post("Once"); got.Code != http.StatusConflict || !strings.Contains(got.Body.String(), `"API-11"`) {
			t.Errorf("%d: %s", got.Code, got.Body)
		}
		if now := len(w.people.Document().People); now != people {
			t.Errorf("there are %d people, and were %d", now, people)
		}
	})
	t.Run("own rule: a command that gets no answer asks again, and its change is made once", func(t *testing.T) {
		var asked atomic.Int32
		lossy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Host = "localhost"
			if asked.Add(1) < tries {
				w.handler.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler) // it was done, and nobody hears of it
			}
			w.handler.ServeHTTP(rw, r)
		}))
		t.Cleanup(lossy.Close)
		people := len(w.people.Document().People)
		root := personGroup()
		root.SetOut(io.Discard)
		root.SetArgs([]string{"add", "--given", "Ann", "--family", "Lost", "--profile", "unverified", "--server", lossy.URL, "--state", w.tokens(t, a)})
		if err := root.ExecuteContext(t.Context()); err != nil || asked.Load() != tries {
			t.Errorf("%v, asked %d times", err, asked.Load())
		}
		if now := len(w.people.Document().People); now != people+1 {
			t.Errorf("there are %d people, and were %d", now, people)
		}
	})
}
