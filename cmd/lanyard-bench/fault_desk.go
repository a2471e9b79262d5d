package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// breakDesk is D5. What happens at a desk is tried by the tests of the agent,
// which know its insides; here they are run as often as the full numbers say.
func breakDesk(ctx context.Context, t *trial) error {
	if !t.full {
		t.report("the tests of cmd/lanyard-agent try one of each")
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "test", "./cmd/lanyard-agent", "-run", "^TestLife$", "-v", "-count=1", "-timeout=2h",
		"-args", "-rounds=100", "-desks=12")
	cmd.Dir = t.source
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the agent's tests: %w", err)
	}
	held, said := 0, []string(nil)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "    --- PASS: TestLife/"):
			held++
		case strings.Contains(line, "--- FAIL:"), strings.Contains(line, "--- SKIP:"), strings.Contains(line, "_test.go:"):
			said = append(said, strings.TrimSpace(line))
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if err == nil && (held == 0 || len(said) > 0) {
		err = errors.New("it could not be tried")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(said[:min(len(said), 20)], "\n"))
	}
	t.report("%d sign-ins", held)
	return nil
}
