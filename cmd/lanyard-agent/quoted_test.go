//go:build unix

package main

import "testing"

func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/lanyard-agent":    "/usr/bin/lanyard-agent",
		"/opt/a b/lanyard-agent":    `"/opt/a b/lanyard-agent"`,
		"/opt/100%/lanyard-agent":   `"/opt/100%%/lanyard-agent"`,
		"/opt/`id`/lanyard-agent":   `"/opt/\\` + "`id\\\\`" + `/lanyard-agent"`,
		"/opt/$HOME/lanyard-agent":  `"/opt/\\$HOME/lanyard-agent"`,
		"/opt/$(id)/lanyard-agent;": `"/opt/\\$(id)/lanyard-agent;"`,
	} {
		t.Run("own rule: a desktop entry names this program and no other, without quotes where it can", func(t *testing.T) {
			if got := quoted(path); got != want {
				t.Errorf("quoted(%s) = %s, want %s", path, got, want)
			}
		})
	}
}
