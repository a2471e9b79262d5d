package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fillStores is F13.
func fillStores(ctx context.Context, t *trial) error {
	return errors.Join(t.fillDisk(ctx), t.fillMemory(ctx))
}

// diskSize holds a new cluster and some of its log, and is soon full.
const diskSize = 192 << 20

// fillDisk fills the disk of PostgreSQL under people who sign in.
func (t *trial) fillDisk(ctx context.Context) error {
	disk, err := os.MkdirTemp("", "lanyard-disk-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(disk) }()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", diskSize)); err != nil {
		t.report("not tried: a small disk for PostgreSQL can be made by root alone (%v)", err)
		return nil
	}
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }()
	return t.in(ctx, plan{folder: disk}, func(w *world) error {
		for i := range t.size(5, 1) {
			if err := w.fillOnce(ctx, t, disk); err != nil {
				return fmt.Errorf("full disk %d: %w", i+1, err)
			}
		}
		return w.audit(ctx)
	})
}

func (w *world) fillOnce(ctx context.Context, t *trial, disk string) error {
	people := newLoad(20, func(ctx context.Context, n int) error {
		_, err := w.flow(n, w.client("ES256", nil)).run(ctx)
		if err != nil && !outage(err) {
			return err
		}
		return nil
	})
	filler := filepath.Join(disk, "filler")
	refused := 0
	err := people.while(ctx, func(ctx context.Context) error {
		if err := fill(filler); err != nil {
			return err
		}
		// PostgreSQL writes into segments that it already has, until these are
		// full too; then it refuses, or ends to protect what it acknowledged.
		err := until(ctx, func() error {
			if _, err := w.flow(0, w.client("ES256", nil)).run(ctx); err != nil {
				refused++
			}
			if refused < 3 {
				return errors.New("the full disk is not felt")
			}
			return nil
		})
		return errors.Join(err, os.Remove(filler))
	})
	if err = errors.Join(err, people.failed()); err != nil {
		return err
	}
	if !w.postgres.Running() {
		if err := w.postgres.Start(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := w.well(ctx); err != nil {
		return err
	}
	t.report("disk of PostgreSQL full: %d sign-ins through before, none acknowledged after; well %s after there was room", people.well(), time.Since(began).Round(time.Millisecond))
	return w.allReady(ctx)
}

// fill writes a file until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, 64<<10); ; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// fillMemory takes the memory of Redis away from under people who sign in.
func (t *trial) fillMemory(ctx context.Context) error {
	return t.in(ctx, plan{}, func(w *world) error {
		rdb := admin(w.redis)
		defer func() { _ = rdb.Close() }()
		old, err := w.flow(0, w.client("ES256", nil)).run(ctx)
		if err != nil {
			return err
		}
		for range t.size(20, 1) {
			if err := rdb.ConfigSet(ctx, "maxmemory", "1mb").Err(); err != nil {
				return err
			}
			_, refused := w.flow(1, w.client("ES256", nil)).run(ctx)
			a, err := w.site().userinfo(ctx, old.tokens.access)
			if err := errors.Join(err, rdb.ConfigSet(ctx, "maxmemory", "0").Err()); err != nil {
				return err
			}
			switch {
			case refused == nil:
				return errors.New("somebody signed in though Redis had no room")
			case !outage(refused):
				return fmt.Errorf("sign in while Redis has no room: %w", refused)
			case a.status != 200:
				return problem("use a token from before while Redis has no room", a)
			}
			if err := w.well(ctx); err != nil {
				return err
			}
		}
		t.report("memory of Redis full: new sign-ins are told so, tokens from before work, nothing is thrown away")
		return w.audit(ctx)
	})
}
