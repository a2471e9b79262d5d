package desk

import (
	"context"
	"sync"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// screen shows what is waited for, one message at a time.
type screen struct {
	prompt   prompt.Prompt
	language string

	end   context.CancelFunc // of what is shown; nil where nothing is
	shown sync.WaitGroup
}

// show shows words in place of the last ones. Nothing waits for their being
// read, and a message that cannot be shown stands in the page.
func (s *screen) show(ctx context.Context, words string) {
	s.clear()
	if words == "" {
		return
	}
	ctx, s.end = context.WithCancel(ctx)
	s.shown.Go(func() { _ = s.prompt.Tell(ctx, s.language, words) })
}

// clear takes away what is shown.
func (s *screen) clear() {
	if s.end != nil {
		s.end()
		s.end = nil
	}
	s.shown.Wait()
}
