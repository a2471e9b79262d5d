#!/bin/sh
# Builds the agent for the other systems that desks have, without C, and looks
# over what is for Windows alone, its tests too. It only has to build, so it is
# built without optimisation, which takes half the time. The one that was built
# for this system has its bound: desks fetch it over slow lines.
set -eu
go=${GO:-go}
most=$((12 * 1024 * 1024))

plain='-gcflags=all=-N -l'
export CGO_ENABLED=0
for system in windows/amd64 windows/arm64 windows/386 linux/arm64; do
  echo "lanyard-agent for $system"
  GOOS=${system%/*} GOARCH=${system#*/} "$go" build "$plain" -o /dev/null ./cmd/lanyard-agent
done
GOOS=windows GOARCH=amd64 "$go" vet "$plain" ./cmd/lanyard-agent/...
unset CGO_ENABLED

if [ -f bin/lanyard-agent ]; then
  size=$(wc -c < bin/lanyard-agent)
  if [ "$size" -gt "$most" ]; then
    echo "bin/lanyard-agent has $size bytes, and $most are the most"
    exit 1
  fi
fi
