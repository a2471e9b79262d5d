//go:build !linux && !windows

package card

// system would be the service for card readers of this system, which the agent
// does not speak to.
func system() (service, error) { return nil, ErrNoReaders }
