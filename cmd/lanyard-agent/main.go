// Command lanyard-agent is the program at the desk: it asks for the card and
// the passcode, signs one question and forgets everything.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// version is that of the agent, which services may ask for at least.
const version = "0.1.0"

// What the command ends with.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(os.Stdin, os.Stderr).ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "lanyard-agent:", err)
	if errors.Is(err, errUsage) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

var errUsage = errors.New("usage")

func command(in *os.File, out io.Writer) *cobra.Command {
	var issuer, origin, virtual string
	cmd := &cobra.Command{
		Use:           "lanyard-agent LINK",
		Short:         "Sign in with the card at this desk, as a sign-in page asked",
		Long:          "Opens the link that a sign-in page gave, asks for the card's passcode and signs one question.\nIt keeps nothing and ends when the browser has come back.",
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := desk.ParseLink(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if virtual == "" {
				return errors.New("no card reader can be used yet: name a card in software with --virtual-card")
			}
			a := desk.Agent{Services: []desk.Service{{Alias: aliasOf(origin), Issuer: issuer, Origin: origin}}, Cards: card.File(virtual),
				Prompt: asker(in, out), HTTP: desk.NewClient(), Version: version, Peer: desk.SamePerson, Now: time.Now}
			return a.SignIn(cmd.Context(), l)
		},
	}
	f := cmd.Flags()
	f.StringVar(&issuer, "issuer", "http://localhost:8080", "the sign-in service, to the letter as its configuration has it")
	f.StringVar(&origin, "origin", "http://localhost:8080", "where its pages are")
	f.StringVar(&virtual, "virtual-card", "", "`file` of a card in software, in place of a reader (development)")
	return cmd
}

// aliasOf is what links call the service with those pages: their host.
func aliasOf(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

// asker is the desktop's own window where there is one, and the terminal where
// there is none.
func asker(in *os.File, out io.Writer) prompt.Prompt {
	if os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" {
		if program, err := exec.LookPath("pinentry"); err == nil {
			return prompt.Pinentry{Program: program, Env: os.Environ()}
		}
	}
	return prompt.Terminal{In: in, Out: out}
}
