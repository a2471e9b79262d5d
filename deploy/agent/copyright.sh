#!/bin/sh
# Writes the copyright file of the package: our own licence, and that of every
# module whose code is in the program.
set -eu

cat <<TEXT
Format: text
Lanyard is licensed under the Apache License 2.0, which is on Debian systems in
/usr/share/common-licenses/Apache-2.0.

The program has code of the Go project and of the modules below, under these
licences.

TEXT
go=${GO:-go}
license() { # name, folder
  for file in LICENSE LICENSE.txt LICENSE.md COPYING; do
    if [ -r "$2/$file" ]; then
      printf '%s\n\n' "== $1"
      cat "$2/$file"
      echo
      return
    fi
  done
  echo "$1 has no licence" >&2
  exit 1
}
license Go "$($go env GOROOT)"
GOOS=linux CGO_ENABLED=0 $go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/lanyard-agent |
  sort -u | while read -r module version folder; do license "$module $version" "$folder"; done
