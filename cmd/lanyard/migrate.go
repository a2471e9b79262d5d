package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/store/postgres"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the registry up to this release",
		Long: "Each release runs on the schema before and after its own migration, so migrate first and then replace the\n" +
			"servers one after the other. Migrations go forward only, and however many run at once, one of them works.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{exitUsage, errors.New("say what: lanyard migrate up, or lanyard migrate status")}
		},
	}
	up := &cobra.Command{Use: "up", Short: "Run the migrations that the database lacks", Args: cobra.NoArgs}
	onUp := onConfig(up)
	up.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := onUp.settle(time.Now, "postgres.")
		if err != nil {
			return err
		}
		if err := postgres.Migrate(cmd.Context(), s.secrets.postgresURL, logAt(os.Stderr, s.Log.Level)); err != nil {
			return ending(err)
		}
		return printStatus(cmd, s)
	}
	status := &cobra.Command{Use: "status", Short: "List the migrations, and say which the database has; status 1 if it lacks one", Args: cobra.NoArgs}
	onStatus := onConfig(status)
	status.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := onStatus.settle(time.Now, "postgres.")
		if err != nil {
			return err
		}
		return printStatus(cmd, s)
	}
	cmd.AddCommand(up, status)
	return cmd
}

func printStatus(cmd *cobra.Command, s settled) error {
	all, err := postgres.Status(cmd.Context(), s.secrets.postgresURL)
	if err != nil {
		return ending(err)
	}
	lacking := 0
	for _, m := range all {
		state := "done"
		if !m.Done {
			state, lacking = "waiting", lacking+1
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s\n", state, m.Name); err != nil {
			return err
		}
	}
	if lacking > 0 {
		return fmt.Errorf("the database lacks what is waiting (%d); run lanyard migrate up", lacking)
	}
	return nil
}
