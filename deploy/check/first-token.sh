#!/bin/sh
# Follows docs/relying-parties.md to the first token, to the letter, in a fresh
# clone with the build done. A minute is all that may take.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The checkout may belong to somebody else. What is not committed is not there.
git -c safe.directory='*' clone --quiet --depth 1 "file://$here" "$work/lanyard"
mkdir "$work/lanyard/bin"
cp "$here/bin/lanyard" "$work/lanyard/bin/"
cd "$work/lanyard"

# blocks prints what stands in the blocks of one language.
blocks() {
  awk -v language="$1" '/^## /{ here = $0 == "## The first token" } /^```/{ on = here && $0 == "```" language; next } on' docs/relying-parties.md
}

began=$(date +%s%3N)
blocks yaml >my.yaml
{ blocks sh; echo; echo 'kill $!'; } >steps.sh
said=$(timeout 60 sh steps.sh) || { echo "the steps to the first token failed or took a minute" >&2; cat lanyard.log >&2; exit 1; }
took=$(($(date +%s%3N) - began))

case "$said" in
  *'"sub":"555000000101"'*) echo "the first token took $took ms" ;;
  *) echo "the steps end with: $said" >&2; cat lanyard.log >&2; exit 1 ;;
esac
