package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// option is a flag of a command that asks for a change, and the member of its
// JSON that it becomes.
type option struct {
	flag, member string // of a member of a member: name.given
	kind         optionKind
	usage        string
	required     bool
}

type optionKind int

const (
	words optionKind = iota // text
	truth                   // true where it is given
	number
	list      // may be repeated
	withNames // CODE or CODE=NAME; may be repeated
)

// act is a command that asks for a change.
type act struct {
	use, short   string
	method, path string // {} stands for an argument each, in order
	options      []option
	many         string // the member that all arguments become; "": the path's
}

// reasonOption is what most changes want.
func reasonOption(required bool) option {
	return option{"reason", "reason", words, "`why`", required}
}

var (
	checkOptions = []option{
		{"how", "check.how", words, "`how` the identity was checked: in_person, video or vouched", false},
		{"assurance", "check.assurance", number, "`level` that the check reached, 0 to 3", false},
		{"document", "check.documents", list, "`kind` of a document that was shown, and no number; may be repeated", false},
		{"by", "check.by", words, "`uid` of who checked, where that is somebody else", false},
	}
	detailOptions = []option{
		{"title", "name.title", words, "`title`", false},
		{"given", "name.given", words, "given `name`", false},
		{"middle", "name.middle", words, "middle `names`", false},
		{"family", "name.family", words, "family `name`", false},
		{"display", "name.display", words, "`name` as it is shown", false},
		{"email", "email", words, "`address`", false},
		{"mobile", "mobile", words, "`number`", false},
		{"ni-number", "ni_number", words, "National Insurance `number`", false},
		{"gmc", "professional.gmc_id", words, "`number` in the register of the General Medical Council", false},
		{"nmc", "professional.nmc_id", words, "`number` in that of the Nursing and Midwifery Council", false},
		{"gdc", "professional.gdc_id", words, "`number` in that of the General Dental Council", false},
		{"gphc", "professional.gphc_id", words, "`number` in that of the General Pharmaceutical Council", false},
	}
	workOptions = []option{
		{"organisation", "organisation", words, "`code` of the organisation", true},
		{"role-code", "role_code", words, "`code` of the role, such as S8000:G8000:R8000", true},
		{"role-name", "role_name", words, "`name` of the role", false},
		{"activity", "activities", withNames, "an activity, `CODE` or CODE=NAME; may be repeated", false},
		{"area", "areas_of_work", withNames, "an area of work, likewise", false},
		{"workgroup", "workgroups", withNames, "a workgroup, likewise", false},
		{"from", "from", words, "first `day`; without it, today", false},
		{"to", "to", words, "last `day`; without it, open", false},
		{"confirmed", "confirmed", truth, "that somebody is unverified is known", false},
	}
	cardOptions = []option{
		{"serial", "serial", words, "serial `number` of its certificate, in hex", true},
		{"series", "series", number, "`series` of the card", true},
		{"ends-on", "ends_on", words, "last `day` of its certificate", true},
	}
)

