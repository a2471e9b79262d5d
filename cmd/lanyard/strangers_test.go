package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
)

// TestStrangers is what somebody can make a server keep who never signs in.
func TestStrangers(t *testing.T) {
	settings := aProduction(t)
	settings["redis.addresses"], settings["policy.begins_each"], settings["policy.begins_at_once"] = ownRedis(t), "1", "3"
	registers(func(*idp.Client) {})(t, settings)
	sql(t, settings["postgres.url"], `UPDATE clients SET scopes = '{openid}', grants = '{authorization_code}', response_modes = '{query}'`)
	s := serveOn(t, settings)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	stays := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	began := got(t, &http.Client{Jar: jar, CheckRedirect: stays}, s.people+"/authorize?response_type=code&scope=openid&state=s&nonce=n&client_id=ward-list&redirect_uri="+url.QueryEscape("https://ward.example/callback"))
	at, err := url.Parse(began.header.Get("Location"))
	if err != nil || at.Query().Get("id") == "" {
		t.Fatalf("the login did not begin: %+v", began)
	}
	var tx string
	var statuses []int
	for range 4 {
		resp, err := (&http.Client{Jar: jar}).PostForm(s.people+"/login/smartcard/begin", url.Values{"id": {at.Query().Get("id")}})
		if err != nil {
			t.Fatal(err)
		}
		page := read(t, resp)
		statuses = append(statuses, page.status)
		if m := regexp.MustCompile(`tx=([A-Za-z0-9_-]{43})`).FindStringSubmatch(page.body); m != nil {
			tx = m[1]
		}
	}
	t.Run("own rule: cards are asked for no faster than logins are begun", func(t *testing.T) {
		if statuses[0] != http.StatusOK || statuses[3] != http.StatusTooManyRequests {
			t.Errorf("the answers are %v, want the last refused", statuses)
		}
	})
	t.Run("own rule: one login has one question to a desk", func(t *testing.T) {
		rdb := goredis.NewClient(&goredis.Options{Addr: settings["redis.addresses"]})
		defer func() { _ = rdb.Close() }()
		if kept := rdb.Keys(t.Context(), "desk:*").Val(); len(kept) != 1 {
			t.Errorf("%d questions are kept, want 1", len(kept))
		}
	})
	t.Run("own rule: a question that another browser brings back is told of in the journal once", func(t *testing.T) {
		for range 5 {
			if page := got(t, http.DefaultClient, s.people+"/desk/v1/done?cc=x&tx="+tx); page.status != http.StatusBadRequest {
				t.Errorf("it is answered with %d", page.status)
			}
		}
		conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		var rows int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE event::jsonb->>'kind' = $1`, string(idp.SignInNo)).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows, %v; want 1", rows, err)
		}
	})
}

// seen is an answer that was read.
type seen struct {
	status int
	header http.Header
	body   string
}

func got(t *testing.T, c *http.Client, address string) seen {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) seen {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return seen{resp.StatusCode, resp.Header, string(b)}
}
