package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// addressFault says what keeps an address from being registered, and what to
// do; "" is nothing.
func addressFault(address string) (what, do string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return "it is no absolute address", "write it whole, with https:// and the host"
	case strings.Contains(address, "#"):
		return "it has a fragment", "leave out # and what follows: RFC 6749 §3.1.2"
	case strings.Contains(address, "*"):
		return "it is a pattern", "register each address to the letter"
	case u.User != nil:
		return "it names a user", "leave out what stands before @"
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Sprintf("its scheme is %.20s", u.Scheme), "use https"
	case u.Scheme == "http" && !onThisComputer(u.Hostname()):
		return "it is http to another computer", "use https: anybody on the way could read what is sent there"
	case !idp.CheckRedirectURI(address):
		return "it cannot be registered", "see docs/directory.md"
	}
	return "", ""
}

func onThisComputer(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// judgeForms looks at what the application says of itself.
func (s *application) judgeForms(ctx context.Context) {
	e := s.examiner
	for _, uri := range s.RedirectURIs {
		s.judgeAddress("redirect-uri", uri)
		s.judgeLetters(uri)
	}
	if len(s.RedirectURIs) == 0 {
		e.note(warn, "redirect-uri", "none is named", "name each address that people come back to")
	}
	for _, uri := range s.PostLogoutRedirectURIs {
		s.judgeAddress("post-logout-redirect-uri", uri)
	}
	if uri := s.BackchannelLogoutURI; uri != "" && s.judgeAddress("backchannel-logout-uri", uri) {
		s.judgeReach(ctx, "backchannel-logout-uri", uri)
	}
	if len(s.Scopes) > 0 && !slices.Contains(s.Scopes, "openid") {
		e.note(fail, "scope", "openid is not among them", "ask for it: without it nobody is signed in")
	}
	switch s.AuthMethod {
	case idp.PrivateKeyJWT:
		if s.JWKSURI == "" && len(s.jwks) == 0 {
			e.note(fail, "jwks", "there are no public keys", "name them by --jwks-uri or --jwks")
		}
		if s.JWKSURI != "" && len(s.jwks) > 0 {
			e.note(fail, "jwks", "there are keys and an address of keys", "register one of them")
		}
	case idp.SecretBasic, idp.SecretPost, idp.NoAuth:
		if s.key != "" {
			e.note(warn, "key", "a key proves nothing with "+string(s.AuthMethod), "use private_key_jwt, or leave it out")
		}
	}
}

// judgeAddress says whether an address can be registered.
func (s *application) judgeAddress(of, address string) bool {
	what, do := addressFault(address)
	if what != "" {
		s.examiner.note(fail, of, fmt.Sprintf("%.100q: %s", address, what), do)
		return false
	}
	return true
}

// judgeLetters says where a redirect URI may not come back as it was written:
// providers compare to the letter, and browsers and libraries tidy up.
func (s *application) judgeLetters(uri string) {
	u, err := url.Parse(uri)
	if err != nil {
		return
	}
	note := func(what, do string) { s.examiner.note(warn, "redirect-uri", fmt.Sprintf("%.100q: %s", uri, what), do) }
	switch {
	case u.Host != strings.ToLower(u.Host):
		note("its host has capital letters", "write it as your library sends it: it is compared to the letter")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		note("it names the port that its scheme has anyway", "write it as your library sends it: it is compared to the letter")
	case u.Path == "":
		note("it has no path", "write it as your library sends it, with / or without: it is compared to the letter")
	case s.AuthMethod == idp.NoAuth && u.Hostname() == "localhost":
		note("its port is fixed", "use 127.0.0.1 or [::1], with which any port will do: RFC 8252 §7.3")
	}
}

// judgeReach says where a provider in production would not ask an address: it
// goes nowhere inside its own network.
func (s *application) judgeReach(ctx context.Context, of, address string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		s.examiner.note(warn, of, fmt.Sprintf("the name %.100q is not known here", u.Hostname()), "see that the provider can look it up")
		return
	}
	for _, ip := range ips {
		if guard(netip.AddrPortFrom(ip, 443).String(), false) != nil {
			s.examiner.note(warn, of, fmt.Sprintf("%.100q is at %s, inside a network", u.Hostname(), ip), "a development service asks this computer; a provider in production asks public addresses alone")
			return
		}
	}
}

