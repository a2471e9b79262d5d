#!/bin/sh
# Installs what the tests need and this machine lacks: a C compiler for the
# race detector, Redis, PostgreSQL, a token in software, a card reader in
# software, other people's programs for cards, what a desktop has for the agent,
# a browser that opens links, and Apache with mod_auth_openidc. Debian and Ubuntu
# only; elsewhere it says what to install. Nothing that it installs is started.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

browser=chromium
[ ! -r /etc/os-release ] || ! grep -q '^ID=ubuntu' /etc/os-release || browser=chromium-browser

packages=
have gcc || have cc || packages="$packages gcc libc6-dev"
have curl || packages="$packages curl"
have redis-server || packages="$packages redis-server"
have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages="$packages postgresql"
have softhsm2-util || packages="$packages softhsm2"
[ -x /usr/sbin/pcscd ] || packages="$packages pcscd"
have pkcs11-tool || packages="$packages opensc opensc-pkcs11"
have yubico-piv-tool || packages="$packages yubico-piv-tool"
have openssl || packages="$packages openssl"
pkg-config --exists libpcsclite 2>/dev/null || packages="$packages pkg-config libpcsclite-dev"
have xdg-open || packages="$packages xdg-utils"
[ -e /etc/reader.conf.d/vpcd ] || packages="$packages vsmartcard-vpcd"
have dbus-daemon || packages="$packages dbus-daemon"
have desktop-file-validate || packages="$packages desktop-file-utils"
[ -x /sbin/ip ] || packages="$packages iproute2"
have chromium || have chromium-browser || have google-chrome || [ -n "${CHROMIUM:-}" ] ||
  packages="$packages $browser fonts-liberation"
[ -x /usr/sbin/apache2 ] || packages="$packages apache2"
[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || packages="$packages libapache2-mod-auth-openidc"
[ -n "$packages" ] || exit 0

if ! have apt-get; then
  echo "The tests need these, and this system has no apt-get to install them with:$packages" >&2
  exit 1
fi

root=
if [ "$(id -u)" -ne 0 ]; then
  have sudo || { echo "The tests need these, and only root can install them:$packages" >&2; exit 1; }
  root=sudo
fi

# Packages start their services as they are installed, unless this file
# forbids it. One that is there already stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '$root rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
  $root chmod +x "$policy"
fi

# Bounded: a lock is waited for, a slow server is given up, and both tries end.
apt() {
  $root env DEBIAN_FRONTEND=noninteractive timeout --kill-after=30 300 apt-get -q -y \
    -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@" </dev/null
}

echo "Installing$packages"
for try in 1 2 3; do
  # One source of many that cannot be had fails the update but not us.
  apt update || true
  # shellcheck disable=SC2086 # a list of words
  if apt install --no-install-recommends $packages; then
    break
  fi
  [ "$try" -lt 3 ] || { echo "Could not install$packages" >&2; exit 1; }
done

# Nor may a server that came only for the tests start with the machine.
for service in redis-server.service postgresql.service pcscd.socket pcscd.service apache2.service; do
  case "$packages" in
    *" ${service%.*}"*)
      if [ -d /run/systemd/system ]; then $root systemctl disable --now $service; fi ;;
  esac
done
