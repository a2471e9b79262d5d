package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// publishBefore is how long the rig's servers publish a key before it signs.
// It stands for the day that it is in earnest: what must hold is that nobody
// who keeps keys for as long meets one that they do not know.
const publishBefore = 4 * time.Second

// revokedWithin is how soon a key that was revoked is accepted nowhere.
const revokedWithin = 60 * time.Second

// rotateKeys is F17.
func rotateKeys(ctx context.Context, t *trial) error {
	p := plan{policy: map[string]string{"policy.keys.publish_before": publishBefore.String()}}
	return t.in(ctx, p, func(w *world) error {
		caches := []*keyCache{
			{name: "a client that keeps no keys"},
			{name: "a client that keeps keys for a moment", life: publishBefore / 8},
			{name: "a client that keeps keys for as long as it may", life: publishBefore - time.Second},
			{name: "a client that keeps keys until it meets an unknown one", life: forever, unknown: true},
		}
		var clients []*client
		for i, c := range caches {
			clients = append(clients, w.client([]string{"RS256", "ES256"}[i%2], c))
		}
		people := newLoad(t.size(40, 15), func(ctx context.Context, n int) error {
			_, err := w.flow(n, clients[n%len(clients)]).run(ctx)
			return err
		})
		rounds := t.size(5, 1)
		err := people.while(ctx, func(ctx context.Context) error {
			for i := range rounds {
				if err := w.rotate(ctx); err != nil {
					return fmt.Errorf("rotation %d: %w", i+1, err)
				}
			}
			return nil
		})
		if err = errors.Join(err, people.failed()); err != nil {
			return err
		}
		t.report("%d rotations under %d sign-ins a second: %d ID tokens verified by %d kinds of clients, none failed", rounds, people.rate, people.well(), len(clients))
		took, err := w.revokeKey(ctx, clients[3])
		if err != nil {
			return err
		}
		t.report("a revoked key was accepted nowhere after %s", took.Round(time.Millisecond))
		return w.audit(ctx)
	})
}

// rotate makes the next keys and waits until tokens are signed with them.
func (w *world) rotate(ctx context.Context) error {
	out, err := w.servers[0].command(ctx, "keys", "rotate")
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "made" {
			made[words[1]] = true
			w.ledger.madeKey(words[1])
		}
	}
	if len(made) == 0 {
		return fmt.Errorf("no key was made: %q", out)
	}
	watch := w.client("ES256", &keyCache{name: "the rig", life: 0})
	return until(ctx, func() error {
		for i, s := range w.servers {
			f := w.flow(i, watch)
			f.person.site = w.siteOf(s)
			r, err := f.run(ctx)
			if err != nil {
				return permanent{err}
			}
			if !made[r.tokens.keyID] {
				return fmt.Errorf("%s signs with the old key still", s.name)
			}
		}
		return nil
	})
}

