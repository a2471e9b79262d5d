package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	programs "github.com/lanyard-id/lanyard/api/registry"
)

// remote is a service whose registry is looked after from here, over its API.
type remote struct {
	server, state string
	asJSON        bool
	token         string
	http          *http.Client
	pause         time.Duration // before a request is sent again; then twice that
}

// onRemote gives cmd, and what stands below it, the options of every command
// that works over the API.
func onRemote(cmd *cobra.Command) *remote {
	r := &remote{}
	r.options(cmd)
	return r
}

func (r *remote) options(cmd *cobra.Command) {
	r.http = &http.Client{Timeout: 90 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.pause = 500 * time.Millisecond
	f := cmd.PersistentFlags()
	f.StringVar(&r.server, "server", "", "`URL` of the service; without it, that of the last lanyard login")
	f.StringVar(&r.state, "state", "", "state `file` of a development service on this computer: the token that stands beside it is taken")
	f.BoolVar(&r.asJSON, "json", false, "write JSON")
}

// signedIn is what lanyard login leaves behind.
type signedIn struct {
	Server  string    `json:"server"` // where the API is
	Issuer  string    `json:"issuer"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// tokenPath is where that is kept: it opens the registry, so its owner alone can
// read it.
func tokenPath() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find where settings are kept: %w", err)
	}
	return filepath.Join(folder, "lanyard", "token.json"), nil
}

func readSignedIn() (signedIn, error) {
	var s signedIn
	path, err := tokenPath()
	if err != nil {
		return s, err
	}
	text, err := os.ReadFile(path) //nolint:gosec // our own file
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// devServer is where a development service is when nobody says otherwise.
const devServer = "http://localhost:8080"

// settle finds out which service, and with which token. LANYARD_TOKEN comes
// first, then the file beside --state, then what lanyard login left.
func (r *remote) settle() error {
	known, err := readSignedIn()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return exit{exitFailed, fmt.Errorf("read the token of lanyard login: %w", err)}
	}
	switch token := os.Getenv("LANYARD_TOKEN"); {
	case token != "":
		r.token, r.server = token, cmp.Or(r.server, known.Server)
	case r.state != "":
		text, err := os.ReadFile(r.state + tokenFile)
		if err != nil {
			return exit{exitNoRight, err}
		}
		r.token, r.server = strings.TrimSpace(string(text)), cmp.Or(r.server, devServer)
	case known.Token != "" && (r.server == "" || origin(r.server) == known.Server):
		r.token, r.server = known.Token, known.Server // it is shown to no other service
	default:
		return exit{exitNoRight, errors.New("nobody is signed in: lanyard login, or LANYARD_TOKEN, or --state of a development service")}
	}
	if u, err := url.Parse(r.server); err != nil || u.Host == "" || u.Scheme != "https" && !loopback(r.server) {
		return exit{exitUsage, fmt.Errorf("%.100q is no service to send a token to: name an https address with --server", r.server)}
	}
	return nil
}

// maxListed bounds what a service may answer.
const maxListed = 64 << 20

// ask asks the API, and returns the body of an answer that is no refusal. What
// does not answer is asked again.
func (r *remote) ask(ctx context.Context, method, path string, query url.Values, body any, accept string) ([]byte, error) {
	if r.token == "" {
		if err := r.settle(); err != nil {
			return nil, err
		}
	}
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	address := origin(r.server) + programs.Root + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	// The service does what has the same name once, however often it is sent.
	name := rand.Text()
	for again := range tries {
		req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(sent))
		if err != nil {
			return nil, exit{exitUsage, err}
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		req.Header.Set("Accept", accept)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if method != http.MethodGet {
			req.Header.Set("Idempotency-Key", name)
		}
		text, comesBack, err := r.once(req)
		if err == nil || !comesBack || again == tries-1 {
			return text, err
		}
		select {
		case <-ctx.Done():
			return text, err
		case <-time.After(r.pause << again):
		}
	}
	return nil, nil
}

// tries is how often a request is sent that was perhaps not done.
const tries = 3

// once sends a request, and says whether it may be sent again: where it is not
// known whether the service got it, or where the service says later.
func (r *remote) once(req *http.Request) (text []byte, again bool, err error) {
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, req.Context().Err() == nil, exit{exitUnreached, fmt.Errorf("ask %s: %w", origin(r.server), err)}
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err = io.ReadAll(io.LimitReader(resp.Body, maxListed))
	if err != nil {
		return nil, true, exit{exitUnreached, fmt.Errorf("read the answer: %w", err)}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, later(resp, text), refusedBy(resp, text)
	}
	return text, false, nil
}

// later says whether the same request may be answered otherwise in a moment:
// what stands before the service, or the service itself, was not ready, or the
// first that was sent is still in hand.
func later(resp *http.Response, text []byte) bool {
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	var said struct{ Code string }
	return resp.StatusCode == http.StatusConflict && json.Unmarshal(text, &said) == nil && said.Code == inHand
}

// inHand is the message of a request of which the first is not answered yet.
const inHand = "API-10"

// asJSON is what most answers are.
const jsonKind = "application/json"

// get reads something into out.
func (r *remote) get(ctx context.Context, path string, query url.Values, out any) error {
	text, err := r.ask(ctx, http.MethodGet, path, query, nil, jsonKind)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// refusedBy turns a refusal into the status that scripts act on, with the words
// of the service and the reference to read out.
func refusedBy(resp *http.Response, text []byte) error {
	var said struct {
		Title, Detail, Code, Reference string
		Fields                         []struct {
			Name, Problem, Text, Nearest string
			Line                         int
		}
		Warnings []warning
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Code == "" {
		return exit{exitFailed, fmt.Errorf("the service answered %s", resp.Status)}
	}
	status := exitFailed
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		status = exitNoRight
	case http.StatusNotFound:
		status = exitNotFound
	case http.StatusServiceUnavailable:
		status = exitUnreached
	}
	lines := []string{fmt.Sprintf("%s. %s (%s, reference %s)", strings.TrimSuffix(said.Title, "."), said.Detail, said.Code, said.Reference)}
	for _, f := range said.Fields {
		line := f.Name + ": " + f.Problem
		switch {
		case f.Line > 0:
			line = fmt.Sprintf("line %d: %s", f.Line, f.Text)
		case f.Text != "":
			line = f.Text
		}
		if f.Nearest != "" {
			line += ": perhaps " + f.Nearest
		}
		lines = append(lines, line)
	}
	for _, w := range said.Warnings {
		lines = append(lines, w.text())
	}
	return exit{status, errors.New(strings.Join(lines, "\n"))}
}

// warning is what somebody should know of a change.
type warning struct {
	Code, UID string
	Args      []string
	Confirm   bool
}

func (w warning) text() string {
	line := strings.Join(append([]string{"warning: " + w.Code, w.UID}, w.Args...), " ")
	if w.Confirm {
		line += " (to go on in spite of it: --confirmed)"
	}
	return line
}
