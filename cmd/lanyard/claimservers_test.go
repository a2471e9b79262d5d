package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// mailed returns the codes that were mailed to an address, the newest last. In
// production nobody carries mails here, and they wait.
func (s running) mailed(t *testing.T, to string) (codes []string) {
	t.Helper()
	if s.settings == nil {
		reader := newPerson(t)
		reader.open(s.issuer + "/dev/mail")
		for letter := range reader.all("article") {
			if said := textOf(letter); strings.Contains(said, to) && mailedIn.MatchString(said) {
				codes = append([]string{mailedIn.FindString(said)}, codes...)
			}
		}
		return codes
	}
	store, done, err := openProduction(t.Context(), settledOf(t, s.settings), discard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all, err := store.OldMails(t.Context(), time.Now().Add(time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if code := o.Mail.Args["code"]; o.Mail.To == to && code != "" {
			codes = append(codes, code)
		}
	}
	return codes
}

func (s running) lastMailed(t *testing.T, to string) string {
	t.Helper()
	codes := s.mailed(t, to)
	if len(codes) == 0 {
		t.Fatalf("no code was mailed to %s", to)
	}
	return codes[len(codes)-1]
}

// claimsUpTo claims as a person of the demo directory until a key is asked for.
func (s running) claimsUpTo(t *testing.T, uid string) *person {
	t.Helper()
	p := newPerson(t)
	p.beginsClaim(s, emailOf(t, uid), numberOf(t, uid))
	p.send("/claim/code", url.Values{"code": {s.lastMailed(t, emailOf(t, uid))}})
	p.wantPage(http.StatusOK, someone(t, uid).Name.Display)
	p.send("/claim/choose", url.Values{"way": {"passkey"}, "alone": {"yes"}})
	return p
}

func TestClaimingEverywhere(t *testing.T) { onEveryStage(t, claimJourneys) }

func claimJourneys(t *testing.T, s running) {
	t.Run("A7: no step is left out, and who takes them all signs in at AAL2 with what they added", func(t *testing.T) {
		k := aKey(t)
		p := leavesNothingOut(t, s, func() string { return s.lastMailed(t, emailOf(t, noCard)) })
		p.send("/claim/passkey", p.claimsKey(s, k))
		p.wantPage(http.StatusOK, "You can sign in now")
		p.skips(s) // the claim is over
		in := s.asks(t)
		in.usesKey(s, k)
		claims := s.claims(t, "basic", in.wantCode())
		wantSame(t, "sub", claims["sub"], noCard)
		wantSame(t, "amr", claims["amr"], []string{"PASSKEY"})
		wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "2")
	})
	t.Run("A7: of two browsers that claim one profile at once one adds its key, and the other is told", func(t *testing.T) {
		people := []*person{s.claimsUpTo(t, raManager), s.claimsUpTo(t, raManager)}
		var forms []url.Values
		for _, p := range people {
			forms = append(forms, p.claimsKey(s, aKey(t)))
		}
		if won := atOnce(people, func(i int) bool {
			people[i].post("/claim/passkey", forms[i])
			if people[i].status == http.StatusOK {
				people[i].wantPage(http.StatusOK, "You can sign in now")
				return true
			}
			people[i].wantNo(http.StatusConflict, "CLM-04")
			return false
		}); won != 1 {
			t.Errorf("%d added a key", won)
		}
		for _, p := range people { // and nothing is left of either
			p.skips(s)
		}
	})
}

// like is a browser that holds what p holds, at another server.
func (p *person) like(at running) *person {
	p.t.Helper()
	other := newPerson(p.t)
	from, err1 := url.Parse(p.at.String())
	to, err2 := url.Parse(at.issuer + "/claim/code")
	if err1 != nil || err2 != nil {
		p.t.Fatal(err1, err2)
	}
	other.http.Jar.SetCookies(to, p.http.Jar.Cookies(from))
	other.at = to
	return other
}

// onBehalf sends what a browser sends as if a proxy had taken it from from.
type onBehalf struct{ from string }

func (o onBehalf) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-For", o.from)
	return http.DefaultTransport.RoundTrip(r)
}

