package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/idp"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration of a server, and at the directory as a document",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{exitUsage, fmt.Errorf("say what: lanyard config show, plan, apply or export")}
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
	cmd.AddCommand(documentActs()...)
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
	switch v := s.value.Interface().(type) {
	case []string:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = withoutUser(word)
		}
		text = fmt.Sprint(words)
	case string:
		text = withoutUser(v)
		switch s.key {
		case "postgres.url":
			text = withoutPassword(v)
		case "smtp.from", "smtp.username":
			if _, err := idp.ParseEmail(v); err == nil {
				text = v
			}
		}
	}
	if text == "" {
		return `""`
	}
	return text
}

const hidden = "[hidden]"

// withoutUser hides a URL, or what was meant to be one, if it cannot be read or
// somebody is named in it: a password may stand beside them. A path is none.
func withoutUser(text string) string {
	if strings.HasPrefix(text, "/") || !strings.Contains(text, "@") && !strings.Contains(text, "://") {
		return text
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || strings.Contains(text, "@") {
		return hidden
	}
	return text
}

// withoutPassword hides the password of a URL. What is no URL is hidden whole:
// nobody can say where the password stands in it.
func withoutPassword(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return hidden
	}
	if q := u.Query(); q.Has("password") || q.Has("sslpassword") || strings.Contains(u.Host+u.Path+u.RawQuery+u.Fragment, "@") {
		return hidden
	}
	if hasPassword(u) {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}
