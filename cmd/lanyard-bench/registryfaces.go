package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/redis"
)

const (
	againBudget = 10 * time.Second // of a document that changes nothing
	documented  = 10_000           // people of that document
)

// measureFaces asks a server, as browsers and commands do, for what takes
// longest in a registry of so many people.
func measureFaces(ctx context.Context, program string, people int, say func(string)) ([]registryFigure, error) {
	say("making a service with that registry")
	w, err := newWorld(ctx, plan{program: program, servers: 1, direct: true, people: 5, policy: map[string]string{"policy.home": "RX9"}})
	if err != nil {
		return nil, err
	}
	figures, err := w.askFaces(ctx, people, say)
	return figures, errors.Join(err, w.close())
}

func (w *world) askFaces(ctx context.Context, people int, say func(string)) ([]registryFigure, error) {
	if err := fillRegistry(ctx, w.postgres.URL(w.database), people); err != nil {
		return nil, fmt.Errorf("fill the registry: %w", err)
	}
	cookie, token, err := w.manager(ctx)
	if err != nil {
		return nil, err
	}
	say("pages of people")
	page := &asked{registryFigure{Question: "a person's page, at a browser", Budget: personBudget}, func(ctx context.Context, n int) error {
		return w.openPage(ctx, cookie, fmt.Sprintf("/ra/people/5%011d", 1+n*7919%people))
	}}
	if err := page.take(ctx); err != nil {
		return nil, err
	}
	say(fmt.Sprintf("a document of %d people, twice", documented))
	file := w.file("applied.yaml")
	if err := writeDocument(file); err != nil {
		return nil, err
	}
	figures := []registryFigure{page.registryFigure}
	for _, time := range []registryFigure{{Question: fmt.Sprintf("config apply, %d people", documented)}, {Question: "config apply, the same again", Budget: againBudget}} {
		took, differences, err := w.apply(ctx, file, token)
		if err != nil {
			return figures, err
		}
		if time.Budget > 0 && differences > 0 {
			return figures, fmt.Errorf("a document that was applied has %d differences", differences)
		}
		time.Times, time.P50, time.P95, time.Worst = 1, ms(took), ms(took), ms(took)
		figures = append(figures, time)
	}
	return figures, nil
}

// manager signs in the manager who was made with the registry.
func (w *world) manager(ctx context.Context) (cookie, token string, err error) {
	return w.signedIn(ctx, w.crowd.busy.uid)
}

// signedIn signs somebody in at a browser and for commands, as their card would.
func (w *world) signedIn(ctx context.Context, uid string) (cookie, token string, err error) {
	rdb := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: []string{w.redis.Address()}})
	defer func() { _ = rdb.Close() }()
	live, now := redis.New(rdb, time.Now), time.Now()
	cookie = idp.NewSecret()
	family := idp.NewSecret()[:11] // as many letters as the name of a family has
	token = family + idp.NewSecret()
	s := idp.Session{ID: "sid-of-" + uid, Key: idp.Hash(cookie), Subject: uid, Method: authenticators.Smartcard, Level: authenticators.AAL3, AuthTime: now, LastAct: now}
	g := idp.Grant{Family: family, ClientID: idp.AdminClient, Scopes: []string{"openid", idp.AdminScope}, Subject: s.Subject, SessionID: s.ID, SessionKey: s.Key,
		ACR: idp.AAL3Any, Method: s.Method, Level: s.Level, AuthTime: now}
	return cookie, token, errors.Join(live.SaveSession(ctx, s), live.SaveToken(ctx, token, g, now.Add(time.Hour)))
}

// openPage opens a page with a session's cookie.
func (w *world) openPage(ctx context.Context, cookie, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.door+path, nil)
	if err != nil {
		return err
	}
	req.Host = w.issuer.Host
	req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: cookie})
	resp, err := w.trip.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(path[len("/ra/people/"):])) {
		return fmt.Errorf("%s is answered %s", path, resp.Status)
	}
	return nil
}

// writeDocument writes a document with many people, each with a position and a
// card.
func writeDocument(file string) error {
	d := directory.Document{Organisations: []directory.Organisation{{Code: "DOC", Name: "Documented"}}}
	for i := range documented {
		uid := fmt.Sprintf("6%011d", i)
		d.People = append(d.People, directory.Person{UID: uid, Name: directory.Name{Given: "Doc", Family: fmt.Sprintf("Umented%d", i)}, Email: "d" + uid + "@trust.example",
			IdentityAssurance: 3, Profile: idp.Verified,
			Positions: []directory.Position{{ID: "7" + uid[1:], OrgPersonID: "8" + uid[1:], Organisation: "DOC", RoleCode: "S8000:G8000:R8001"}},
			Cards:     []directory.Card{{Serial: "DD" + uid, Series: 9, State: "active", Registered: true, Certificate: "valid"}}})
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(directory.Write(f, d), f.Close())
}

// apply applies a document by the command, and returns how many differences it
// made.
func (w *world) apply(ctx context.Context, file, token string) (time.Duration, int, error) {
	cmd := exec.CommandContext(ctx, w.plan.program, "config", "apply", file, "--server", w.issuer.String(), "--json")
	cmd.Env = append(os.Environ(), "LANYARD_TOKEN="+token)
	var said, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &wrong
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("config apply: %w: %s", err, wrong.Bytes())
	}
	took := time.Since(began)
	var done struct{ Differences []json.RawMessage }
	err := json.Unmarshal(said.Bytes(), &done)
	return took, len(done.Differences), err
}
