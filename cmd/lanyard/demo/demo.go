// Package demo is what `lanyard dev` shows itself with: a directory of people
// who do not exist, and an application that they can sign in to.
//
// The application uses another OIDC library than Lanyard does, so that the two
// cannot share a mistake. Nothing here is part of a production service.
package demo

import (
	"bytes"
	_ "embed"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

//go:embed directory.yaml
var directoryYAML []byte

// Directory returns the demo directory.
func Directory() (directory.Document, error) {
	return directory.Read(bytes.NewReader(directoryYAML))
}
