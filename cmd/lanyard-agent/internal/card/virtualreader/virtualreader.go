// Package virtualreader is a computer's card reader for tests: pcscd with the
// virtual reader of vsmartcard, into which virtual cards are put.
//
// Each has a pcscd of its own, in namespaces where nothing else is seen and
// where nobody else sees its port. It needs no rights but that of making
// namespaces. Where it cannot be had the test says why in one line, and skips.
package virtualreader
