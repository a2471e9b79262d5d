package card

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// hanging is a service whose cards do not come back from one step until they are
// let.
type hanging struct {
	*room
	at  string // the step
	let chan struct{}

	did []string // of what is done to the card after that
}

func (h *hanging) hang(step string) {
	if h.at == step {
		<-h.let
		h.at = ""
	}
	h.did = append(h.did, step)
}

func (h *hanging) Connect(ctx context.Context, name string) (connection, error) {
	h.hang("connect")
	c, err := h.room.Connect(ctx, name)
	return &hangs{c, h}, err
}

type hangs struct {
	connection
	h *hanging
}

func (c *hangs) Begin() error {
	c.h.hang("begin")
	return c.connection.Begin()
}

func (c *hangs) Transmit(command []byte) ([]byte, error) {
	step := "transmit"
	if command[1] == insVerify && len(command) > 5 {
		step = "verify"
		defer func(sent []byte) {
			if !slices.Equal(sent, command) {
				c.h.did = append(c.h.did, "a command that was wiped on its way")
			}
		}(slices.Clone(command))
	}
	c.h.hang(step)
	return c.connection.Transmit(command)
}

func (c *hangs) End(reset bool) error {
	c.h.hang(map[bool]string{true: "reset", false: "end"}[reset])
	return c.connection.End(reset)
}

func (c *hangs) Close() error {
	c.h.hang("close")
	return c.connection.Close()
}

func TestHeeding(t *testing.T) {
	const soon = 2*letGoTime + time.Second/2
	for _, step := range []string{"connect", "begin", "transmit", "verify", "reset", "close"} {
		t.Run("own rule: who is told to stop does, although the reader hangs: "+step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inside := aCard(t, "Asha", nil)
				h := &hanging{room: newRoom(with("A", inside)), let: make(chan struct{})}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				early := step == "connect" || step == "transmit"
				if early {
					h.at = step
				}
				var c Card
				var err error
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if c, err = (Readers{service: h}).Wait(ctx, func(Waiting) {}); err != nil {
						return
					}
					h.at = step
					err = c.Use([]byte("123456"), func(crypto.Signer) error { return nil })
					_ = c.Close()
				}()
				synctest.Wait()
				began := time.Now()
				stop()
				<-ended
				if took := time.Since(began); took > soon {
					t.Errorf("it took %v", took)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
				close(h.let)
				synctest.Wait() // what hung goes on
				if h.open != 0 {
					t.Errorf("%d connections are left", h.open)
				}
				if step == "verify" && !slices.Equal(h.did[len(h.did)-3:], []string{"verify", "reset", "close"}) {
					t.Errorf("after the passcode it did %v", h.did)
				}
				if slices.Contains(h.did, "a command that was wiped on its way") || inside.TriesLeft() != 3 {
					t.Errorf("the card was told another passcode: %v, tries left %d", h.did, inside.TriesLeft())
				}
			})
		})
	}
	t.Run("own rule: a call that nobody waits for is not begun", func(t *testing.T) {
		h := &hanging{room: newRoom(with("A", aCard(t, "Asha", nil)))}
		ctx, stop := context.WithCancel(t.Context())
		c, err := connect(ctx, h, "A")
		if err != nil {
			t.Fatal(err)
		}
		stop()
		before := len(h.did)
		if err := c.Begin(); !errors.Is(err, context.Canceled) || len(h.did) != before {
			t.Errorf("Begin() = %v, and %v was done", err, h.did)
		}
		if err := c.Close(); err != nil || h.open != 0 {
			t.Errorf("Close() = %v, open %d", err, h.open)
		}
	})
}
