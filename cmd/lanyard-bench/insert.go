package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// vpcd is where the virtual reader of vsmartcard waits for its first card.
const vpcd = "127.0.0.1:35963"

// runInsert puts a card in a file into a virtual reader until it is told to
// stop, for tests that are not of Go.
func runInsert(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("insert", flag.ContinueOnError)
	flags.SetOutput(errs)
	file := flags.String("card", "", "the card's `file`, as lanyard card virtual writes it")
	reader := flags.String("reader", vpcd, "where the virtual reader waits for a card")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	raw, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	card, err := virtualcard.Read(raw, func(changed []byte) error { return os.WriteFile(*file, changed, 0o600) })
	if err != nil {
		return err
	}
	slot, err := dialReader(ctx, *reader)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "inserted")
	if err := card.Insert(ctx, slot); ctx.Err() == nil {
		return errors.Join(errors.New("the reader is gone"), err)
	}
	return nil
}

// dialReader connects to a virtual reader, which may just be starting.
func dialReader(ctx context.Context, address string) (net.Conn, error) {
	for tries := 0; ; tries++ {
		slot, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err == nil || tries == 100 {
			return slot, err
		}
		wait(ctx, 100*time.Millisecond)
	}
}
