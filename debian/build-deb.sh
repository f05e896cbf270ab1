#!/bin/sh
# Build the Debian package from the last commit (without git: from the files that are here) into
# dist/, quietly: what the tools say is in build/deb.log. Run by root it installs what the build
# needs and is missing, and removes just that again.
set -eu
cd "$(dirname "$0")/.."

log=$PWD/build/deb.log
fresh=''

finish() {
    status=$?
    [ "$status" = 0 ] || { tail -n 30 "$log" && echo "The build failed; all of it is in $log." >&2; }
    if [ -n "$fresh" ]; then
        # shellcheck disable=SC2086  # one word is one package
        DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 purge --yes $fresh \
            >>"$log" 2>&1 || echo "These are left of the build:$fresh" >&2
    fi
    exit "$status"
}

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u; }

install_needs() { # what was not there before stands in $fresh then
    [ -n "$(missing)" ] || return 0
    echo "Installing what the build needs; it is removed afterwards."
    before=$(mktemp)
    installed >"$before"
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get -qq update &&
            apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends \
                dpkg-dev "$([ -e .git ] && echo git || echo tar)" &&
            apt-get -qq -o Dpkg::Use-Pty=0 -P nocheck build-dep --yes ./
    } >>"$log" 2>&1 || status=$?
    fresh=$(installed | comm -13 "$before" - | tr '\n' ' ')
    rm "$before"
    return "${status:-0}"
}

missing() { # why the package cannot be built here, or nothing
    [ ! -e .git ] || command -v git >/dev/null || echo "git is not installed."
    command -v dpkg-buildpackage >/dev/null || { echo "dpkg-dev is not installed." && return; }
    dpkg-checkbuilddeps -P nocheck 2>&1 | sed 's/.*error: //' || true
}

source_tree() {
    if [ -e .git ]; then
        git -c safe.directory='*' archive HEAD
    else
        tar -c --exclude=./build --exclude=./dist --exclude=./.venv --exclude=__pycache__ .
    fi
}

mkdir -p build dist
: >"$log"
trap finish EXIT
if [ "$(id -u)" = 0 ]; then
    install_needs
elif lacks=$(missing) && [ -n "$lacks" ]; then
    printf '%s\n%s\n' "$lacks" "sudo make deb installs what is missing, and removes it afterwards." >&2
    trap - EXIT
    exit 1
fi
echo "Building the package."
rm -rf build/deb
mkdir -p build/deb/airoxy
source_tree >build/deb/source.tar
tar -x -C build/deb/airoxy -f build/deb/source.tar
(
    cd build/deb/airoxy
    PATH=/usr/sbin:/usr/bin:/sbin:/bin DEB_BUILD_OPTIONS=nocheck \
        dpkg-buildpackage -us -uc -b -Pnocheck
) >>"$log" 2>&1
mv build/deb/airoxy_*.deb build/deb/airoxy_*.changes build/deb/airoxy_*.buildinfo dist/
