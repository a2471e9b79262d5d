package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/api"
	legacy "github.com/lanyard-id/lanyard/api/cis1"
	"github.com/lanyard-id/lanyard/api/desk"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/store/redis"
)

// mountBridge puts on pages what is switched on of the old service, and lets
// grants exchange its SSO tokens and browsers be signed in by its sessions. With all off it does nothing.
func (p parts) mountBridge(pages *api.Server, agents *desk.Server, room *smartcard.Room, live *redis.Store, journal idp.Journal, grants *idp.Grants) {
	b := p.bridge
	if !b.on() && !b.Exchange {
		return
	}
	sessions := &cis1.Sessions{Store: live, People: p.registry, Journal: journal, Fences: p.registry,
		Timers: idp.Timers{Max: b.SessionMax, Idle: b.SessionIdle}, Ours: p.timers, Now: p.now}
	switched, _ := cis1.ReadSwitch(b.Off) // checkBridge has read it
	off := func(client string) bool { return switched.Off(client, p.now()) }
	grants.SwitchedOff, pages.Logins.SwitchedOff = off, off
	if b.Exchange {
		grants.SSO, grants.SSOClients = sessions, b.ExchangeClients
		grants.SSOUsed = func(g idp.Grant, who idp.Person) {
			p.usage.Count(cis1.Use{Part: cis1.Exchange, Call: "token", Application: g.ClientID, Organisation: cis1.WorksAt(g.Role, who, p.now()), Person: who.UID})
		}
	}
	if !b.on() {
		return
	}
	at := strings.TrimSuffix(cmp.Or(b.URL, origin(p.issuer)), "/")
	gateway := smartcard.GatewayConfig{Questions: live.Questions("cis1"), Rules: p.registry, URL: at, Sign: p.signChallenge, SHA1: b.SHA1}
	if b.Desk {
		gateway.Departures, sessions.Departures = live.Departures, live
	}
	c := legacy.Config{Gateway: b.Gateway, Assertion: b.Assertion, SessionManager: b.SessionManager,
		URL: at, Help: origin(p.issuer) + "/", Networks: b.Networks,
		Cards: smartcard.NewGateway(room, gateway), Sessions: sessions, Usage: p.usage, Off: switched, Words: pages, Arrivals: agents.Arrivals, Now: p.now, Log: p.log}
	if b.Desk {
		grants.Former, pages.Logins.AtDesk = sessions, live
		agents.Proofs = smartcard.NewProofs(room, smartcard.ProofsConfig{Questions: live.Questions("cis1-proof"), Desks: live, Sessions: sessions,
			Off: off, Used: p.atDesk})
		agents.ProofURL, c.Proof = at+legacy.ProofPath, agents.GiveProof
	}
	if b.SignAssertions {
		c.Signer = p.assertionKey
	}
	pages.Legacy, pages.LegacyApart = legacy.New(c).Mount, b.Listen != ""
}

// signChallenge signs a challenge as this service's: old agents bring that back.
func (p parts) signChallenge(challenge []byte) ([]byte, error) {
	key, ok := p.keys().Signer(idp.RSAKey, p.now())
	if !ok {
		return nil, errors.New("no key signs with RSA")
	}
	sum := sha256.Sum256(challenge)
	return key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// atDesk counts a person who came into an application by a session of the old
// service.
func (p parts) atDesk(ctx context.Context, client string, e authenticators.Evidence) {
	p.countAt(ctx, cis1.Use{Part: cis1.AtDesk, Call: "proof", Application: client, Person: e.Subject})
}

// agentSeen counts an agent at a desk that somebody has signed in with.
func (p parts) agentSeen(ctx context.Context, a smartcard.Agent, e authenticators.Evidence) {
	p.countAt(ctx, cis1.Use{Part: cis1.DeskAuth, Call: cis1.SignIn, Application: a.Name, Version: a.Version, Person: e.Subject})
}

// countAt counts a use where its person works; that is left out if nobody can
// say.
func (p parts) countAt(ctx context.Context, use cis1.Use) {
	if p.usage == nil {
		return
	}
	if who, err := p.registry.Person(ctx, use.Person); err == nil {
		use.Organisation = cis1.WorksAt("", who, p.now())
	}
	p.usage.Count(use)
}

// assertionKey is the key that signs role assertions now, and since when.
func (p parts) assertionKey() (crypto.Signer, time.Time, bool) {
	key, ok := p.keys().Signer(idp.RSAKey, p.now())
	return key.Signer, key.SignsFrom, ok
}

// keepUses writes down who used the old service since the last time.
func (p *production) keepUses(ctx context.Context) error { return p.usage.Keep(ctx, p.registry) }

// bridgeGroup are the commands about the old service, told by the configuration.
func bridgeGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bridge",
		Short: "Say who still uses the old service (CIS1)",
		RunE: func(*cobra.Command, []string) error {
			return exit{exitUsage, errors.New("name a command: report")}
		},
	}
	p := onConfig(cmd)
	cmd.AddCommand(bridgeReport(p))
	return cmd
}

