package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// askSignOut is what is said on an agent's socket in place of a link.
const askSignOut = "sign-out"

// notReached is answered to that where the bridge did not end what was held.
const notReached = "not reached"

func signOutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sign-out",
		Short: "Sign out of the old service (CIS1), and of what was entered by that session",
		Long: "Ends what the agent of this session holds of the old service, where its settings name a bridge to it. All that was\n" +
			"entered by that session ends too; what a card signed in to by itself does not. It ends with 3 if no agent waits.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := socketPath(os.Getenv)
			if err != nil {
				return err
			}
			answer, err := say(cmd.Context(), path, askSignOut)
			if err != nil {
				return err
			}
			switch answer {
			case "ok":
			case notReached:
				return errors.New("this computer has given the session up, but the bridge did not say that it ended it: there it ends by itself within an hour")
			default:
				return errors.New("the agent of this session did not sign out")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "Signed out of the old service.")
			return err
		},
	}
}

// signOut ends what is held of the old service.
func (r *run) signOut(ctx context.Context) error {
	if r.agent.Gateway == nil {
		return nil
	}
	return r.agent.Gateway.End(ctx)
}

// leave is signOut for good: with the agent its sessions end.
func (r *run) leave(ctx context.Context) {
	if r.agent.Gateway == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	r.agent.Gateway.Close(ctx)
}
