package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// errSomethingFails is what a command ends with that has written down why.
var errSomethingFails = errors.New("something failed")

// clientGroup are the commands about applications.
func clientGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "client", Short: "Applications"}
	cmd.AddCommand(clientCheckCommand())
	var r remote
	for _, below := range clientActs(&r) {
		r.options(below)
		cmd.AddCommand(below)
	}
	return cmd
}

// application is what an application knows of itself: what its registration
// should say, and where its secrets are.
type application struct {
	directory.Client
	file, scope, acrs         string
	jwksFile, secretFile, key string
	redirects, posts, grants  []string
	modes, algs, audiences    []string
	asJSON                    bool
	jwks                      []byte // of jwksFile, or of the registration
	secret                    string
	examiner                  *examination
	client                    *http.Client
	fetched                   providerMetadata
	issuer                    string
}

func clientCheckCommand() *cobra.Command {
	var s application
	cmd := &cobra.Command{
		Use:   "check ISSUER",
		Short: "Say what would fail between an application and a running provider",
		Long: "Compares what an application says of itself with the provider's discovery document, looks at its keys, and asks the\n" +
			"provider as the application would: authorize without a page, and, with a secret or a key, the token endpoint with a code\n" +
			"that is none. Nobody signs in and nothing changes. What only the registry knows and a client cannot see, such as its\n" +
			"back-channel address and its least level, is judged by its form alone. It ends with 0 if nothing failed, with 1\n" +
			"otherwise, and with 5 if the provider cannot be reached; a warning is no failure.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.issuer, s.examiner, s.client = args[0], &examination{now: time.Now}, asApplication()
			if err := s.settle(); err != nil {
				return err
			}
			err := s.examine(cmd.Context())
			if printed := s.examiner.print(cmd.OutOrStdout(), s.asJSON); printed != nil {
				return printed
			}
			if err == nil && slices.ContainsFunc(s.examiner.findings, func(f finding) bool { return f.Verdict == fail }) {
				err = errSomethingFails
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.file, "file", "", "`file` with the registration, as a directory document has it; the options below come before it")
	f.StringVar(&s.ID, "client-id", "", "the application's `id`; which one of the file")
	f.StringArrayVar(&s.redirects, "redirect-uri", nil, "an `address` that people come back to; may be repeated")
	f.StringArrayVar(&s.posts, "post-logout-redirect-uri", nil, "an `address` after signing out; may be repeated")
	f.StringVar(&s.BackchannelLogoutURI, "backchannel-logout-uri", "", "`address` that is told when a session ends")
	f.StringVar((*string)(&s.AuthMethod), "auth-method", "", "`how` it proves itself: client_secret_basic, client_secret_post, private_key_jwt or none")
	f.StringVar(&s.scope, "scope", "", "the `scopes` that it asks for, with spaces between")
	f.StringVar(&s.acrs, "acr-values", "", "the `values` of acr that it asks for, with spaces between")
	f.StringArrayVar(&s.grants, "grant", nil, "a `grant` that it uses; may be repeated")
	f.StringArrayVar(&s.modes, "response-mode", nil, "`mode` of its answers: query or form_post; may be repeated")
	f.StringVar(&s.IDTokenAlg, "id-token-alg", "", "`algorithm` of its ID tokens")
	f.StringVar(&s.UserinfoAlg, "userinfo-alg", "", "`algorithm` of its userinfo; none is JSON")
	f.StringVar(&s.JWKSURI, "jwks-uri", "", "`address` of its public keys")
	f.StringVar(&s.jwksFile, "jwks", "", "`file` with its public keys")
	f.StringArrayVar(&s.algs, "assertion-alg", nil, "an `algorithm` that it signs assertions with; may be repeated")
	f.StringArrayVar(&s.audiences, "assertion-audience", nil, "whom its assertions are `for`: issuer or token_endpoint; may be repeated")
	f.StringVar(&s.secretFile, "secret-file", "", "`file` with its secret, to try the token endpoint")
	f.StringVar(&s.key, "key", "", "`file` with its private key (PEM or JWK), to try the token endpoint")
	f.BoolVar(&s.asJSON, "json", false, "write the findings as JSON")
	return cmd
}

// asApplication asks as an application's library would, and shows where a
// redirect leads instead of following it.
func asApplication() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// settle puts together what the file and the options say.
func (s *application) settle() error {
	if u, err := url.Parse(s.issuer); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return exit{exitUsage, fmt.Errorf("%.100q is no issuer: an http or https address", s.issuer)}
	}
	given := s.Client
	if s.file != "" {
		if err := s.readFile(); err != nil {
			return err
		}
	}
	for _, text := range []struct {
		is   *string
		said string
	}{{&s.ID, given.ID}, {&s.BackchannelLogoutURI, given.BackchannelLogoutURI}, {(*string)(&s.AuthMethod), string(given.AuthMethod)},
		{&s.IDTokenAlg, given.IDTokenAlg}, {&s.UserinfoAlg, given.UserinfoAlg}, {&s.JWKSURI, given.JWKSURI}} {
		if text.said != "" {
			*text.is = text.said
		}
	}
	for _, list := range []struct {
		is   *[]string
		said []string
	}{{&s.RedirectURIs, s.redirects}, {&s.PostLogoutRedirectURIs, s.posts}, {&s.Grants, s.grants}, {&s.ResponseModes, s.modes},
		{&s.AssertionAlgs, s.algs}, {&s.AssertionAudiences, s.audiences}, {&s.Scopes, strings.Fields(s.scope)}} {
		if len(list.said) > 0 {
			*list.is = list.said
		}
	}
	if s.AuthMethod == "" {
		s.AuthMethod = idp.SecretBasic
	}
	return s.readSecrets()
}

