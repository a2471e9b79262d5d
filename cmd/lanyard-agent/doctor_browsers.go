package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// installed is a browser of this computer, with what its administrator decided.
type installed struct {
	name     string
	exact    bool // its policies name origins to the letter (Firefox); others take patterns
	policies []policyText
}

// policyText is a file of policies, or what stands for one.
type policyText struct {
	from string
	text []byte
	err  error
}

// maxPolicy bounds a file of policies.
const maxPolicy = 1 << 20

// policies are those of a browser that matter to the agent.
type policies struct {
	AutoLaunch []struct {
		Protocol string   `json:"protocol"`
		Origins  []string `json:"allowed_origins"`
	} `json:"AutoLaunchProtocolsFromOrigins"`
	Blocked []string `json:"URLBlocklist"`
	Allowed []string `json:"URLAllowlist"`
}

// read reads the policies in one text. Firefox has them one level deeper.
func (p policyText) read() (policies, error) {
	var flat policies
	if p.err != nil {
		return flat, p.err
	}
	var deeper struct {
		Policies *policies `json:"policies"`
	}
	if json.Unmarshal(p.text, &deeper) == nil && deeper.Policies != nil {
		return *deeper.Policies, nil
	}
	if err := json.Unmarshal(p.text, &flat); err != nil {
		return policies{}, errors.New("it is no plain JSON, so nobody has looked at it here")
	}
	return flat, nil
}

// browsers looks whether the links of sign-in pages open without a question, and
// whether they open at all.
func (e *examination) browsers(s settings.Settings) {
	all := e.installedBrowsers()
	if len(all) == 0 {
		e.note(warn, "browsers", "none was found that is known here", "see that the one in use opens the links of sign-in pages")
	}
	for _, b := range all {
		of := "browser " + b.name
		var said policies
		for _, text := range b.policies {
			p, err := text.read()
			if err != nil {
				e.note(warn, of, text.from+": "+firstLine(err), "see whether the browser takes it (chrome://policy), or write it without comments and last commas")
				continue
			}
			said = said.under(p)
		}
		if said.blocks() {
			e.note(fail, of, "its URLBlocklist keeps the links of sign-in pages from opening", `add "lanyard-desk:*" to URLAllowlist`)
			continue
		}
		if said.strands() {
			e.note(fail, of, "its URLBlocklist keeps it from coming back from the agent", `add "127.0.0.1" to URLAllowlist`)
			continue
		}
		for _, service := range s.Services {
			if said.launches(service, b.exact) {
				e.note(fine, of, "links of "+service.Origin+" open without a question", "")
				continue
			}
			e.note(warn, of, "it asks people each time whether "+service.Origin+" may open the agent",
				"set the policy AutoLaunchProtocolsFromOrigins: docs/agent.md has it to copy")
		}
	}
}

// under is what counts of p and the file that is read after it: each policy is
// that of the last file that has it.
func (p policies) under(later policies) policies {
	if later.AutoLaunch != nil {
		p.AutoLaunch = later.AutoLaunch
	}
	if later.Blocked != nil {
		p.Blocked = later.Blocked
	}
	if later.Allowed != nil {
		p.Allowed = later.Allowed
	}
	return p
}

// ourLinks is how lists of addresses name our links.
var ourLinks = []string{desk.Scheme + ":*", desk.Scheme + "://*"}

func names(list []string, wanted ...string) bool {
	return slices.ContainsFunc(list, func(entry string) bool { return slices.Contains(wanted, entry) })
}

// blocks says whether our links are forbidden.
func (p policies) blocks() bool {
	return names(p.Blocked, append(ourLinks, "*")...) && !names(p.Allowed, ourLinks...)
}

// strands says whether the browser may not go to the agent for the completion
// code, at whatever port.
func (p policies) strands() bool {
	agent := func(pattern string) bool { return covers(pattern, "http://127.0.0.1:49152") }
	return slices.ContainsFunc(p.Blocked, agent) && !slices.ContainsFunc(p.Allowed, agent)
}

// launches says whether the pages of a service open our links without a
// question. Those of every page do where the scheme is in the list of what is
// allowed.
func (p policies) launches(s desk.Service, exact bool) bool {
	if !exact && names(p.Allowed, ourLinks...) {
		return true
	}
	for _, a := range p.AutoLaunch {
		if a.Protocol != desk.Scheme {
			continue
		}
		for _, pattern := range a.Origins {
			if pattern == s.Origin || !exact && covers(pattern, s.Origin) {
				return true
			}
		}
	}
	return false
}

// covers says whether a pattern of Chromium's stands for an origin: a scheme
// that may be missing, a host with those below it (a dot before it: without),
// and a port that may be missing.
func covers(pattern, origin string) bool {
	o, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if scheme, rest, ok := strings.Cut(pattern, "://"); ok {
		if scheme != "*" && scheme != o.Scheme {
			return false
		}
		pattern = rest
	}
	if pattern = strings.TrimSuffix(pattern, "/"); pattern == "*" {
		return true
	}
	host := o.Host
	if o.Port() == "" {
		host += map[string]string{"https": ":443", "http": ":80"}[o.Scheme]
	}
	if !hasPort(pattern) {
		host, _, _ = strings.Cut(host, ":")
	}
	if only, ok := strings.CutPrefix(pattern, "."); ok {
		return host == only
	}
	return host == pattern || strings.HasSuffix(host, "."+pattern)
}

func hasPort(pattern string) bool {
	u, err := url.Parse("//" + strings.TrimPrefix(pattern, "."))
	return err == nil && u.Port() != ""
}

// unsaid is a policy that cannot be read.
func unsaid(from string, err error) policyText {
	return policyText{from: from, err: fmt.Errorf("it cannot be read: %w", err)}
}
