package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// documentActs are the commands about the directory as a document.
func documentActs() []*cobra.Command {
	plan := &cobra.Command{Use: "plan FILE", Short: "Say what a directory document would change; ends with 6 if anything", Args: cobra.ExactArgs(1)}
	rp := onRemote(plan)
	plan.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := rp.sendDocument(cmd, args[0], "/config/plan", "")
		if err != nil {
			return err
		}
		return rp.sayPlan(cmd, text)
	}

	apply := &cobra.Command{Use: "apply FILE", Short: "Make the registry what a directory document says: everything, or nothing", Args: cobra.ExactArgs(1)}
	ra := onRemote(apply)
	reason := apply.Flags().String("reason", "", "`why`")
	apply.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := ra.sendDocument(cmd, args[0], "/config/apply", *reason)
		if err != nil {
			return err
		}
		return ra.say(cmd.OutOrStdout(), text, false)
	}

	export := &cobra.Command{Use: "export [FILE]", Short: "Write the directory as a document, without secrets", Args: cobra.MaximumNArgs(1)}
	re := onRemote(export)
	_ = export.PersistentFlags().MarkHidden("json") // the document is what it is
	export.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := re.ask(cmd.Context(), http.MethodGet, "/config/export", nil, nil, "application/yaml")
		if err != nil {
			return err
		}
		if len(args) == 0 {
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}
		return os.WriteFile(args[0], text, 0o600)
	}
	return []*cobra.Command{plan, apply, export}
}

// sendDocument sends a document that can be read: what is wrong with it is said
// here, with its lines, and not sent.
func (r *remote) sendDocument(cmd *cobra.Command, file, path, reason string) ([]byte, error) {
	if _, err := readDocument(file); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file) //nolint:gosec // the file that its owner named
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	return r.ask(cmd.Context(), http.MethodPost, path, nil, map[string]string{"document": string(text), "reason": reason}, jsonKind)
}

// sayPlan writes what would be changed.
func (r *remote) sayPlan(cmd *cobra.Command, text []byte) error {
	var o madeChange
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if r.asJSON {
		if _, err := cmd.OutOrStdout().Write(text); err != nil {
			return err
		}
	} else {
		for _, d := range o.Differences {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), d.text()); err != nil {
				return err
			}
		}
	}
	if len(o.Differences) > 0 {
		return exit{exitDiffers, errors.New("the registry differs from the document")}
	}
	return nil
}