func with(lists ...[]option) []option {
	var all []option
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// optional are options of which none is needed: of what is only changed.
func optional(list []option) []option {
	all := slices.Clone(list)
	for i := range all {
		all[i].required = false
	}
	return all
}

// command makes a command of a.
func (a act) command(r *remote) *cobra.Command {
	var check bool
	cmd := &cobra.Command{Use: a.use, Short: a.short, Args: cobra.ExactArgs(strings.Count(a.path, "{}"))}
	if a.many != "" {
		cmd.Args = cobra.MinimumNArgs(1)
	}
	for _, o := range a.options {
		switch f := cmd.Flags(); o.kind {
		case words:
			f.String(o.flag, "", o.usage)
		case truth:
			f.Bool(o.flag, false, o.usage)
		case number:
			f.Int(o.flag, 0, o.usage)
		case list, withNames:
			f.StringArray(o.flag, nil, o.usage)
		}
	}
	cmd.Flags().BoolVar(&check, "check", false, "say what would be done, and do nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{}
		for _, o := range a.options {
			if o.required && !cmd.Flags().Changed(o.flag) {
				return exit{exitUsage, fmt.Errorf("--%s is needed", o.flag)}
			}
			o.put(cmd, body)
		}
		path := a.path
		if a.many != "" {
			body[a.many] = args
		} else {
			path = filled(path, args)
		}
		return r.change(cmd, a.method, path, body, check)
	}
	return cmd
}

// filled puts arguments into a path.
func filled(path string, args []string) string {
	for _, arg := range args {
		path = strings.Replace(path, "{}", url.PathEscape(arg), 1)
	}
	return path
}

// put puts what a flag says into the JSON, if it was given.
func (o option) put(cmd *cobra.Command, body map[string]any) {
	f := cmd.Flags()
	if !f.Changed(o.flag) {
		return
	}
	var value any
	switch o.kind {
	case words:
		value, _ = f.GetString(o.flag)
	case truth:
		value, _ = f.GetBool(o.flag)
	case number:
		value, _ = f.GetInt(o.flag)
	case list:
		value, _ = f.GetStringArray(o.flag)
	case withNames:
		texts, _ := f.GetStringArray(o.flag)
		value = coded(texts)
	}
	at, names := body, strings.Split(o.member, ".")
	for _, name := range names[:len(names)-1] {
		below, ok := at[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[name] = below
		}
		at = below
	}
	at[names[len(names)-1]] = value
}

// code is a code with its name.
type code struct {
	Code string `json:"code"`
	Name string `json:"name,omitempty"`
}

func coded(texts []string) []code {
	all := []code{}
	for _, t := range texts {
		is, name, _ := strings.Cut(t, "=")
		all = append(all, code{is, name})
	}
	return all
}

// change asks for a change and says what came of it.
func (r *remote) change(cmd *cobra.Command, method, path string, body any, check bool) error {
	query := url.Values{}
	if check {
		query.Set("check", "true")
	}
	text, err := r.ask(cmd.Context(), method, path, query, body, jsonKind)
	if err != nil {
		return err
	}
	return r.say(cmd.OutOrStdout(), text, check)
}

// madeChange is what came of a change, or would.
type madeChange struct {
	ID          string
	IDs         []string
	Request     string
	Second      []string
	Confirm     bool
	Warnings    []warning
	Secret      string
	Until       string
	Told        *int
	Differences []difference
}

type difference struct{ Op, Kind, ID, Person, Key, Was, Is string }

func (d difference) text() string {
	line := map[string]string{"add": "+", "change": "~", "remove": "-"}[d.Op] + " " + d.Kind + " " + d.ID
	if d.Person != "" {
		line += " of " + d.Person
	}
	if d.Key != "" {
		line += " " + d.Key + ": " + strconv.Quote(d.Was) + " becomes " + strconv.Quote(d.Is)
	}
	return line
}

// say writes what came of a change.
func (r *remote) say(out io.Writer, text []byte, check bool) error {
	if r.asJSON {
		_, err := out.Write(text)
		return err
	}
	var o madeChange
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var lines []string
	switch {
	case check && len(o.Second) > 0:
		lines = append(lines, "would wait for one of: "+strings.Join(o.Second, ", "))
	case check:
		lines = append(lines, "would be done")
	case o.Request != "":
		lines = append(lines, "waits for a second person: request "+o.Request)
	case len(o.IDs) > 0:
		lines = append(lines, "done "+strings.Join(o.IDs, " "))
	default:
		lines = append(lines, strings.TrimSpace("done "+o.ID))
	}
	if o.Secret != "" {
		lines = append(lines, "shown this once: "+o.Secret)
	}
	if o.Until != "" {
		lines = append(lines, "works until "+o.Until)
	}
	if o.Told != nil {
		lines = append(lines, "people told by mail: "+strconv.Itoa(*o.Told))
	}
	for _, w := range o.Warnings {
		lines = append(lines, w.text())
	}
	for _, d := range o.Differences {
		lines = append(lines, d.text())
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// show is a command that lists something: its arguments stand in the path.
func (r *remote) show(use, short, path string, columns []string, queries ...string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(strings.Count(path, "{}"))}
	asked := map[string]*string{}
	for _, q := range queries {
		asked[q] = cmd.Flags().String(q, "", map[string]string{"at": "`code` of an organisation: what is there or below", "q": "`words` to look for"}[q])
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		for name, value := range asked {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		return r.list(cmd, filled(path, args), query, columns)
	}
	return cmd
}

// mostRows is how many rows a command lists: more is no list for people.
const mostRows = 10_000

// list writes all parts of a list, as a table or as JSON.
func (r *remote) list(cmd *cobra.Command, path string, query url.Values, columns []string) error {
	var items []map[string]any
	for {
		var part struct {
			Items []map[string]any
			Next  string
		}
		if err := r.get(cmd.Context(), path, query, &part); err != nil {
			return err
		}
		items = append(items, part.Items...)
		if part.Next == "" || len(items) >= mostRows {
			break
		}
		query.Set("after", part.Next)
	}
	if r.asJSON {
		if items == nil {
			items = []map[string]any{}
		}
		return writeJSON(cmd.OutOrStdout(), items)
	}
	return table(cmd.OutOrStdout(), columns, items)
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes items by their members.
func table(out io.Writer, columns []string, items []map[string]any) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.ToUpper(strings.ReplaceAll(strings.Join(columns, "\t"), "_", " ")))
	for _, item := range items {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cell(item[c]))
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

// cell is a value on one line, and without what a terminal would act on.
func cell(v any) string {
	var text string
	switch is := v.(type) {
	case nil:
	case []any:
		var parts []string
		for _, e := range is {
			parts = append(parts, cell(e))
		}
		text = strings.Join(parts, " ")
	case map[string]any:
		b, _ := json.Marshal(is) // it was JSON
		text = string(b)
	default:
		text = fmt.Sprint(is)
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || 0x80 <= c && c < 0xa0 {
			return ' '
		}
		return c
	}, text)
}
