package prompt

import (
	"os/exec"
	"runtime"
	"syscall"
)

// tied has the kernel end a program with the agent, however that ends: a window
// that asks for a passcode must not be left behind by whom it would be given to.
// The kernel counts by threads, so the one that starts the program is kept until
// the caller has seen it end.
func tied(cmd *exec.Cmd) (untie func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return runtime.UnlockOSThread
}
