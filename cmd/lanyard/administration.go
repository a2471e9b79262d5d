package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/ra"
	programs "github.com/lanyard-id/lanyard/api/registry"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/redis"
)

// authority is what the registration authority asks of the store of people.
type authority interface {
	rules.Keeper
	rules.Finder
	rules.Managing
	rules.Enrolments
	rules.Insured
	rules.Uses
	rules.Addresses
}

// administration is how the registry is looked after.
type administration struct {
	approvals rules.Approvals
	operator  string // a token of who has this server's files: development only

	certifies rules.CardAuthority // issues the certificates of cards; nil: none are
	trusts    rules.CardTrust     // judges those of other authorities

	address string // of the service, for mails

	// The whole directory, and everything that is registered of applications.
	whole    func(context.Context) (directory.Document, error)
	everyone func(context.Context) ([]idp.Client, error)
}

// registryService is what all faces of the registration authority call.
func (a administration) registryService(store registry, live *redis.Store, accounts *idp.Accounts) *rules.Service {
	return &rules.Service{Keeper: store, Finder: store, Own: live, Sessions: live, Limits: live, Locks: live, Uses: store, Managing: store, Addresses: store, Policy: a.approvals, Now: accounts.Now,
		Address: a.address, CardAuthority: a.certifies, CardTrust: a.trusts}
}

// mountPages returns what puts the pages of the registration authority on
// routers.
func (a administration) mountPages(pages *api.Server, store registry, live *redis.Store, accounts *idp.Accounts) func(pages, files chi.Router) {
	return ra.New(ra.Config{Server: pages, Service: a.registryService(store, live, accounts), Accounts: accounts, Held: store,
		Checks: live.Questions("ra"), Now: accounts.Now}).Mount
}

// mountAdministration returns what puts the registration authority for programs
// on a router.
func (p parts) mountAdministration(pages *api.Server, live *redis.Store, grants *idp.Grants, accounts *idp.Accounts) func(chi.Router) {
	service := p.registryService(p.registry, live, accounts)
	return programs.New(programs.Config{Server: pages, Service: service, Tokens: grants, Sessions: live, People: p.registry, Accounts: accounts,
		Repeats: live, Sealer: p.sealer, Now: p.now, Directory: p.whole, Clients: p.everyone, Operator: p.operator}).Mount
}

// everyAuthority is what positions give in the registration authority.
var everyAuthority = []rules.Authority{rules.Manager, rules.Advanced, rules.Agent, rules.Sponsor, rules.IDChecker, rules.CardAdmin}

// approvals is the policy that the settings say.
func (s settled) approvals() rules.Approvals {
	second, _ := readSecond(s.Policy.SecondPerson) // checked before
	return rules.Approvals{Home: s.Policy.Home, Second: second, TemporaryDays: s.Policy.TemporaryDays}
}

// demoHome is the organisation of the demo directory that runs the service.
const demoHome = "X26"

// inMemory is how the registry of a development service is looked after.
func inMemory(people *memory.Store, operator string) administration {
	return administration{approvals: rules.Approvals{Home: demoHome}, operator: operator,
		whole: func(context.Context) (directory.Document, error) { return people.Document(), nil },
		everyone: func(context.Context) ([]idp.Client, error) {
			var all []idp.Client
			for _, c := range people.Document().Clients {
				all = append(all, c.IDP())
			}
			return all, nil
		}}
}

// operatorToken makes a token for whoever may read the file beside the state of
// a development service; "" where there is none. It is another one at each
// start.
func operatorToken(state string) (string, error) {
	if state == "" {
		return "", nil
	}
	token := idp.NewSecret()
	f, err := os.OpenFile(state+tokenFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // beside the file that the developer named
	if err != nil {
		return "", exit{exitUsage, err}
	}
	_, err = fmt.Fprintln(f, token)
	return token, errors.Join(err, f.Chmod(0o600), f.Close())
}

// tokenFile is what the name of a state file has behind it for the token that
// stands beside.
const tokenFile = ".token"

// readSecond reads which changes wait for a second person, each written
// CHANGE:ASKER:APPROVER or with several approvers behind it: of them one must
// approve. none as the approver is nobody.
func readSecond(lines []string) ([]rules.SecondPerson, error) {
	var all []rules.SecondPerson
	for _, line := range lines {
		words := strings.Split(line, ":")
		if len(words) < 3 {
			return nil, fmt.Errorf("%.60q is not CHANGE:ASKER:APPROVER", line)
		}
		s := rules.SecondPerson{Kind: rules.Kind(words[0]), Asker: rules.Authority(words[1])}
		if !slices.Contains(rules.Kinds(), s.Kind) {
			return nil, fmt.Errorf("%.60q is no change: perhaps %s", words[0], directory.Nearest(words[0], texts(rules.Kinds())))
		}
		for _, w := range words[1:] {
			if w != "none" && !slices.Contains(everyAuthority, rules.Authority(w)) {
				return nil, fmt.Errorf("%.60q is no authority: perhaps %s", w, directory.Nearest(w, texts(everyAuthority)))
			}
		}
		if words[2] != "none" {
			for _, w := range words[2:] {
				s.By = append(s.By, rules.Authority(w))
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func texts[S ~string](values []S) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}
