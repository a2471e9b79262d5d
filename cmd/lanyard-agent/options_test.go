package main

import (
	"strings"
	"testing"
)

// aliasOf is what links call the service with those pages: their host.
func aliasOf(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

func TestOptions(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Run("own rule: an issuer of the command line is a service, with its pages", func(t *testing.T) {
		s, err := options{issuer: "https://id.example/realm"}.settings()
		if err != nil || len(s.Services) != 1 || s.Services[0].Origin != "https://id.example" || s.Named("Issuer").From != "option --issuer" {
			t.Errorf("settings() = %+v, %v", s, err)
		}
	})
}
