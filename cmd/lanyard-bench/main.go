// Command lanyard-bench tries what Lanyard promises: it runs the real server on
// real PostgreSQL and Redis, signs people in, breaks things, and looks
// afterwards whether anything that was acknowledged is gone or came back. It
// also measures what operations cost.
//
// It knows the server by its HTTP, its configuration file and its commands
// alone. docs/faults.md says what is promised and how each promise is tried.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp), errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "lanyard-bench:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: lanyard-bench measure|faults|journey|insert [options]")

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	if len(args) == 0 {
		_, _ = fmt.Fprintln(errs, errUsage)
		return errUsage
	}
	switch args[0] {
	case "measure":
		return runMeasure(ctx, args[1:], out, errs)
	case "faults":
		return runFaults(ctx, args[1:], out, errs)
	case "journey":
		return runJourney(ctx, args[1:], out, errs)
	case "bare":
		return runBare(ctx)
	case "insert":
		return runInsert(ctx, args[1:], out, errs)
	case "mail":
		return runMail(ctx, args[1:], errs)
	}
	_, _ = fmt.Fprintln(errs, errUsage)
	return errUsage
}

func runMeasure(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.SetOutput(errs)
	program := flags.String("lanyard", beside("lanyard"), "the server's `program`")
	agent := flags.String("agent", beside("lanyard-agent"), "the `program` at the desk")
	asJSON := flags.Bool("json", false, "write JSON")
	round := flags.Duration("round", 4*time.Second, "how long one measurement lasts")
	again := flags.Int("rounds", 3, "of how many measurements the middle one counts")
	people := flags.Int("people", 1_000_000, "how many people the registry has that is searched; 0: none is")
	only := flags.String("only", "", "how the `names` of the operations begin that are measured, such as refresh,userinfo, or registry; all without it")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	say := func(what string) { _, _ = fmt.Fprintln(errs, "..", what) }
	if *only == "registry" {
		r, err := measureRegistry(ctx, *program, *people, say)
		return errors.Join(err, r.write(out))
	}
	all, err := measure(ctx, *program, *agent, *only, *round, *again, say)
	if err != nil {
		return err
	}
	if all.Registry, err = measureRegistry(ctx, *program, *people, say); err != nil {
		return err
	}
	return all.write(out, *asJSON)
}

func runFaults(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(errs)
	program := flags.String("lanyard", beside("lanyard"), "the server's `program`")
	only := flags.String("only", "", "`names` of the scenarios to run, such as F1,F4; all without it")
	short := flags.Bool("short", false, "the short numbers, as `make test` runs them")
	keep := flags.Bool("keep", false, "keep the logs of what broke")
	source := flags.String("source", ".", "the repository, of which F19 builds the release before")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	broken, err := runAll(ctx, trial{program: *program, source: *source, full: !*short, keep: *keep}, *only, out)
	if err == nil && broken > 0 {
		err = fmt.Errorf("%d scenarios broke", broken)
	}
	return err
}

// beside is a program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
