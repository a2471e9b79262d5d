package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func settingsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Print every setting that counts, and where it comes from",
		Args:  cobra.NoArgs,
	}
	var asJSON bool
	cmd.Flags().BoolVar(&asJSON, "json", false, "write them as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := o.settings()
		if err != nil {
			return err
		}
		if asJSON {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(s.Said())
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, said := range s.Said() {
			if _, err := fmt.Fprintf(w, "%s = %s\t# %s\n", said.Name, said.Text, said.From); err != nil {
				return err
			}
		}
		return w.Flush()
	}
	return cmd
}
