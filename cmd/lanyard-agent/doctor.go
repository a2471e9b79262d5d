package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Verdict verdict `json:"verdict"`
	Of      string  `json:"of"`   // the part of the desk
	Says    string  `json:"says"` // what was found
	Do      string  `json:"do,omitempty"`
}

type verdict string

const (
	fine verdict = "ok"
	warn verdict = "warn" // signing in works, and somebody should know
	fail verdict = "fail" // nobody signs in with a card here
)

// examination is what the doctor found so far, and how it looks.
type examination struct {
	now    func() time.Time
	getenv func(string) string
	root   string // of the file system; another one in tests
	cards  func(context.Context) ([]card.Seen, error)
	ports  []int // of older products

	findings []finding
}

// note notes a finding. Cards, readers and services have written parts of it.
func (e *examination) note(v verdict, of, says, do string) {
	e.findings = append(e.findings, finding{v, prompt.Line(of, mostSaid), prompt.Line(says, mostSaid), do})
}

// mostSaid is how many letters of a finding are shown.
const mostSaid = 500

// patience is how long one thing may take that the doctor asks.
const patience = 5 * time.Second

func doctorCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that signing in stands on at this desk, and say what to do",
		Long: "Looks at the settings, the card readers, the card, the browsers, the links of sign-in pages, the service and the\n" +
			"clock. It changes nothing, tries no passcode and needs no administrator. It ends with 0 if nothing failed, and\n" +
			"with 1 otherwise; a warning is no failure.",
		Args: cobra.NoArgs,
	}
	var asJSON bool
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e := examination{now: time.Now, getenv: os.Getenv, cards: card.Examine, ports: olderPorts}
		if o.virtual != "" {
			e.cards = o.inFile
		}
		e.examine(cmd.Context(), o)
		if err := e.print(cmd.OutOrStdout(), asJSON); err != nil {
			return err
		}
		if slices.ContainsFunc(e.findings, func(f finding) bool { return f.Verdict == fail }) {
			return errors.New("something failed")
		}
		return nil
	}
	return cmd
}

// inFile is the card in software as if it lay in a reader.
func (o *options) inFile(ctx context.Context) ([]card.Seen, error) {
	c, err := card.File(o.virtual).Wait(ctx, func(card.Waiting) {})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // it is a file
	return []card.Seen{{Reader: c.About().Reader, Card: true, About: c.About()}}, nil
}

func (e *examination) examine(ctx context.Context, o *options) {
	s, err := o.settings()
	e.settings(s, err)
	e.session(ctx)
	e.readers(ctx)
	e.window()
	e.links(ctx)
	e.browsers(s)
	for _, service := range s.Services {
		e.service(ctx, service)
		e.bridge(ctx, service)
	}
	e.olderProducts(ctx)
}

func (e *examination) settings(s settings.Settings, err error) {
	if err != nil {
		for problem := range strings.SplitSeq(err.Error(), "\n") {
			e.note(fail, "settings", problem, "put it right: the agent does not start with it")
		}
		return
	}
	if s.Assumed() {
		e.note(warn, "settings", "no sign-in service is named, so the development service at "+s.Services[0].Origin+" is meant",
			"name it: docs/agent.md says where")
		return
	}
	for _, service := range s.Services {
		e.note(fine, "settings", fmt.Sprintf("%s may ask for signatures, says %s", service.Issuer, s.NamedBy()), "")
	}
}

// readers looks at the service for card readers, the readers and what is in
// them.
func (e *examination) readers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := e.cards(ctx)
	if err != nil {
		e.note(fail, "readers", firstLine(err), noReaderService)
		return
	}
	if len(all) == 0 {
		e.note(warn, "readers", "the service for card readers answers, and no reader is connected", "connect one")
		return
	}
	for _, r := range all {
		switch {
		case !r.Card:
			e.note(fine, "readers", fmt.Sprintf("%q is there, and empty", r.Reader), "")
		case errors.Is(r.Problem, card.ErrBusy):
			e.note(warn, "card", fmt.Sprintf("another program keeps the card in %q to itself", r.Reader), "end that program, or take the card out and put it back")
		case errors.Is(r.Problem, card.ErrUnsupported):
			e.note(warn, "card", fmt.Sprintf("the one in %q is no card to sign in with: %s", r.Reader, firstLine(r.Problem)), "use a card of your Registration Authority")
		case r.Problem != nil:
			e.note(warn, "card", fmt.Sprintf("the one in %q does not answer: %s", r.Reader, firstLine(r.Problem)), "turn it over and put it back; clean its contacts")
		default:
			e.note(fine, "readers", fmt.Sprintf("%q has a card", r.Reader), "")
			e.card(r.About)
		}
	}
}

// notice is how long before the end of a certificate its holder should see to
// it.
const notice = 90 * 24 * time.Hour

func (e *examination) card(a card.About) {
	of, ends := "card of "+a.Holder(), a.Certificate.NotAfter
	day := ends.Local().Format(time.DateOnly)
	switch left := ends.Sub(e.now()); {
	case left < 0:
		e.note(fail, of, "its certificate ended on "+day, "have it renewed by your Registration Authority")
	case a.Certificate.NotBefore.After(e.now()):
		e.note(fail, of, "its certificate begins on "+a.Certificate.NotBefore.Local().Format(time.DateOnly), "see to the clock of this computer, or wait until then")
	case left < notice:
		e.note(warn, of, "its certificate ends on "+day, "have it renewed before that")
	default:
		e.note(fine, of, "its certificate ends on "+day, "")
	}
	switch n := a.TriesLeft; n {
	case 0:
		e.note(fail, of, "it is locked", "have it unlocked by your Registration Authority")
	case 1:
		e.note(warn, of, "one try is left: if the next passcode is wrong the card locks", "ask your Registration Authority if you are not sure of it")
	default:
		e.note(fine, of, fmt.Sprintf("tries left: %d", n), "")
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (e *examination) print(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(e.findings)
	}
	for _, f := range e.findings {
		shown := string(f.Verdict)
		if f.Verdict == fail {
			shown = "FAIL"
		}
		line := fmt.Sprintf("%-4s  %s: %s", shown, f.Of, f.Says)
		if f.Do != "" {
			line += "; " + f.Do
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
