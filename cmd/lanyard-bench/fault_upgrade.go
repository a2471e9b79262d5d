package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// upgradeSchema is F19.
func upgradeSchema(ctx context.Context, t *trial) error {
	old, done, err := t.releaseBefore(ctx)
	if err != nil || old == "" {
		return err
	}
	defer done()
	before := *t
	before.program = old
	return before.in(ctx, plan{}, func(w *world) error {
		c := w.client("ES256", &keyCache{life: time.Minute, unknown: true})
		people := newLoad(t.size(50, 15), w.straight(c))
		err := people.while(ctx, func(ctx context.Context) error {
			wait(ctx, time.Second)
			if err := w.migrate(ctx, t.program); err != nil {
				return err
			}
			wait(ctx, time.Second) // the release before, on the schema after
			for _, program := range []string{t.program, old} {
				for _, s := range w.servers {
					s.program = program
					if err := w.replace(ctx, s); err != nil {
						return err
					}
				}
				wait(ctx, time.Second)
			}
			return nil
		})
		if err = errors.Join(err, people.failed()); err != nil {
			return err
		}
		t.report("schema upgraded under the release before, servers replaced by this release and back: %d sign-ins, none failed", people.well())
		w.servers[0].program = t.program // it knows how to look
		return w.audit(ctx)
	})
}

// migrate kills one migrator on its way, and lets three others run at once.
func (w *world) migrate(ctx context.Context, program string) error {
	migrator := func() *exec.Cmd {
		return exec.CommandContext(ctx, program, "migrate", "up", "--config", w.servers[0].config)
	}
	first := migrator()
	if err := first.Start(); err != nil {
		return err
	}
	wait(ctx, 60*time.Millisecond)
	_ = first.Process.Kill() // it may be through already
	_ = first.Wait()
	var broken findings
	for _, err := range together(3, func(int) error {
		out, err := migrator().CombinedOutput()
		if err != nil {
			return fmt.Errorf("migrate up: %w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}) {
		broken.add(err)
	}
	return broken.err()
}

// releaseBefore builds the server as it was before the last migration was
// added. "" says that this is no checkout, so that there is nothing to build.
func (t *trial) releaseBefore(ctx context.Context) (program string, done func(), err error) {
	if _, err := os.Stat(filepath.Join(t.source, ".git")); errors.Is(err, os.ErrNotExist) {
		t.report("not tried: this is no git checkout, so the release before cannot be built")
		return "", nil, nil
	}
	files, err := filepath.Glob(filepath.Join(t.source, "migrations", "*.sql"))
	if err != nil || len(files) == 0 {
		return "", nil, fmt.Errorf("there are no migrations in %s: %w", t.source, err)
	}
	if len(files) < 2 {
		t.report("not tried: there is one migration only, so there is no release before")
		return "", nil, nil
	}
	slices.Sort(files)
	last := filepath.Base(files[len(files)-1])
	added, err := t.git(ctx, "log", "--diff-filter=A", "--format=%H", "-1", "--", "migrations/"+last)
	if err != nil || added == "" {
		return "", nil, fmt.Errorf("nobody knows when %s was added; commit it: %w", last, err)
	}
	parent, err := t.git(ctx, "rev-parse", "--verify", "--quiet", added+"^")
	if err != nil {
		return "", nil, fmt.Errorf("the history before %s is not here; get it with `git fetch --unshallow`", last)
	}
	dir, err := os.MkdirTemp("", "lanyard-before-")
	if err != nil {
		return "", nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	program = filepath.Join(dir, "lanyard")
	if err := t.buildAt(ctx, parent, filepath.Join(dir, "source"), program); err != nil {
		done()
		return "", nil, fmt.Errorf("build the release before %s: %w", last, err)
	}
	t.report("the release before %s is built of %.12s", last, parent)
	return program, done, nil
}

// buildAt builds the server of a commit, without touching the checkout.
func (t *trial) buildAt(ctx context.Context, commit, dir, program string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	archive := filepath.Join(dir, "source.tar")
	if _, err := t.git(ctx, "archive", "--output", archive, commit); err != nil {
		return err
	}
	for _, step := range [][]string{{"tar", "-xf", archive}, {"go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/lanyard"}} {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(step[:2], " "), err, out)
		}
	}
	return nil
}

func (t *trial) git(ctx context.Context, args ...string) (string, error) {
	// A checkout may belong to somebody else.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", t.source}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
