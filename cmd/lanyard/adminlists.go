package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// cardActs are the commands about cards in the registry.
func cardActs(r *remote) []*cobra.Command {
	all := []*cobra.Command{issueCommand(r), certificateCommand(r)}
	for _, a := range []act{
		{"suspend SERIAL", "Stop a card until it is resumed", http.MethodPost, "/cards/{}/suspend", []option{reasonOption(true)}, ""},
		{"resume SERIAL", "Let a card be used again", http.MethodPost, "/cards/{}/resume", []option{reasonOption(true)}, ""},
		{"revoke SERIAL", "End a card for good", http.MethodPost, "/cards/{}/revoke", []option{reasonOption(true)}, ""},
		{"replace SERIAL", "Give a card in the place of another, which is revoked", http.MethodPost, "/cards/{}/replace", with(cardOptions, []option{reasonOption(true)}), ""},
	} {
		all = append(all, a.command(r))
	}
	return all
}

// clientOptions are what is registered of an application.
var clientOptions = []option{
	{"name", "client.name", words, "`name` that people read", false},
	{"auth-method", "client.auth_method", words, "`how` it proves itself: client_secret_basic, client_secret_post, private_key_jwt or none", false},
	{"redirect-uri", "client.redirect_uris", list, "an `address` that people come back to; may be repeated", false},
	{"post-logout-redirect-uri", "client.post_logout_redirect_uris", list, "an `address` after signing out; may be repeated", false},
	{"backchannel-logout-uri", "client.backchannel_logout_uri", words, "`address` that is told when a session ends", false},
	{"jwks-uri", "client.jwks_uri", words, "`address` of its public keys", false},
	{"scope", "client.scopes", list, "a `scope` that it may ask for; may be repeated", false},
	{"grant", "client.grants", list, "a `grant` that it may use; may be repeated", false},
	{"response-mode", "client.response_modes", list, "`mode` of its answers: query or form_post; may be repeated", false},
	{"id-token-alg", "client.id_token_alg", words, "`algorithm` of its ID tokens", false},
	{"userinfo-alg", "client.userinfo_alg", words, "`algorithm` of its userinfo; none is JSON", false},
	{"acr-default", "client.acr_default", words, "`acr` of requests that name none", false},
	{"acr-allowed", "client.acr_allowed", list, "an `acr` that requests may name; may be repeated", false},
	{"min-level", "client.min_level", number, "least `level` of every sign-in", false},
	{"require-pkce", "client.require_pkce", truth, "every request must have PKCE", false},
	{"requires-role", "client.requires_role", truth, "nobody signs in without a role", false},
	{"accepts-unverified", "client.accepts_unverified", truth, "unverified people may use it", false},
}

// clientActs are the commands about applications in the registry.
func clientActs(r *remote) []*cobra.Command {
	show := &cobra.Command{
		Use: "show ID", Short: "Show what is registered of an application", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c map[string]any
			if err := r.get(cmd.Context(), "/clients/"+url.PathEscape(args[0]), nil, &c); err != nil {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), c)
		},
	}
	all := []*cobra.Command{r.show("list", "List the applications", "/clients", []string{"id", "name", "auth_method", "min_level", "scopes"}), show}
	for _, a := range []act{
		{"add", "Register an application; its secret is shown once", http.MethodPost, "/clients", with([]option{{"id", "client.id", words, "`id` of the application", true}}, clientOptions), ""},
		{"change ID", "Change what is registered of an application", http.MethodPatch, "/clients/{}",
			with(clientOptions, []option{{"new-secret", "new_secret", truth, "make another secret, which is shown once", false}, reasonOption(false)}), ""},
		{"remove ID", "Stop an application for good", http.MethodPost, "/clients/{}/remove", []option{reasonOption(true)}, ""},
	} {
		all = append(all, a.command(r))
	}
	return all
}

