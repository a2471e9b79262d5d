package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
)

func loginCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a service, for the commands that look after its registry",
		Long: "Prints an address to open in a browser on this computer, where you sign in with a card or a key of the highest level.\n" +
			"The token that comes of it lives for an hour, and no longer than your session: a file that you alone can read keeps it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), signInWait)
			defer cancel()
			l := signingIn{server: strings.TrimSuffix(server, "/"), client: asApplication()}
			s, err := l.run(ctx, func(address string) {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Open this address in a browser on this computer:\n\n  %s\n\n", address)
			})
			if err != nil {
				return err
			}
			if err := s.keep(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "signed in to %s until %s\n", s.Server, s.Expires.Format(time.TimeOnly))
			return err
		},
	}
	cmd.Flags().StringVar(&server, "server", devServer, "`URL` of the service, or its issuer")
	return cmd
}

// signInWait is how long somebody may take to sign in: as long as a login lives.
const signInWait = 330 * time.Second

func logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Give back the token of lanyard login",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readSignedIn()
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			path, err := tokenPath()
			if err != nil {
				return err
			}
			// The file goes first: what cannot be given back lives an hour at most.
			return errors.Join(os.Remove(path), s.revoke(cmd.Context()))
		},
	}
}

// keep writes what was got to the file that keeps it, whole or not at all.
func (s signedIn) keep() error {
	path, err := tokenPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// revoke gives the token back. RFC 7009.
func (s signedIn) revoke(ctx context.Context) error {
	l := signingIn{server: s.Issuer, client: asApplication()}
	found, err := l.discover(ctx)
	if err != nil {
		return err
	}
	_, err = l.post(ctx, found.Revoke, url.Values{"client_id": {idp.AdminClient}, "token": {s.Token}})
	return err
}

// signingIn gets a token with a code and PKCE, on a port of this computer. RFC
// 8252 §7.3.
type signingIn struct {
	server string
	client *http.Client
}

// endpoints are what signing in needs to know of a provider.
type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	Revoke    string `json:"revocation_endpoint"`
}

func (l signingIn) discover(ctx context.Context) (endpoints, error) {
	var found endpoints
	if u, err := url.Parse(l.server); err != nil || u.Host == "" || u.Scheme != "https" && !loopback(l.server) {
		return found, exit{exitUsage, fmt.Errorf("%.100q is no service to sign in to: name an https address", l.server)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.server+"/.well-known/openid-configuration", nil)
	if err != nil {
		return found, exit{exitUsage, err}
	}
	text, err := l.do(req)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil || found.Authorize == "" {
		return found, exit{exitFailed, fmt.Errorf("%s is no issuer: name the service as applications know it", l.server)}
	}
	for _, address := range []string{found.Issuer, found.Authorize, found.Token, found.Revoke} {
		if origin(address) != origin(l.server) {
			return found, exit{exitFailed, fmt.Errorf("%s sends people elsewhere", l.server)}
		}
	}
	return found, nil
}

// run signs somebody in: open is told the address for their browser.
func (l signingIn) run(ctx context.Context, open func(address string)) (signedIn, error) {
	found, err := l.discover(ctx)
	if err != nil {
		return signedIn{}, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return signedIn{}, fmt.Errorf("listen for the browser: %w", err)
	}
	back := "http://" + listener.Addr().String() + "/callback"
	state, verifier := idp.NewSecret(), idp.NewSecret()
	came := make(chan url.Values, 1)
	server := &http.Server{Handler: comesBack(state, came), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until it is closed
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(leave) // the browser may keep its connection
	}()
	open(found.Authorize + "?" + url.Values{"client_id": {idp.AdminClient}, "response_type": {"code"}, "redirect_uri": {back},
		"scope": {"openid " + idp.AdminScope}, "state": {state}, "max_age": {fmt.Sprint(int(idp.FreshFor.Seconds()) / 2)},
		"code_challenge": {idp.Challenge(verifier)}, "code_challenge_method": {"S256"}}.Encode())

	var answer url.Values
	select {
	case answer = <-came:
	case <-ctx.Done():
		return signedIn{}, exit{exitFailed, errors.New("nobody signed in")}
	}
	// RFC 9207 §2.4: an answer of another provider is none.
	if answer.Get("iss") != found.Issuer || answer.Get("code") == "" {
		return signedIn{}, exit{exitNoRight, fmt.Errorf("the service answered %.60q", answer.Get("error"))}
	}
	text, err := l.post(ctx, found.Token, url.Values{"grant_type": {"authorization_code"}, "client_id": {idp.AdminClient}, "code": answer["code"],
		"redirect_uri": {back}, "code_verifier": {verifier}})
	if err != nil {
		return signedIn{}, err
	}
	var got struct {
		Token string `json:"access_token"`
		Life  int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(text, &got); err != nil || got.Token == "" {
		return signedIn{}, exit{exitFailed, errors.New("the service gave no token")}
	}
	return signedIn{Server: origin(l.server), Issuer: found.Issuer, Token: got.Token, Expires: time.Now().Add(time.Duration(got.Life) * time.Second)}, nil
}

// comesBack takes the answer that the browser brings back, once, if it is of
// this sign-in.
func comesBack(state string, came chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := r.URL.Query()
		if r.URL.Path != "/callback" || subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(state)) != 1 {
			http.NotFound(w, r)
			return
		}
		select {
		case came <- answer:
		default:
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, "You can close this page and go back to the terminal.\n")
	})
}

func (l signingIn) post(ctx context.Context, address string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return l.do(req)
}

func (l signingIn) do(req *http.Request) ([]byte, error) {
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, exit{exitUnreached, fmt.Errorf("ask %s: %w", l.server, err)}
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, exit{exitUnreached, err}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, exit{exitFailed, fmt.Errorf("%s answered %s", req.URL.Path, resp.Status)}
	}
	return text, nil
}
