// Command lanyard is the sign-in service: an OpenID Connect provider for
// people who care for patients. One file holds one command; wire.go puts the
// service together, and nothing but this package knows all the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// What the command ends with. Scripts act on these.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitNotFound  = 3
	exitNoRight   = 4 // not permitted
	exitUnreached = 5
	exitDiffers   = 6
)

// exit is an error that decides what the command ends with.
type exit struct {
	status int
	err    error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

func main() {
	// The first signal asks to leave in order, the second ends the program at
	// once. One channel catches both: were the first to give up catching, a
	// second that came meanwhile would be lost.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		<-signals
		leave()
		<-signals
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:]))
}

// asUsage makes wrong arguments of cmd, and of all below it, wrong usage.
func asUsage(cmd *cobra.Command) {
	if fits := cmd.Args; fits != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := fits(cmd, args); err != nil {
				return exit{exitUsage, err}
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		asUsage(below)
	}
}

// commands are all commands, below the name of the program.
func commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "lanyard",
		Short:         "Sign-in service for people who care for patients",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{exitUsage, errors.New("name a command")}
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit{exitUsage, err} })
	root.AddCommand(devCommand(), serveCommand(), migrateCommand(), keysGroup(), auditGroup(), configCommand(), doctorCommand(), bootstrapCommand(), bridgeGroup(), cardCommand(), clientGroup(),
		loginCommand(), logoutCommand(), personGroup(), applicantGroup(), noticeGroup(), robotGroup(), authenticatorGroup(), organisationGroup(), requestGroup(), worklistCommand(), referenceCommand(), policyGroup())
	asUsage(root)
	return root
}

// run runs one command and returns what the program ends with.
func run(ctx context.Context, args []string) int {
	root := commands() //nolint:contextcheck // cobra hands the context to the command
	root.SetArgs(args)

	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprint(os.Stderr, complain(err))
	if e, ok := errors.AsType[exit](err); ok {
		return e.status
	}
	if _, _, find := root.Find(args); find != nil {
		return exitUsage // cobra's own error for a command that is none
	}
	return exitFailed
}
