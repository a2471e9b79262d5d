package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// personGroup are the commands about people.
func personGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "person", Short: "People: who they are, and what they work as"}
	r := onRemote(cmd)
	found := []string{"uid", "display", "email", "profile", "organisations"}
	find := &cobra.Command{
		Use:   "find WORDS",
		Short: "Find people by uid, e-mail, card or the beginnings of names",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.list(cmd, "/people", url.Values{"q": {strings.Join(args, " ")}, "limit": {"100"}}, found)
		},
	}
	show := &cobra.Command{
		Use:   "show UID",
		Short: "Show a person with what they hold",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return r.showPerson(cmd, args[0]) },
	}
	cmd.AddCommand(find, show, assignCommand(r),
		r.show("events UID", "Show what happened to a person, or by them", "/people/{}/events", []string{"at", "kind", "subject", "actor", "organisation", "reason"}),
		r.show("sessions UID", "Show what a person is signed in to", "/people/{}/sessions", []string{"sid", "method", "level", "auth_time", "expires", "clients"}))
	for _, a := range []act{
		{"add", "Add a person; their uid is chosen for them", http.MethodPost, "/people", with(detailOptions, checkOptions, []option{
			{"profile", "profile", words, "`state`: verified or unverified", true},
			{"confirmed", "confirmed", truth, "those who are alike are other people", false}, reasonOption(false)}), ""},
		{"change UID", "Change what is written down of a person", http.MethodPatch, "/people/{}", with(detailOptions, []option{
			{"confirmed", "confirmed", truth, "those who are alike are other people", false}, reasonOption(false)}), ""},
		{"verify UID", "Write down that somebody's identity was checked", http.MethodPost, "/people/{}/verify", with(checkOptions, []option{
			{"confirmed", "confirmed", truth, "those who are alike are other people, and what they added themselves is theirs", false}}), ""},
		{"restrict UID", "Keep somebody from everything until their identity is verified again", http.MethodPost, "/people/{}/restrict", []option{reasonOption(true)}, ""},
		{"close UID", "End everything that somebody holds", http.MethodPost, "/people/{}/close", []option{reasonOption(true)}, ""},
		{"reopen UID", "Make a closed profile a restricted one", http.MethodPost, "/people/{}/reopen", []option{reasonOption(true)}, ""},
		{"merge UID", "Move what a duplicate holds to the person whose duplicate they are", http.MethodPost, "/people/{}/merge",
			[]option{{"into", "into", words, "`uid` of who stays", true}, reasonOption(true)}, ""},
		{"temporary UID", "Give a position for a time, with its reason", http.MethodPost, "/people/{}/temporary", with(workOptions, []option{reasonOption(true)}), ""},
		{"change-position POSITION", "Change what a position says", http.MethodPatch, "/positions/{}", with(optional(workOptions), []option{reasonOption(false)}), ""},
		{"end POSITION", "End a position with a day", http.MethodPost, "/positions/{}/end", []option{{"day", "day", words, "its last `day`; without it, today", false}, reasonOption(false)}, ""},
		{"leave UID", "End all positions that somebody has at an organisation", http.MethodPost, "/people/{}/leave",
			[]option{{"organisation", "organisation", words, "`code` of the organisation", true}, {"day", "day", words, "the last `day`; without it, today", false}, reasonOption(false)}, ""},
		{"end-session UID SID", "End one session", http.MethodPost, "/people/{}/sessions/{}/end", []option{reasonOption(false)}, ""},
		{"sign-out UID", "End everything that somebody is signed in to", http.MethodPost, "/people/{}/sign-out", []option{reasonOption(false)}, ""},
		{"invite UID", "Make a code with which somebody adds a security key or Windows Hello in the next 15 minutes", http.MethodPost, "/people/{}/invite", checkOptions, ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}

// robotGroup are the commands about profiles that programs work with.
func robotGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "robot", Short: "Profiles that programs work with"}
	r := onRemote(cmd)
	facts := []option{
		{"display", "display", words, "`name` as it is shown", true},
		{"owner", "owner", words, "`uid` of who answers for it", true},
		{"until", "until", words, "its last `day`", true},
	}
	for _, a := range []act{
		{"add", "Add a profile that a program works with; its uid is chosen for it", http.MethodPost, "/robots", with(facts, []option{reasonOption(true)}), ""},
		{"change UID", "Change a robot's owner, name or end", http.MethodPatch, "/robots/{}", with(optional(facts), []option{reasonOption(true)}), ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}

// authenticatorGroup are the commands about what people sign in with beside
// their cards.
func authenticatorGroup() *cobra.Command {
	cmd := &cobra.Command{Use: "authenticator", Short: "What people sign in with beside their cards"}
	r := onRemote(cmd)
	of := "/people/{}/authenticators/{}/"
	for _, a := range []act{
		{"suspend UID ID", "Stop an authenticator until it is resumed", http.MethodPost, of + "suspend", []option{reasonOption(true)}, ""},
		{"resume UID ID", "Let an authenticator be used again", http.MethodPost, of + "resume", []option{reasonOption(true)}, ""},
		{"remove UID ID", "Take an authenticator away", http.MethodPost, of + "remove", []option{reasonOption(true)}, ""},
		{"unlock UID", "Forget the wrong tries at an authenticator", http.MethodPost, "/people/{}/unlock",
			[]option{{"kind", "authenticator", words, "`kind` of it: totp", true}, reasonOption(true)}, ""},
	} {
		cmd.AddCommand(a.command(r))
	}
	return cmd
}

// showPerson writes one person.
func (r *remote) showPerson(cmd *cobra.Command, uid string) error {
	var p map[string]any
	if err := r.get(cmd.Context(), "/people/"+url.PathEscape(uid), nil, &p); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if r.asJSON {
		return writeJSON(out, p)
	}
	name, _ := p["name"].(map[string]any)
	for _, line := range [][2]string{{"uid", cell(p["uid"])}, {"name", cell(name["display"])}, {"email", cell(p["email"])}, {"mobile", cell(p["mobile"])},
		{"profile", cell(p["profile"])}, {"identity assurance", cell(p["identity_assurance"])}, {"robot", cell(p["robot"])}, {"merged into", cell(p["merged_into"])}} {
		if line[1] != "" {
			_, _ = fmt.Fprintf(out, "%-19s %s\n", line[0], line[1])
		}
	}
	for _, part := range []struct {
		name    string
		columns []string
	}{
		{"positions", []string{"id", "organisation", "organisation_name", "role_code", "role_name", "from", "to", "current", "reason"}},
		{"cards", []string{"serial", "series", "state", "ends_on", "used_at"}},
		{"authenticators", []string{"id", "kind", "name", "model", "level", "state", "used_at"}},
		{"authorities", []string{"authority", "organisation", "position"}},
	} {
		if err := showPart(out, part.name, part.columns, p[part.name]); err != nil {
			return err
		}
	}
	return nil
}

func showPart(out io.Writer, name string, columns []string, list any) error {
	var items []map[string]any
	all, _ := list.([]any)
	for _, e := range all {
		if item, ok := e.(map[string]any); ok {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(out, "\n%s\n", name)
	return table(out, columns, items)
}
