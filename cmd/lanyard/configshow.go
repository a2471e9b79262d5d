package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{exitUsage, fmt.Errorf("say what: lanyard config show")}
		},
	}
	var sources bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every setting as the server would take it, without secrets",
		Args:  cobra.NoArgs,
	}
	p := onConfig(show)
	show.Flags().BoolVar(&sources, "sources", false, "say where each value came from")
	show.RunE = func(cmd *cobra.Command, _ []string) error {
		c, from, err := p.read()
		if err != nil {
			return err
		}
		return showConfig(cmd.OutOrStdout(), &c, from, sources)
	}
	cmd.AddCommand(show)
	return cmd
}

// showConfig prints every setting. What stands in files of secrets is not read
// at all, so it cannot be printed.
func showConfig(out io.Writer, c *Config, from map[string]given, sources bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range settings(c) {
		line := s.key + ":\t" + s.shown()
		if sources {
			line += "\t# " + from[s.key].from
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// shown is the value as text, with what is secret hidden.
func (s setting) shown() string {
	text := fmt.Sprint(s.value.Interface())
	if s.key == "postgres.url" {
		text = withoutPassword(text)
	}
	if text == "" {
		return `""`
	}
	return text
}

// withoutPassword hides the password of a URL. What is no URL is hidden whole:
// nobody can say where the password stands in it.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return ""
	case err != nil || !strings.HasPrefix(u.Scheme, "postgres"):
		return "[hidden]"
	}
	if hasPassword(u) {
		u.User = url.User(u.User.Username())
		address = u.String()
	}
	if q := u.Query(); q.Has("password") || q.Has("sslpassword") {
		return "[hidden]"
	}
	return address
}
