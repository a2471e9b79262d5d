package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// aliasOf is what links call the service with those pages: their host.
func aliasOf(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

func TestOptions(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	layers, err := settings.Layers(os.Getenv)
	if err != nil || slices.ContainsFunc(layers, func(l settings.Layer) bool { return len(l.Values) > 0 }) {
		t.Skip("this computer has settings of its own for the agent")
	}
	t.Run("own rule: an issuer of the command line is a service, with its pages", func(t *testing.T) {
		s, err := options{issuer: "https://id.example/realm"}.settings()
		if err != nil || len(s.Services) != 1 || s.Services[0].Origin != "https://id.example" || s.Named("Issuer").From != "option --issuer" {
			t.Errorf("settings() = %+v, %v", s, err)
		}
	})
	t.Run("own rule: what comes as a link is no option", func(t *testing.T) {
		for _, link := range []string{"--help", "--virtual-card=/x", "-h", "lanyard-desk:other"} {
			c := command(nil, io.Discard)
			c.SetArgs([]string{"open", "--", link})
			if err := c.ExecuteContext(t.Context()); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "the link cannot be read") {
				t.Errorf("open -- %s: %v", link, err)
			}
		}
	})
	t.Run("own rule: every setting that counts is shown, with where it comes from", func(t *testing.T) {
		var out strings.Builder
		c := command(nil, io.Discard)
		c.SetArgs([]string{"settings", "--issuer", "https://id.example"})
		c.SetOut(&out)
		if err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range []string{"Issuer = https://id.example # option --issuer", "TimeToShowPinForm = 300 # default"} {
			if !strings.Contains(got, want) {
				t.Errorf("it says\n%s", out.String())
			}
		}
		if n := strings.Count(out.String(), "\n"); n != len(settings.All) {
			t.Errorf("it has %d lines", n)
		}
	})
}
