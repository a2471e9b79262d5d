//go:build !linux

package card

// system would be the service for card readers of this system, which the agent
// does not speak to yet.
func system() (service, error) { return nil, ErrNoReaders }
