package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/vault"
)

// keyStore is what the commands about signing keys ask of the registry.
type keyStore interface {
	ListKeys(ctx context.Context) ([]postgres.KeyReport, error)
	MakeFirstKeys(ctx context.Context) (idp.KeyChanges, error)
	NextKeys(ctx context.Context) (idp.KeyChanges, error)
	RevokeKeys(ctx context.Context, ids ...string) (idp.KeyChanges, error)
}

// openKeys opens the registry as its configuration says, and what closes it.
type openKeys func(ctx context.Context) (store keyStore, closeIt func(), err error)

// keysCommand is the commands about signing keys.
func keysCommand(open openKeys, now func() time.Time) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke the keys that sign tokens",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{exitUsage, errors.New("name a command: init, list, rotate, revoke or card-authority")}
		},
	}
	cmd.AddCommand(keysInit(open, now), keysList(open, now), keysRotate(open, now), keysRevoke(open, now))
	return cmd
}

func keysInit(open openKeys, now func() time.Time) *cobra.Command {
	var newKeyset string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the first keys; nothing else ever does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if newKeyset != "" {
				if err := vault.CreateKeyset(newKeyset); err != nil {
					return err
				}
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "made the keyset %s: keep a copy where the database's backups are not\n", newKeyset)
			}
			return changeKeys(cmd, open, now, func(ctx context.Context, s keyStore) (idp.KeyChanges, error) {
				changes, err := s.MakeFirstKeys(ctx)
				if err == nil && changes.None() {
					err = errors.New("there are keys of every kind already")
				}
				return changes, err
			})
		},
	}
	cmd.Flags().StringVar(&newKeyset, "new-keyset", "", "first make the file that seals keys in the database; it must not exist")
	return cmd
}

func keysRotate(open openKeys, now func() time.Time) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Publish the next keys now; they sign once clients had the time to learn of them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changeKeys(cmd, open, now, func(ctx context.Context, s keyStore) (idp.KeyChanges, error) { return s.NextKeys(ctx) })
		},
	}
}

func keysRevoke(open openKeys, now func() time.Time) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KID...",
		Short: "Revoke keys at once and for good; those that sign are replaced at once",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return changeKeys(cmd, open, now, func(ctx context.Context, s keyStore) (idp.KeyChanges, error) {
				changes, err := s.RevokeKeys(ctx, ids...)
				if errors.Is(err, idp.ErrNotFound) {
					err = exit{exitNotFound, err}
				}
				return changes, err
			})
		},
	}
}

// changeKeys does what a command is for and says what came of it.
func changeKeys(cmd *cobra.Command, open openKeys, now func() time.Time, change func(context.Context, keyStore) (idp.KeyChanges, error)) error {
	store, closeIt, err := open(cmd.Context())
	if err != nil {
		return err
	}
	defer closeIt()
	changes, err := change(cmd.Context(), store)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, k := range changes.New {
		_, _ = fmt.Fprintf(out, "made\t%s\t%s\tsigns from %s\n", k.ID, k.Kind, moment(k.SignsFrom))
	}
	for _, k := range changes.Changed {
		what := "signs until " + cmp.Or(moment(k.SignsUntil), "another does")
		if k.State(now()) == idp.KeyRevoked {
			what = "revoked"
		}
		_, _ = fmt.Fprintf(out, "changed\t%s\t%s\t%s\n", k.ID, k.Kind, what)
	}
	return out.Flush()
}

// listedKey is a key as `keys list --json` tells of it.
type listedKey struct {
	ID             string       `json:"kid"`
	Kind           idp.KeyKind  `json:"kind"`
	Algs           []string     `json:"algs"`
	State          idp.KeyState `json:"state"`
	PublishedFrom  string       `json:"published_from"`
	SignsFrom      string       `json:"signs_from"`
	SignsUntil     string       `json:"signs_until,omitempty"`
	PublishedUntil string       `json:"published_until,omitempty"`
	RevokedAt      string       `json:"revoked_at,omitempty"`
	Problem        string       `json:"problem,omitempty"`
}

func keysList(open openKeys, now func() time.Time) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every key, its state and its times",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, closeIt, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer closeIt()
			reports, err := store.ListKeys(cmd.Context())
			if err != nil {
				return err
			}
			keys := []listedKey{}
			for _, r := range reports {
				keys = append(keys, listKey(r, now()))
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(keys)
			}
			return writeKeys(cmd.OutOrStdout(), keys)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func listKey(r postgres.KeyReport, now time.Time) listedKey {
	k := listedKey{ID: r.ID, Kind: r.Kind, Algs: r.Kind.Algs(), State: r.State(now),
		PublishedFrom: moment(r.PublishedFrom), SignsFrom: moment(r.SignsFrom), SignsUntil: moment(r.SignsUntil),
		PublishedUntil: moment(r.PublishedUntil), RevokedAt: moment(r.RevokedAt)}
	if r.Problem != nil {
		k.Problem = r.Problem.Error()
	}
	return k
}

func writeKeys(w io.Writer, keys []listedKey) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "KID\tKIND\tSTATE\tSIGNS FROM\tSIGNS UNTIL\tPUBLISHED UNTIL\tREVOKED")
	for _, k := range keys {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, cmp.Or(string(k.Kind), "-"), k.State, k.SignsFrom,
			cmp.Or(k.SignsUntil, "-"), cmp.Or(k.PublishedUntil, "-"), cmp.Or(k.RevokedAt, "-"))
		if k.Problem != "" {
			_, _ = fmt.Fprintf(out, "  %s\n", k.Problem)
		}
	}
	return out.Flush()
}

// moment writes a time; one that is not decided is empty.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