// judgeIssuer holds what the application has as its issuer against what the
// provider calls itself, and says whether secrets may go there: to the issuer
// that was named, and by https. OIDC Discovery §4.3.
func (s *application) judgeIssuer() (trusted bool) {
	e, said := s.examiner, s.fetched.Issuer
	tidy := func(issuer string) string {
		return strings.TrimSuffix(strings.Replace(strings.ToLower(issuer), ":443", "", 1), "/")
	}
	switch {
	case said == s.issuer:
		e.note(fine, "issuer", "the provider calls itself so, to the letter", "")
	case tidy(said) == tidy(s.issuer):
		e.note(fail, "issuer", fmt.Sprintf("the provider calls itself %.200q: they differ in a port, a slash or a capital letter", said), "configure that, to the letter: libraries compare every ID token with it")
	default:
		e.note(fail, "issuer", fmt.Sprintf("the provider calls itself %.200q", said), "configure that, or ask the right provider")
	}
	trusted = said == s.issuer
	for name, endpoint := range map[string]string{"authorization_endpoint": s.fetched.Authorize, "token_endpoint": s.fetched.Token} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "https" && !onThisComputer(u.Hostname()) {
			e.note(fail, "issuer", fmt.Sprintf("its %s is %.200q", name, endpoint), "use a provider that is reached by https")
			trusted = false
		}
	}
	return trusted
}

// What clocks may differ by: an assertion from later than that is refused.
const clockFails, clockWarns = 10 * time.Second, 3 * time.Second

func (s *application) judgeClock(ahead time.Duration) {
	says := fmt.Sprintf("the provider's is %s ahead of this computer's", ahead.Round(time.Second))
	switch off := ahead.Abs(); {
	case off >= clockFails:
		s.examiner.note(fail, "clock", says, "set yours by a time server: assertions and ID tokens are refused")
	case off >= clockWarns:
		s.examiner.note(warn, "clock", says, "set yours by a time server")
	default:
		s.examiner.note(fine, "clock", says, "")
	}
}

// judgeOffers holds what the application wants against what the provider says it
// offers.
func (s *application) judgeOffers() {
	m := s.fetched
	algs := s.AssertionAlgs
	if s.AuthMethod != idp.PrivateKeyJWT {
		algs = nil
	}
	s.offered("auth-method", []string{string(s.AuthMethod)}, m.AuthMethods, fail)
	s.offered("assertion-alg", algs, m.AssertionAlgs, fail)
	s.offered("id-token-alg", []string{s.IDTokenAlg}, m.IDTokenAlgs, fail)
	s.offered("userinfo-alg", []string{s.UserinfoAlg}, m.UserinfoAlgs, fail)
	s.offered("grant", s.Grants, m.Grants, fail)
	s.offered("response-mode", s.ResponseModes, m.ResponseModes, fail)
	s.offered("scope", s.Scopes, m.Scopes, warn) // what nobody knows is passed over
	s.offered("acr-values", s.wantedACRs(), m.ACRs, warn)
	if acrs := s.wantedACRs(); len(acrs) > 0 && m.ACRs != nil && !slices.ContainsFunc(acrs, func(a string) bool { return slices.Contains(m.ACRs, a) }) {
		s.examiner.note(fail, "acr-values", "none of them can be met here", "ask for one of "+strings.Join(m.ACRs, " "))
	}
	if (s.RequirePKCE || s.AuthMethod == idp.NoAuth) && m.ChallengeMethods != nil && !slices.Contains(m.ChallengeMethods, "S256") {
		s.examiner.note(fail, "require_pkce", "the provider offers no S256", "use another provider, or another kind of client")
	}
	if s.BackchannelLogoutURI != "" && !m.Backchannel {
		s.examiner.note(warn, "backchannel-logout-uri", "the provider does not say that it tells anybody when a session ends", "do not wait for it")
	}
}

// wantedACRs are the acr values that the application asks for, or else the one
// that its registration stands for.
func (s *application) wantedACRs() []string {
	if s.acrs != "" {
		return strings.Fields(s.acrs)
	}
	if s.ACRDefault != "" {
		return []string{string(s.ACRDefault)}
	}
	return nil
}

// offered notes what is wanted and not offered. A provider that does not say
// what it offers is not judged.
func (s *application) offered(of string, wanted, offered []string, v verdict) {
	for _, w := range wanted {
		if w != "" && offered != nil && !slices.Contains(offered, w) {
			s.examiner.note(v, of, fmt.Sprintf("the provider does not offer %.100q", w), "use one of "+strings.Join(offered, " "))
		}
	}
}
