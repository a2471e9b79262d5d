package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/idp"
)

// maxCardFile bounds what a development service may answer.
const maxCardFile = 64 << 10

// cardCommand are the commands about cards.
func cardCommand() *cobra.Command {
	var service, out string
	virtual := &cobra.Command{
		Use:   "virtual UID",
		Short: "Write a person's virtual smartcard to a file, for lanyard-agent --virtual-card",
		Long:  "Asks a development service for a copy of the person's card and writes it to a file that this user alone can read.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !idp.IsUID(args[0]) {
				return exit{exitUsage, fmt.Errorf("%q is no uid: 12 digits", args[0])}
			}
			if out == "" {
				out = args[0] + ".card"
			}
			file, err := cardOf(cmd.Context(), service, args[0])
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, file, 0o600); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out)
			return err
		},
	}
	virtual.Flags().StringVar(&service, "service", "http://localhost:8080", "`URL` of the development service")
	virtual.Flags().StringVar(&out, "out", "", "`file` to write; without it, UID.card here")
	cmd := &cobra.Command{Use: "card", Short: "Smartcards"}
	cmd.AddCommand(virtual)
	var r remote
	for _, below := range cardActs(&r) {
		r.options(below)
		cmd.AddCommand(below)
	}
	return cmd
}

// cardOf asks a development service for a card.
func cardOf(ctx context.Context, service, uid string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, service+dev.CardPath+"?"+url.Values{"uid": {uid}}.Encode(), nil)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, exit{exitUnreached, fmt.Errorf("ask the development service: %w", err)}
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	switch resp.StatusCode {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(resp.Body, maxCardFile))
	case http.StatusNotFound:
		return nil, exit{exitNotFound, fmt.Errorf("nobody with the uid %s has a card at %s", uid, service)}
	}
	return nil, exit{exitFailed, errors.New("the development service answered " + resp.Status)}
}