// kept counts how often Redis was told to keep something.
func kept(t *testing.T, settings map[string]string) (n int) {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: settings["redis.addresses"]})
	defer func() { _ = rdb.Close() }()
	info, err := rdb.InfoMap(t.Context(), "commandstats").Result()
	if err == nil {
		_, err = fmt.Sscanf(info["Commandstats"]["cmdstat_set"], "calls=%d,", &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestClaimStorms(t *testing.T) {
	t.Parallel()
	both, settings := productionAt(t, "", 2, func(settings map[string]string) { settings["trusted_proxies"] = "127.0.0.0/8" })
	began := func(uid string) (*person, string) {
		p := newPerson(t)
		p.beginsClaim(both[0], emailOf(t, uid), numberOf(t, uid))
		return p, both[0].lastMailed(t, emailOf(t, uid))
	}
	// many are those who hold what p holds, half of them at each server.
	many := func(p *person) []*person {
		all := make([]*person, 200)
		for i := range all {
			all[i] = p.like(both[i%2])
		}
		return all
	}
	t.Run("A7: a code bears four wrong guesses at whichever server, and the fifth uses it up", func(t *testing.T) {
		for uid, wrong := range map[string]int{noCard: 4, oneRole: 5} {
			p, code := began(uid)
			for n := range wrong {
				q := p.like(both[n%2])
				q.post("/claim/code", url.Values{"code": {"0000-0000"}})
				q.wantNo(http.StatusBadRequest, "ACC-05")
			}
			q := p.like(both[1])
			q.post("/claim/code", url.Values{"code": {code}})
			if came := q.at.Path == "/claim/choose"; came != (wrong < 5) {
				t.Errorf("after %d wrong guesses the right code leads to %s", wrong, q.at.Path)
			}
		}
	})
	t.Run("A7: of 200 guesses at once at two servers no more than five are judged, and all read the same", func(t *testing.T) {
		p, code := began(raManager)
		guessers, before := many(p), kept(t, settings)
		atOnce(guessers, func(i int) bool {
			guessers[i].post("/claim/code", url.Values{"code": {fmt.Sprintf("%08d", i)}})
			guessers[i].wantNo(http.StatusBadRequest, "ACC-05")
			return false
		})
		if n := kept(t, settings) - before; n > 4 { // who is judged puts the code back, but for the fifth
			t.Errorf("the code was put back %d times", n)
		}
		p.post("/claim/code", url.Values{"code": {code}})
		p.wantNo(http.StatusBadRequest, "ACC-05")
	})
	t.Run("A7: of 200 who show one code at once at two servers one goes on", func(t *testing.T) {
		p, code := began(noCard)
		people := many(p)
		if won := atOnce(people, func(i int) bool {
			people[i].post("/claim/code", url.Values{"code": {code}})
			if people[i].at.Path == "/claim/choose" {
				return true
			}
			people[i].wantNo(http.StatusBadRequest, "ACC-05")
			return false
		}); won != 1 {
			t.Errorf("%d went on", won)
		}
	})
	t.Run("F27: of 200 claims of one profile at once, from everywhere and however it is spelt, four in all send a code, and the others wait", func(t *testing.T) {
		people, forms := make([]*person, 200), make([]url.Values, 200)
		email, sent := emailOf(t, raManager), len(both[0].mailed(t, emailOf(t, raManager)))
		for i := range people {
			p := newPerson(t)
			p.http.Transport = onBehalf{fmt.Sprintf("203.0.%d.7", i)}
			p.open(both[i%2].issuer + "/claim")
			people[i], forms[i] = p, p.solves()
			forms[i].Set("email", []string{email, " " + email, strings.ToUpper(email), email + "\t"}[i%4])
			forms[i].Set("number", numberOf(t, raManager))
		}
		went := atOnce(people, func(i int) bool {
			people[i].post("/claim", forms[i])
			if people[i].at.Path == "/claim/code" {
				return true
			}
			people[i].wantNo(http.StatusTooManyRequests, "LIM-01")
			return false
		})
		codes := both[0].mailed(t, email)
		if went+sent != 4 || len(codes) != 4 {
			t.Errorf("%d had begun, %d began, and %d codes were mailed", sent, went, len(codes))
		}
	})
}