// organisationGroup are the commands about organisations.
func organisationGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "organisation", Short: "Organisations, and the positions there"}
	r := onRemote(cmd)
	cmd.AddCommand(r.show("find", "Find organisations by code or the beginning of a name", "/organisations", []string{"code", "name", "parent", "closed_on", "successor"}, "q"))
	successor := option{"successor", "successor", words, "`code` of the organisation that goes on", false}
	needed := successor
	needed.required = true
	on := option{"on", "on", words, "its last `day`", true}
	for _, a := range []act{
		{"add", "Add an organisation", http.MethodPost, "/organisations", []option{{"code", "code", words, "its `code`", true}, {"name", "name", words, "its `name`", true}, {"parent", "parent", words, "`code` of the one above it", false}}, ""},
		{"change CODE", "Change an organisation's name or parent", http.MethodPatch, "/organisations/{}",
			[]option{{"name", "name", words, "its `name`", false}, {"parent", "parent", words, "`code` of the one above it", false}, reasonOption(false)}, ""},
		{"close CODE", "Close an organisation, and end all positions there", http.MethodPost, "/organisations/{}/close", []option{on, successor, reasonOption(true)}, ""},
		{"merge CODE", "Close an organisation whose positions go on at its successor", http.MethodPost, "/organisations/{}/merge", []option{on, needed, reasonOption(true)}, ""},
		{"move-positions", "Let positions go on at another organisation from a day", http.MethodPost, "/positions/move",
			[]option{{"from", "from", words, "`code` of the organisation that they are at", true}, {"to", "to", words, "`code` of the other one", true}, {"day", "day", words, "the first `day` there", true},
				{"uid", "uids", list, "`uid` of somebody whose positions go; may be repeated; without it, everybody's", false}, reasonOption(true)}, ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}

// applicantGroup are the commands about people who apply for a care identity.
func applicantGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "applicant", Short: "People who were invited to apply for a care identity"}
	r := onRemote(cmd)
	show := &cobra.Command{
		Use: "show ID", Short: "Show an applicant", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a map[string]any
			if err := r.get(cmd.Context(), "/applicants/"+url.PathEscape(args[0]), nil, &a); err != nil {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), a)
		},
	}
	cmd.AddCommand(r.show("list", "List who is not decided on", "/applicants", []string{"id", "state", "email", "organisation", "invited_by", "invited_at", "until"}, "at"), show)
	confirmed := option{"confirmed", "confirmed", truth, "those who are alike are other people", false}
	for _, a := range []act{
		{"invite", "Invite somebody to apply; the code goes to their address alone", http.MethodPost, "/applicants", []option{{"email", "email", words, "their `address`", true},
			{"organisation", "organisation", words, "`code` of the organisation", true}, confirmed, reasonOption(false)}, ""},
		{"accept ID", "Make an applicant whose identity was checked a verified person", http.MethodPost, "/applicants/{}/accept", with(checkOptions, []option{confirmed}), ""},
		{"refuse ID", "Refuse an applicant, or take an invitation back", http.MethodPost, "/applicants/{}/refuse", []option{reasonOption(true)}, ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}

// noticeGroup are the commands about notices.
func noticeGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "notice", Short: "Mails to everybody whom something concerns"}
	r := onRemote(cmd)
	cmd.AddCommand(act{"send", "Tell by mail who works at an organisation or below it; with --check, how many that are", http.MethodPost, "/notices", []option{
		{"organisation", "organisation", words, "`code` of the organisation", true},
		{"role", "role", words, "only who has the role with this last `code`, such as R8001", false},
		{"series", "series", number, "only who has a card of this `series`", false},
		{"subject", "subject", words, "subject of the mail: one `line`", true},
		{"text", "text", words, "what it says, as plain `text`", true}}, ""}.command(r))
	return cmd
}

// requestGroup are the commands about what waits for a second person.
func requestGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "request", Short: "Changes that wait for a second person"}
	r := onRemote(cmd)
	cmd.AddCommand(r.show("list", "List what waits", "/requests", []string{"id", "kind", "asked_by", "uid", "at", "asked_at", "until", "change"}, "at"))
	for _, a := range []act{
		{"approve ID", "Approve a change that somebody else asked for, which makes it", http.MethodPost, "/requests/{}/approve", []option{reasonOption(false)}, ""},
		{"refuse ID", "Refuse a change that somebody else asked for", http.MethodPost, "/requests/{}/refuse", []option{reasonOption(false)}, ""},
		{"withdraw ID", "Withdraw a change that you asked for", http.MethodPost, "/requests/{}/withdraw", []option{reasonOption(false)}, ""},
	} {
		cmd.AddCommand(a.decision(r))
	}
	return cmd
}