// revokeKey revokes the key that signs, and returns how long it was accepted.
func (w *world) revokeKey(ctx context.Context, c *client) (time.Duration, error) {
	r, err := w.flow(0, c).run(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range w.servers {
		if ok, err := w.acceptsHint(ctx, s, c, r.tokens.id); err != nil || !ok {
			return 0, fmt.Errorf("%s does not know its own ID token, revoked or not: %w", s.name, err)
		}
	}
	if _, err := w.servers[0].command(ctx, "keys", "revoke", r.tokens.keyID); err != nil {
		return 0, err
	}
	began := time.Now()
	for _, s := range w.servers {
		for {
			ok, err := w.acceptsHint(ctx, s, c, r.tokens.id)
			if err != nil {
				return 0, err
			}
			keys, err := w.siteOf(s).keys(ctx)
			if err != nil {
				return 0, err
			}
			if _, published := keys[r.tokens.keyID]; !ok && !published {
				break
			}
			if time.Since(began) > revokedWithin {
				return 0, fmt.Errorf("%s accepts a key that was revoked %s ago", s.name, revokedWithin)
			}
		}
	}
	took := time.Since(began)
	// And people sign in with another.
	again, err := w.flow(1, c).run(ctx)
	if err == nil && again.tokens.keyID == r.tokens.keyID {
		err = errors.New("a revoked key signs")
	}
	return took, err
}

// acceptsHint says whether a server takes an ID token for its own.
func (w *world) acceptsHint(ctx context.Context, s *server, c *client, idToken string) (bool, error) {
	p := newPerson(w.siteOf(s))
	a, err := p.open(ctx, http.MethodGet, c.request().address(url.Values{"prompt": {"none"}, "id_token_hint": {idToken}}), nil)
	if err != nil {
		return false, err
	}
	if a.location == nil {
		return false, problem("show an ID token", a)
	}
	switch told := a.location.Query().Get("error"); told {
	case "login_required":
		return true, nil
	case "invalid_request":
		return false, nil
	default:
		return false, oauthError{told, 0}
	}
}

// loseKeyset is F18.
func loseKeyset(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{servers: 1, direct: true, people: 1}, func(w *world) error {
		s := w.servers[0]
		if err := s.stop(); err != nil {
			return err
		}
		before, err := w.keyNames(ctx)
		if err != nil {
			return err
		}
		path := w.file("keyset.json")
		good, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		other, err := otherKeyset(good)
		if err != nil {
			return err
		}
		for _, lost := range []struct {
			how  string
			make func() error
		}{
			{"renamed", func() error { return os.Rename(path, path+".away") }},
			{"empty", func() error { return os.WriteFile(path, nil, 0o600) }},
			{"cut short", func() error { return os.WriteFile(path, good[:len(good)/2], 0o600) }},
			{"of another service", func() error { return os.WriteFile(path, other, 0o600) }},
			{"readable by everybody", func() error { return errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o644)) }},
		} {
			if err := lost.make(); err != nil {
				return err
			}
			says, err := w.mustRefuse(ctx, s)
			if err != nil {
				return fmt.Errorf("a keyset that is %s: %w", lost.how, err)
			}
			if !strings.Contains(says, "key") {
				return fmt.Errorf("a keyset that is %s: the server does not say so: %q", lost.how, says)
			}
			after, err := w.keyNames(ctx)
			if err != nil {
				return err
			}
			if after != before {
				return fmt.Errorf("a keyset that is %s: the server made keys of its own", lost.how)
			}
			if err := errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o600)); err != nil {
				return err
			}
		}
		_, err = s.run(ctx)
		return err
	})
}

// keyNames are the names of all signing keys, in one line.
func (w *world) keyNames(ctx context.Context) (string, error) {
	conn, err := w.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var names string
	err = conn.QueryRow(ctx, `SELECT coalesce(string_agg(kid, ' ' ORDER BY kid), '') FROM signing_keys`).Scan(&names)
	return names, err
}

// keyMaterial finds the keys in a keyset file.
var keyMaterial = regexp.MustCompile(`"value":\s*"([^"]{20,})"`)

// otherKeyset changes the key material in a keyset and leaves its form.
func otherKeyset(good []byte) ([]byte, error) {
	at := keyMaterial.FindSubmatchIndex(good)
	if at == nil {
		return nil, errors.New("the keyset is in no form that the rig knows")
	}
	other := bytes.Clone(good)
	middle := (at[2] + at[3]) / 2
	other[middle] = map[bool]byte{true: 'B', false: 'A'}[other[middle] == 'A']
	return other, nil
}

// mustRefuse starts a server that must not start, and returns what it says.
func (w *world) mustRefuse(ctx context.Context, s *server) (string, error) {
	if err := os.Truncate(s.log, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := s.start(); err != nil {
		return "", err
	}
	trip := &http.Transport{DisableKeepAlives: true}
	err := until(ctx, func() error {
		select {
		case <-s.gone():
			return nil
		default:
		}
		if isReady(ctx, trip, s.ops) {
			return permanent{errors.New("it started")}
		}
		return errors.New("it neither starts nor ends")
	})
	if err != nil {
		return "", errors.Join(err, s.kill())
	}
	says := s.lastWords()
	if s.ended() == nil {
		return says, errors.New("it ended as if all were well")
	}
	return says, nil
}
