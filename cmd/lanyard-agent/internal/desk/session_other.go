//go:build !linux

package desk

// ThisSession names no session: where sessions have names, the system keeps
// their programs apart by itself, or nobody has asked yet.
func ThisSession() string { return "" }
