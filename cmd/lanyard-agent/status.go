package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// errNobody says that no agent waits in this session.
var errNobody = errors.New("no agent waits in this session; it starts with the next one, or by the link of a sign-in page")

// askStatus is what is said on an agent's socket in place of a link.
const askStatus = "status"

// statusOf asks the agent of this session how it stands. errNobody if there is
// none.
func statusOf(ctx context.Context, path string) (report, error) {
	line, err := say(ctx, path, askStatus)
	if err != nil {
		return report{}, err
	}
	var r report
	if json.Unmarshal([]byte(line), &r) != nil {
		return report{}, errors.New("the agent of this session does not say how it stands")
	}
	return r, nil
}

// seenHere is what `lanyard-agent status` says.
type seenHere struct {
	Agent   *report      `json:"agent"` // null: none waits
	Readers []seenReader `json:"readers"`
	Problem string       `json:"problem,omitempty"` // of the service for card readers
}

type seenReader struct {
	Name string `json:"name"`
	Card bool   `json:"card"`
}

func statusCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether an agent waits in this session, and how it stands",
		Long: "Asks the agent of this session how it stands, and the service for card readers what is there. It ends with 0 if an\n" +
			"agent waits, and with 3 if none does.",
		Args: cobra.NoArgs,
	}
	var asJSON bool
	cmd.Flags().BoolVar(&asJSON, "json", false, "write it as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := socketPath(os.Getenv)
		if err != nil {
			return err
		}
		look := card.Examine
		if o.virtual != "" {
			look = o.inFile
		}
		return status(cmd.Context(), path, look, cmd.OutOrStdout(), asJSON)
	}
	return cmd
}

func status(ctx context.Context, path string, look func(context.Context) ([]card.Seen, error), out io.Writer, asJSON bool) error {
	var here seenHere
	r, missing := statusOf(ctx, path)
	if missing == nil {
		here.Agent = &r
	}
	looking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	readers, err := look(looking)
	if err != nil {
		here.Problem = firstLine(err)
	}
	here.Readers = []seenReader{}
	for _, r := range readers {
		here.Readers = append(here.Readers, seenReader{Name: r.Reader, Card: r.Card})
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(here), missing)
	}
	_, err = io.WriteString(out, here.text())
	return errors.Join(err, missing)
}

// text is a few lines for a terminal.
func (h seenHere) text() string {
	var b strings.Builder
	if a := h.Agent; a != nil {
		fmt.Fprintf(&b, "%s\nProcess %d, since %s\n", a.text("en"), a.Process, a.Since.Local().Format(time.DateTime))
	}
	switch {
	case h.Problem != "":
		fmt.Fprintf(&b, "Card readers: %s\n", prompt.Line(h.Problem, mostSaid))
	case len(h.Readers) == 0:
		b.WriteString("Card readers: none is connected\n")
	}
	for _, r := range h.Readers {
		what := "no card"
		if r.Card {
			what = "a card"
		}
		fmt.Fprintf(&b, "Card reader %q: %s\n", r.Name, what)
	}
	return b.String()
}
