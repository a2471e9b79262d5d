package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
)

// openStore opens the registry that the configuration names, and returns what
// closes it.
type openStore func(ctx context.Context) (*postgres.Store, func(), error)

// sealKeys loads the keys that may have sealed the journal.
type sealKeys func(ctx context.Context, s *postgres.Store) (postgres.PublicKeys, error)

// auditCommand is `lanyard audit`: what the journal says, and whether it is
// what was written.
func auditCommand(open openStore, keys sealKeys) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check and export the journal",
		RunE: func(*cobra.Command, []string) error {
			return exit{exitUsage, errors.New("name a command: verify or export")}
		},
	}
	cmd.AddCommand(auditVerify(open, keys), auditExport(open))
	return cmd
}

func auditVerify(open openStore, keys sealKeys) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Walk every chain of the journal and compute each hash again",
		Long: `Walk every chain of the journal and compute each hash again, and compare the
chains with what every server has signed once a minute.

Ends with 0 where the journal is as it was written, and with 1 where it is not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, done, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer done()

			known, err := keys(cmd.Context(), s)
			if err != nil {
				return err
			}
			report, err := s.Verify(cmd.Context(), known)
			if err != nil {
				return fmt.Errorf("verify the journal: %w", err)
			}

			if err := writeReport(cmd.OutOrStdout(), report, asJSON); err != nil {
				return err
			}
			if !report.Whole() {
				return exit{exitFailed, errors.New("the journal is not what was written")}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the report as JSON")
	return cmd
}

// writeReport writes what a walk through the journal found.
func writeReport(w io.Writer, r postgres.Report, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, f := range r.Findings {
		place := fmt.Sprintf("event %d", f.Seq)
		if f.Seal != 0 {
			place = fmt.Sprintf("seal %d", f.Seal)
		}
		if _, err := fmt.Fprintf(w, "chain %s, %s: %s\n", f.Chain, place, f.Problem); err != nil {
			return err
		}
	}
	if r.Unnamed > 0 {
		if _, err := fmt.Fprintf(w, "and %d more\n", r.Unnamed); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "chains %d, events %d (%d not sealed yet), seals %d, findings %d\n",
		r.Chains, r.Events, r.Unsealed, r.Seals, int64(len(r.Findings))+r.Unnamed)
	return err
}

func auditExport(open openStore) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the events as lines of JSON, oldest first",
		Long: `Write the events as lines of JSON, oldest first.

A line is the event to the byte as it was hashed, with its hash as one member
more at its end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begin, err1 := readTime(from)
			end, err2 := readTime(to)
			if err := errors.Join(err1, err2); err != nil {
				return exit{exitUsage, err}
			}
			s, done, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer done()

			if err := s.Export(cmd.Context(), cmd.OutOrStdout(), begin, end); err != nil {
				return fmt.Errorf("export the journal: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the first `time` that counts: 2030-01-31 (London) or 2030-01-31T12:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "the first `time` that does not count any more")
	return cmd
}

// readTime reads a moment, or the beginning of a day. Empty is no time at all.
func readTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := idp.Date(text).Begins(); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2030-01-31 or 2030-01-31T12:00:00Z", text)
}