// readFile takes the application's registration from a directory document. What
// is wrong with the document is a finding, each with its line.
func (s *application) readFile() error {
	doc, err := readDocument(s.file)
	if problems, ok := errors.AsType[directory.Problems](err); ok {
		for _, p := range problems {
			where := s.file
			if p.Line > 0 {
				where = fmt.Sprintf("%s, line %d", s.file, p.Line)
			}
			s.examiner.note(fail, where, p.Text, "see docs/directory.md")
		}
		return nil
	}
	if err != nil {
		return exit{exitUsage, err}
	}
	if s.ID == "" && len(doc.Clients) == 1 {
		s.Client = doc.Clients[0]
		return nil
	}
	for _, c := range doc.Clients {
		if c.ID == s.ID {
			s.Client = c
			return nil
		}
	}
	return exit{exitNotFound, fmt.Errorf("%s has no client with the id %.100q: name one by --client-id", s.file, s.ID)}
}

func (s *application) readSecrets() error {
	s.jwks = []byte(s.JWKS)
	for _, f := range []struct {
		path string
		take func([]byte)
	}{{s.jwksFile, func(b []byte) { s.jwks = b }}, {s.secretFile, func(b []byte) { s.secret = strings.TrimRight(string(b), "\r\n") }}} {
		if f.path == "" {
			continue
		}
		b, err := os.ReadFile(f.path)
		if err != nil {
			return exit{exitUsage, err}
		}
		f.take(b)
	}
	return nil
}

// examine looks at everything, and is an error if the provider cannot be asked.
func (s *application) examine(ctx context.Context) error {
	s.judgeForms(ctx)
	keys := s.judgeKeys(ctx)
	ahead, err := s.discover(ctx)
	if err != nil {
		return exit{exitUnreached, fmt.Errorf("ask %s for its discovery document: %w", s.issuer, err)}
	}
	trusted := s.judgeIssuer()
	s.judgeClock(ahead)
	s.judgeOffers()
	if s.ID == "" {
		s.examiner.note(warn, "client-id", "none is named, so the provider cannot be asked what it has registered", "name it")
		return nil
	}
	s.tryAuthorize(ctx)
	if !trusted {
		s.examiner.note(warn, "token", "it was not tried whether the application proves itself", "set the issuer right first: a secret is shown to nobody else")
		return nil
	}
	s.tryToken(ctx, keys)
	return nil
}

// providerMetadata is what of a provider's discovery document concerns a client. A list
// that is nil was not there, and says nothing.
type providerMetadata struct {
	Issuer           string   `json:"issuer"`
	Authorize        string   `json:"authorization_endpoint"`
	Token            string   `json:"token_endpoint"`
	Scopes           []string `json:"scopes_supported"`
	ACRs             []string `json:"acr_values_supported"`
	Grants           []string `json:"grant_types_supported"`
	ResponseModes    []string `json:"response_modes_supported"`
	AuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	AssertionAlgs    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IDTokenAlgs      []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs     []string `json:"userinfo_signing_alg_values_supported"`
	ChallengeMethods []string `json:"code_challenge_methods_supported"`
	Backchannel      bool     `json:"backchannel_logout_supported"`
}

// maxAnswer bounds what a provider may answer.
const maxAnswer = 1 << 20

// discover reads the provider's document, and tells how far its clock is ahead
// of ours.
func (s *application) discover(ctx context.Context) (ahead time.Duration, err error) {
	asked := s.examiner.now()
	resp, body, err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration") //nolint:bodyclose // do has read and closed it
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("it answers %s", resp.Status)
	}
	if err := json.Unmarshal(body, &s.fetched); err != nil || s.fetched.Issuer == "" {
		return 0, errors.New("what it answers is no discovery document")
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		took := s.examiner.now().Sub(asked)
		ahead = date.Add(time.Second / 2).Sub(asked.Add(took / 2)) // Date has whole seconds, cut off
	}
	return ahead, nil
}

func (s *application) get(ctx context.Context, address string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	return s.do(req)
}

func (s *application) do(req *http.Request) (*http.Response, []byte, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp, body, err
}
