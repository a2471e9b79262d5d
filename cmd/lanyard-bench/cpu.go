package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lanyard-id/lanyard/store/conformance/servers"
)

// tick is the unit in which Linux tells programs of their time: always this,
// whatever the kernel counts in.
const tick = 10 * time.Millisecond

// cpuOf returns the time that a process and all its children have used, those
// that have ended included.
func cpuOf(pid int) (time.Duration, error) {
	tree, err := servers.Tree(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, p := range tree {
		fields, err := stat(p)
		if err != nil {
			if p == pid {
				return 0, err
			}
			continue // it has ended, and its parent has its time
		}
		// proc(5): utime, stime, and of the children that were waited for.
		for _, field := range fields[11:15] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the time of process %d: %w", p, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}

// stat returns what the kernel tells of a process, from its state on.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return nil, fmt.Errorf("process %d tells too little of itself", pid)
	}
	return fields, nil
}

// memoryOf returns how many bytes of memory a process has now.
func memoryOf(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("process %d does not tell its memory", pid)
}

// ownCPU returns the time that this program has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costOf returns the time that one do takes, of this program's own, tried for
// so long.
func costOf(long time.Duration, do func() error) (time.Duration, error) {
	if err := do(); err != nil { // once, so that nothing is new
		return 0, err
	}
	began, n := ownCPU(), 0
	for ; ownCPU()-began < long; n++ {
		if err := do(); err != nil {
			return 0, err
		}
	}
	return (ownCPU() - began) / time.Duration(n), nil
}

// costBeside times do while something else is measured, and returns what ends
// it and says what one took. Its processors may be slow for a second and fast in
// the next, by what else runs on the same machine: what is compared is timed in
// the same seconds, here once every 25 ms.
func costBeside(do func() error) (end func() (time.Duration, error)) {
	const pause = 25 * time.Millisecond
	ending, ended := make(chan struct{}), make(chan struct{})
	var spent time.Duration
	var n int
	var failed error
	go func() {
		defer close(ended)
		runtime.LockOSThread() // whose time is its own
		defer runtime.UnlockOSThread()
		for failed == nil {
			began, err := threadCPU()
			if err == nil {
				err = do()
			}
			now, err2 := threadCPU()
			spent, n, failed = spent+now-began, n+1, errors.Join(err, err2)
			select {
			case <-ending:
				return
			case <-time.After(pause):
			}
		}
	}()
	return func() (time.Duration, error) {
		close(ending)
		<-ended
		return spent / time.Duration(n), failed
	}
}

// threadCPU returns the time that this thread has used, to the nanosecond:
// getrusage(2) knows that of a thread at its last tick.
func threadCPU() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}
