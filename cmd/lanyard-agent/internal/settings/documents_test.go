package settings

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../../.."

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocuments holds what people read of the settings to the table of them.
func TestDocuments(t *testing.T) {
	t.Run("own rule: every setting stands in the document with its default and meaning, and no other", func(t *testing.T) {
		var want []string
		for _, s := range All {
			fallback := s.Default
			if fallback != "" {
				fallback = "`" + fallback + "`"
			}
			want = append(want, "| `"+s.Name+"` | "+fallback+" | "+s.Help+" |")
		}
		got := regexp.MustCompile("(?m)^\\| `[A-Z][A-Za-z]+` \\|.*$").FindAllString(text(t, "docs/agent.md"), -1)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("docs/agent.md should say\n%s", strings.Join(want, "\n"))
		}
	})
	t.Run("own rule: the file that the package brings names every setting, and sets none", func(t *testing.T) {
		var want strings.Builder
		for _, s := range All {
			want.WriteString("\n# " + s.Help + "\n#" + strings.TrimSuffix(s.Name+" = "+s.Default, " ") + "\n")
		}
		got := text(t, "deploy/agent/agent.conf")
		if _, named, _ := strings.Cut(got, "\n\n"); "\n"+named != want.String() {
			t.Errorf("deploy/agent/agent.conf should say\n%s", want.String())
		}
		if values, err := parse("agent.conf", got); err != nil || len(values) != 0 {
			t.Errorf("parse() = %v, %v", values, err)
		}
	})
}
