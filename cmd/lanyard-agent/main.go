// Command lanyard-agent is the program at the desk: it asks for the card and
// the passcode, signs one question and forgets everything.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// version is that of the agent, which services may ask for at least.
const version = "0.1.0"

// What the command ends with.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := withoutCore()
	if err == nil {
		err = command(os.Stdin, os.Stderr).ExecuteContext(ctx)
	}
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "lanyard-agent:", prompt.Text(err.Error())) // a service may have said it
	switch {
	case errors.Is(err, errUsage), errors.Is(err, settings.ErrOverruled):
		os.Exit(exitUsage)
	case errors.Is(err, errNobody):
		os.Exit(exitNotFound)
	}
	os.Exit(exitFailed)
}

var errUsage = errors.New("usage")

// options are what the command line says.
type options struct{ issuer, origin, bridge, virtual string }

// settings reads what counts on this computer.
func (o options) settings() (settings.Settings, error) {
	layers, err := settings.Layers(os.Getenv)
	if err != nil {
		return settings.Settings{}, err
	}
	given := map[string]string{"Issuer": o.issuer, "Origin": o.origin, "Bridge": o.bridge}
	return settings.Read(append(layers, settings.LayerOf(settings.CommandLine, func(name string) settings.Value {
		return settings.Value{Text: given[name], From: "option --" + strings.ToLower(name)}
	}))...)
}

func command(in *os.File, out io.Writer) *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:   "lanyard-agent",
		Short: "Sign in with the card at this desk, when a sign-in page asks",
		Long: "Waits in this session for the links of sign-in pages. For each it asks for the card's passcode, signs one\n" +
			"question, sees the browser back to the page and forgets everything.",
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.stay(cmd.Context(), in, out) },
	}
	open := &cobra.Command{
		Use:   "open LINK",
		Short: "Open the link of a sign-in page, as a browser does",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return o.open(cmd.Context(), in, out, args[0]) },
	}
	f := root.PersistentFlags()
	f.StringVar(&o.issuer, "issuer", "", "the sign-in service, where the settings of this computer name none (development); without both http://localhost:8080")
	f.StringVar(&o.origin, "origin", "", "where its pages are, if the issuer's address does not say it (development)")
	f.StringVar(&o.bridge, "bridge", "", "its bridge to the old service, with --issuer (development)")
	f.StringVar(&o.virtual, "virtual-card", "", "`file` of a card in software, in place of a reader (development)")
	root.AddCommand(open, statusCommand(&o), doctorCommand(&o), settingsCommand(&o), signOutCommand())
	return root
}

// begin makes what signs in at this desk ready.
func (o options) begin(in *os.File, out io.Writer) (*run, error) {
	s, err := o.settings()
	if err != nil {
		return nil, err
	}
	var cards card.Source = card.Readers{Poll: s.PollReaders}
	if o.virtual != "" {
		cards = card.File(o.virtual)
	}
	r := &run{settings: s, now: time.Now}
	r.agent = desk.Agent{Services: s.Services, Cards: cards, Prompt: asker(in, out), HTTP: desk.NewClient(), PINTimer: s.PINTimer,
		Version: version, Language: languageOf(os.Getenv), Peer: desk.SamePerson, Follow: r.follow, Now: time.Now}
	if i := slices.IndexFunc(s.Services, func(s desk.Service) bool { return s.Bridge != "" }); i >= 0 {
		r.agent.Gateway = gateway.New(gateway.Config{Base: s.Services[i].Bridge, HTTP: r.agent.HTTP, Version: version, Now: time.Now})
	}
	r.standing = newStanding(s.Services, r.agent.Gateway, time.Now)
	r.desk = desk.At(r.agent)
	r.log, r.close = newLog(s.LogLevel, os.Getenv, os.Stderr)
	return r, nil
}

// stay waits for links until it is told to stop.
func (o options) stay(ctx context.Context, in *os.File, out io.Writer) error {
	r, err := o.begin(in, out)
	if err != nil {
		return err
	}
	defer r.close()
	defer r.leave(ctx)
	if journalListens(os.Getenv, os.Stderr) { // the log is there, and says what may be kept
		out = io.Discard
	}
	path, err := socketPath(os.Getenv)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := newSession(path, func(ctx context.Context, link string) {
		if err := r.open(ctx, link); err != nil {
			_, _ = fmt.Fprintln(out, "Not signed in:", prompt.Text(err.Error()))
			return
		}
		_, _ = fmt.Fprintln(out, "Signed in. The card is not needed any more.")
	})
	s.says, s.leaves = r.standing.line, r.signOut
	undo := func() {}
	err = s.stay(ctx, func() {
		// Now, for an agent that finds another would take that one's links away.
		asking, enough := context.WithTimeout(ctx, patience)
		defer enough()
		u, err := register(asking, os.Getenv, program)
		if err != nil {
			_, _ = fmt.Fprintf(out, "%v\nOpen links by hand: %s open LINK\n", err, program)
		} else {
			undo = u
		}
		r.tray(ctx, end)
		r.log.InfoContext(ctx, "waiting for sign-in pages", slog.String("version", version))
		_, _ = fmt.Fprintln(out, "ready: waiting for a sign-in page")
	})
	undo()
	if errors.Is(err, errResident) { // that one waits is what was wanted
		_, _ = fmt.Fprintln(out, "An agent waits in this session already.")
		return nil
	}
	r.log.InfoContext(ctx, "ended")
	return err
}

// open hands a link to the agent that waits in this session, or is that agent
// until it has signed in.
func (o options) open(ctx context.Context, in *os.File, out io.Writer, link string) error {
	if _, err := desk.ParseLink(link); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	path, err := socketPath(os.Getenv)
	if err != nil {
		return err
	}
	if err := handOver(ctx, path, link); !errors.Is(err, errNobody) {
		return err
	}
	r, err := o.begin(in, out)
	if err != nil {
		return err
	}
	defer r.close()
	defer r.leave(ctx)
	came := make(chan error, 1) // of this link: what comes of others their own pages say
	s := newSession(path, func(ctx context.Context, other string) {
		if err := r.open(ctx, other); other == link {
			select {
			case came <- err:
			default: // it came twice
			}
		}
	})
	s.says = r.standing.line
	err = s.once(ctx, link)
	if errors.Is(err, errResident) { // it came in this very moment
		return handOver(ctx, path, link)
	}
	select {
	case own := <-came:
		return errors.Join(err, own)
	default:
		return err
	}
}

// languageOf is the person's language as their session says it.
func languageOf(getenv func(string) string) string {
	said := cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG"), systemLanguage())
	if strings.HasPrefix(said, "cy") {
		return "cy"
	}
	return "en"
}