// decision is command for what cannot be tried first.
func (a act) decision(r *remote) *cobra.Command {
	cmd := a.command(r)
	_ = cmd.Flags().MarkHidden("check")
	return cmd
}

// worklistCommand lists people about whom something is to be done.
func worklistCommand() *cobra.Command {
	var at string
	var asCSV bool
	cmd := &cobra.Command{
		Use:   "worklist NAME",
		Short: "List people about whom something is to be done",
		Long:  "The lists are expiring, locked, no-contact, dormant, unverified, leavers, stopped, temporary, robots and suspended: docs/registry.md.",
		Args:  cobra.ExactArgs(1),
	}
	r := onRemote(cmd)
	cmd.Flags().StringVar(&at, "at", "", "`code` of an organisation: what is there or below")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "write CSV")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return r.worklist(cmd, args[0], at, "", asCSV) }
	return cmd
}

func (r *remote) worklist(cmd *cobra.Command, name, at, on string, asCSV bool) error {
	query := url.Values{}
	for key, value := range map[string]string{"at": at, "on": on} {
		if value != "" {
			query.Set(key, value)
		}
	}
	path := "/worklists/" + url.PathEscape(name)
	if !asCSV {
		return r.list(cmd, path, query, []string{"uid", "display", "email", "profile", "organisations", "why"})
	}
	text, err := r.ask(cmd.Context(), http.MethodGet, path, query, nil, "text/csv")
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// referenceCommand leads from what somebody reads out to its cause.
func referenceCommand() *cobra.Command {
	var r remote
	shown := r.show("reference XXXXXXXX", "Lead from the reference that somebody reads out to its cause and what to do", "/references/{}",
		[]string{"at", "kind", "subject", "client", "code", "cause", "remedy", "reason"})
	r.options(shown)
	return shown
}

// policyGroup are the commands about the rules on cards and agents.
func policyGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Rules on series of cards and on agents"}
	r := onRemote(cmd)
	show := &cobra.Command{Use: "show", Short: "Show the rules", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var p map[string]any
		if err := r.get(cmd.Context(), "/policy", nil, &p); err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(cmd.OutOrStdout(), p)
		}
		if err := showPart(cmd.OutOrStdout(), "series of cards", []string{"series", "blocked_from", "legacy_gateway"}, p["card_series"]); err != nil {
			return err
		}
		if err := showPart(cmd.OutOrStdout(), "agents", []string{"product", "except", "below", "blocked_from"}, p["agents"]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nwarned %s days before an end\n", cell(p["warn_days"]))
		return err
	}}
	var day, at string
	var asCSV bool
	simulate := &cobra.Command{Use: "simulate", Short: "List whom a rule on cards stops on a day", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if day == "" {
			return exit{exitUsage, errors.New("--date is needed")}
		}
		return r.worklist(cmd, "stopped", at, day, asCSV)
	}}
	simulate.Flags().StringVar(&day, "date", "", "the `day`, such as 2030-01-31")
	simulate.Flags().StringVar(&at, "at", "", "`code` of an organisation: what is there or below")
	simulate.Flags().BoolVar(&asCSV, "csv", false, "write CSV")
	cmd.AddCommand(show, simulate)
	blocked := option{"blocked-from", "blocked_from", words, "first `day` on which they are refused", false}
	remove := option{"remove", "remove", truth, "forget the rule", false}
	for _, a := range []act{
		{"series NUMBER", "Say what is known of a series of cards, or forget it", http.MethodPut, "/policy/series/{}",
			[]option{blocked, {"legacy-gateway", "legacy_gateway", truth, "such cards are also taken at the legacy gateway", false}, remove, reasonOption(false)}, ""},
		{"agent PRODUCT", "Block versions of a program that shows cards, or let them be used again", http.MethodPut, "/policy/agents/{}",
			[]option{{"except", "except", words, "the one `version` that stays", false}, {"below", "below", words, "`version` before which all are refused", false}, blocked, remove, reasonOption(false)}, ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}
