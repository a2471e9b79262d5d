package registry

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/registry.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: the table that people read is the one that is judged by", func(t *testing.T) {
		for _, kind := range Kinds() {
			var may []string
			for _, g := range (Approvals{}).Table(kind) {
				who := string(g.Authority)
				var by []string
				for _, b := range g.Second {
					by = append(by, string(b))
				}
				if len(by) > 0 {
					who += " (with " + strings.Join(by, " or ") + ")"
				}
				may = append(may, who)
			}
			r := ruleOf(kind)
			where, fresh := "there or above", ""
			if r.where == home {
				where = "home"
			}
			if r.raises {
				fresh = "yes"
			}
			row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", kind, strings.Join(may, ", "), where, fresh)
			if !strings.Contains(string(text), row) {
				t.Errorf("docs/registry.md has no row\n%s", row)
			}
		}
	})
}
