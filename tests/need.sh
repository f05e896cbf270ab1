#!/bin/sh
# Install those of the named Debian packages that are missing: need.sh [--tell] PACKAGE...
# With --tell, or not run by root, it only says how to install them.
# What comes with a service is for tests, which start it themselves: none is left running or enabled.
# A mirror that stumbles is asked again; a fresh machine's own first run of apt is waited for.
set -eu

user=$(id -u)
[ "${1-}" != --tell ] || { user=nobody && shift; }
missing=
for package; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$user" != 0 ]; then
    echo "Some packages are missing; this installs them: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing:$missing"

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
# Both again: where only some of the lists came, apt says so and goes on.
# shellcheck disable=SC2016,SC2086  # $@ is the inner shell's; one word is one package
"$(dirname "$0")/retry.sh" sh -c 'apt-get -qq update &&
    apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install \
        --yes --no-install-recommends "$@" >/dev/null' apt $missing
for package in $missing; do
    service=${package%-light}
    [ "$package" != openssh-server ] || service=ssh
    systemctl --quiet disable "$service.socket" 2>/dev/null || true # Ubuntu's ssh has one
    systemctl --quiet disable "$service.service" 2>/dev/null || true
done
