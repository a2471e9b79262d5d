#!/bin/sh
# Installs, uses, upgrades, removes and purges a package of the agent, and sees
# that what is left is what was there before. All of it happens in a copy of this
# file system that is thrown away (an overlay, in a namespace of its own).
#
#   deploy/agent/try.sh FILE.deb
set -eu

not_tried() { echo "package not tried: $1"; exit 0; }

if [ "${1-}" != inside ]; then
  deb=$(readlink -f "$1")
  [ "$(dpkg-deb --field "$deb" Architecture)" = "$(dpkg --print-architecture)" ] || not_tried "it is for another kind of machine"
  root=
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || not_tried "only root can install one"
    root='sudo -n'
  fi
  place=$(mktemp -d)
  trap 'rmdir "$place"' EXIT
  $root unshare -mpf true 2>/dev/null || not_tried "this system makes no namespaces for us"
  $root unshare -mpf --mount-proc sh "$(readlink -f "$0")" inside "$deb" "$place"
  exit
fi

deb=$2 place=$3
fail() { echo "package: $1" >&2; exit 1; }

mount -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root" 2>/dev/null ||
  not_tried "this system makes no overlay"
mount --rbind /dev "$place/root/dev"
mount -t proc proc "$place/root/proc"
mkdir -p "$place/root/tmp"
mount -t tmpfs tmpfs "$place/root/tmp"
cp "$deb" "$place/root/tmp/first.deb"
# The same, as the next version.
dpkg-deb -R "$deb" "$place/next"
sed -i 's/^Version: .*/&+next/' "$place/next/DEBIAN/control"
dpkg-deb -b "$place/next" "$place/root/tmp/next.deb" >/dev/null

inside() { chroot "$place/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
as_nobody() {
  chroot --userspec=nobody:nogroup "$place/root" env -i PATH=/usr/bin:/bin HOME=/tmp/session XDG_RUNTIME_DIR=/tmp/session "$@"
}
# What the copy has that this file system has not, or has otherwise. What dpkg and
# its triggers write down of themselves is not the package's.
differs() {
  (cd "$place/upper" && find . -mindepth 1 \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache \) -prune -o -print) |
    while read -r path; do
      if [ -d "$place/upper/$path" ] && [ -d "/$path" ]; then continue; fi
      if [ -f "$place/upper/$path" ] && cmp -s "$place/upper/$path" "/$path"; then continue; fi
      case "$path" in *.cache) [ ! -f "/$path" ] || continue ;; esac # the desktop's, which it makes anew
      if [ -c "$place/upper/$path" ] && [ ! -e "/$path" ]; then continue; fi # it came and went
      echo "$path"
    done
}
# What the package depends on may be missing here; that it is named is enough.
dpkg() { inside dpkg --force-depends "$@" >"$place/said" 2>&1 || { cat "$place/said" >&2; fail "dpkg $* failed"; }; }

dpkg -i /tmp/first.deb

inside lanyard-agent --version >/dev/null || fail "it does not run"
inside lanyard-agent doctor --json >"$place/found" 2>/dev/null || true # no service answers here
grep -q '"of": "settings"' "$place/found" || fail "its doctor says nothing"
if inside sh -c 'command -v xdg-mime && command -v update-desktop-database' >/dev/null; then
  [ "$(inside xdg-mime query default x-scheme-handler/lanyard-desk)" = lanyard-agent.desktop ] || fail "the links of sign-in pages are not its own"
fi

# A person's agent runs, and the administrator has written a setting.
echo 'LogLevel = warn' >>"$place/root/etc/lanyard-agent/agent.conf"
inside install -d -o nobody -m 700 /tmp/session
as_nobody lanyard-agent >"$place/agent" 2>&1 &
agent=$!
waited=0
until grep -qs '^ready' "$place/agent"; do
  [ $waited -lt 100 ] || { cat "$place/agent" >&2; fail "no agent waits"; }
  waited=$((waited + 1))
  sleep 0.1
done

as_nobody lanyard-agent status --json >"$place/stands" || fail "its status says $?"
grep -q '"version"' "$place/stands" || fail "its status does not say which one it is"
inside mkdir -m 700 /tmp/other
status=0
inside env XDG_RUNTIME_DIR=/tmp/other lanyard-agent status >/dev/null 2>&1 || status=$?
[ $status -eq 3 ] || fail "in a session without an agent its status says $status"

dpkg --force-confold -i /tmp/next.deb
grep -q '^LogLevel = warn$' "$place/root/etc/lanyard-agent/agent.conf" || fail "an upgrade has lost a setting"
wait $agent || fail "an agent that was told to stop by an upgrade ends with $?"

dpkg --remove lanyard-agent
[ ! -e "$place/root/usr/bin/lanyard-agent" ] || fail "it was removed and is there"
grep -q '^LogLevel = warn$' "$place/root/etc/lanyard-agent/agent.conf" || fail "its removal has lost a setting"
dpkg --purge lanyard-agent
[ ! -e "$place/root/var/lib/dpkg/info/lanyard-agent.list" ] || fail "dpkg still knows it"
left=$(differs)
[ -z "$left" ] || fail "a purge leaves or takes $left"
echo "package tried: installed, used, upgraded, removed and purged"