func bridgeReport(c *configured) *cobra.Command {
	var asJSON bool
	var days int
	cmd := &cobra.Command{
		Use:   "report",
		Short: "List which applications, agents and people use what of the old service",
		Long: `List which applications and agents called what of the old service, at which organisation, how often and for how
many people, and from which day on each is switched off (bridge.off). Then the agents that people signed in with by
card, new and old, and how far each organisation is up to date: no rule about agents ends one of theirs. Applications of the old service do not prove
themselves: they stand here as they call themselves, or with the address that they called from.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 || days > cis1.UsesKept {
				return exit{exitUsage, fmt.Errorf("--days is 1 to %d", cis1.UsesKept)}
			}
			report, err := c.bridgeReport(cmd.Context(), days)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(report)
			}
			return showReport(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the report as JSON")
	cmd.Flags().IntVar(&days, "days", 30, "how many `days` back")
	return cmd
}

// bridgeReport sums up what was counted.
func (c *configured) bridgeReport(ctx context.Context, days int) (cis1.Report, error) {
	s, err := c.settle(time.Now, "postgres", "keys", "bridge")
	if err != nil {
		return cis1.Report{}, err
	}
	store, done, err := openProduction(ctx, s, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return cis1.Report{}, err
	}
	defer done()
	from := idp.DateOf(time.Now().AddDate(0, 0, 1-days))
	counted, err := store.UsesSince(ctx, from)
	if err != nil {
		return cis1.Report{}, ending(err)
	}
	rules := map[string][]smartcard.AgentRule{}
	for _, c := range counted {
		if _, asked := rules[c.Application]; asked || c.Call != cis1.SignIn {
			continue
		}
		if rules[c.Application], err = store.AgentRules(ctx, c.Application); err != nil {
			return cis1.Report{}, ending(err)
		}
	}
	off, _ := cis1.ReadSwitch(s.Bridge.Off)
	taken := func(product, version string) bool {
		return !slices.ContainsFunc(rules[product], func(r smartcard.AgentRule) bool { return r.Hits(version) })
	}
	return cis1.ReportOf(from, counted, off, taken), nil
}

// showReport writes a report for people.
func showReport(w io.Writer, r cis1.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintf(t, "since %s\n\nAPPLICATION\tPART\tCALL\tVERSION\tORGANISATION\tCALLS\tPEOPLE\tLAST\tOFF FROM\n", r.From)
	for _, l := range r.Uses {
		_, e := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", l.Application, l.Part, l.Call, l.Version, l.Organisation, l.Calls, l.People, l.Last, l.Off)
		err = errors.Join(err, e)
	}
	_, e := fmt.Fprintf(t, "\nAGENT\tVERSION\tORGANISATION\tPEOPLE\tLAST\tTAKEN\n")
	err = errors.Join(err, e)
	for _, a := range r.Agents {
		_, e := fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%t\n", a.Product, a.Version, a.Organisation, a.People, a.Last, a.Taken)
		err = errors.Join(err, e)
	}
	_, e = fmt.Fprintf(t, "\nORGANISATION\tPEOPLE\tUP TO DATE\n")
	err = errors.Join(err, e)
	for _, o := range r.Estates {
		_, e := fmt.Fprintf(t, "%s\t%d\t%.0f %%\n", o.Organisation, o.People, 100*o.Current)
		err = errors.Join(err, e)
	}
	if len(r.Agents) > 0 {
		_, e := fmt.Fprintf(t, "\n%.0f %% of people have agents that no rule ends\n", 100*r.Current)
		err = errors.Join(err, e)
	}
	return errors.Join(err, t.Flush())
}
