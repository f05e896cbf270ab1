#!/bin/sh
# Install those of the named Debian packages that are missing: need.sh PACKAGE...
set -eu

missing=
for package; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Missing packages; install them with: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086  # one word is one package
apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends $missing >/dev/null
