#!/bin/sh
# Runs the agent for Windows, and the tests of what is for Windows alone, where
# Wine is: cards by a winscard.dll for tests, the registry, who is at the other
# end of a connection, windows, and a whole sign-in. Nothing is installed, and
# the Windows that it makes is gone afterwards.
set -eu
go=${GO:-go}
cc=x86_64-w64-mingw32-gcc
here=$(dirname "$0")/wine
agent=cmd/lanyard-agent
PATH=$PATH:/usr/sbin:/sbin

have() { command -v "$1" >/dev/null 2>&1; }

# Which packages have tests for Windows, and which of them.
each() {
  "$1" card "$agent/internal/card" .
  "$1" desk "$agent/internal/desk" .
  "$1" settings "$agent/internal/settings" .
  "$1" prompt "$agent/internal/prompt" 'Desktop|Template|Shown|Words'
  "$1" agent "$agent" 'Pipe|OnWindows'
}

# What follows the first word runs where nobody else's connections are, and on a
# screen that nobody sees: the same script once more.
if [ "${1:-}" = inside ]; then
  folder=$2
  if have ip; then ip link set lo up 2>/dev/null || true; fi
  export WINEPREFIX="$folder/prefix" WINEDEBUG=-all
  # Of its own DLLs Wine has no winscard that knows cards; what shows web pages
  # and runs .NET it would ask to download.
  export WINEDLLOVERRIDES="winscard=n;mscoree=;mshtml="
  export LANYARD_TEST_READER=0 LANYARD_TEST_REGISTRY=yes
  end() {
    wineserver -k >/dev/null 2>&1 || true
    wineserver -w >/dev/null 2>&1 || true
  }
  trap end EXIT
  trap 'exit 1' HUP INT TERM

  mkdir -p "$WINEPREFIX"
  wineserver -p # until it is told to end: one that just ends takes nobody in
  wine wineboot -i >"$folder/boot.log" 2>&1 || { cat "$folder/boot.log"; exit 1; }
  system="$WINEPREFIX/drive_c/windows/system32"
  cp "$folder/winscard.dll" "$system/"
  # Every Go program needs it, and a newer Wine has it.
  [ -e "$system/bcryptprimitives.dll" ] || cp "$folder/bcryptprimitives.dll" "$system/"

  bad=0
  run() {
    echo "Under Wine: $2"
    (cd "$2" && timeout 300 wine "$folder/$1.test.exe" -test.timeout 4m "-test.run=$3") >"$folder/said" 2>&1 || bad=1
    cat "$folder/said"
    grep -q '^PASS' "$folder/said" || bad=1 # Wine may end without a word
  }
  each run
  # The service runs here, and the browser too: all but its way back to the agent.
  if [ "${LANYARD_TEST_DESKTOP:-}" != no ]; then
    echo "Under Wine: a whole sign-in"
    LANYARD_TEST_WINE="$folder" timeout 300 "$go" test -count 1 -run OnWindows "./$agent" || bad=1
  fi
  exit "$bad"
fi

for program in wine wineserver "$cc"; do
  have "$program" || {
    echo "The agent for Windows is not run: there is no $program (packages wine, wine64, gcc-mingw-w64-x86-64-win32, xvfb, xauth)"
    exit 0
  }
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

"$cc" -O1 -shared -o "$folder/winscard.dll" "$here/winscard.c" -lws2_32
"$cc" -O1 -shared -o "$folder/bcryptprimitives.dll" "$here/bcryptprimitives.c" -ladvapi32
"$cc" -O1 -o "$folder/person.exe" "$here/person.c" -lws2_32
build() { GOOS=windows GOARCH=amd64 CGO_ENABLED=0 "$go" "$@"; }
compile() { build test -c -o "$folder/$1.test.exe" "./$2"; }
build build -trimpath -o "$folder/lanyard-agent.exe" "./$agent"
each compile
"$go" build -o /dev/null ./cmd/lanyard # what the whole sign-in builds, where no module can be fetched

screen=
if have xvfb-run && have xauth; then
  screen="xvfb-run -a"
else
  echo "Its windows are not opened: there is no xvfb-run (packages xvfb, xauth)"
  export LANYARD_TEST_DESKTOP=no
fi
apart=
for way in "unshare -n" "unshare -Urn"; do
  if have ip && $way true 2>/dev/null; then
    apart=$way
    break
  fi
done
# shellcheck disable=SC2086 # lists of words
$apart $screen "$0" inside "$folder"
