#!/bin/sh
# Install a package that was built here, start airoxy, and say what comes next: install-deb.sh DEB
set -eu
[ "$(id -u)" = 0 ] || { echo "Only root installs packages: sudo make up" >&2 && exit 1; }

mkdir -p build
log=build/install.log
export DEBIAN_FRONTEND=noninteractive
echo "Installing $(basename "$1")."
{ apt-get -qq update && apt-get -qq -o Dpkg::Use-Pty=0 install --yes --reinstall "$1"; } \
    >"$log" 2>&1 </dev/null || { tail -n 30 "$log" && exit 1; } >&2
if [ ! -d /run/systemd/system ]; then
    echo "No systemd here: airoxy serves in the foreground until Ctrl-C."
    exec runuser -u airoxy -- airoxy serve
fi
airoxy start
cat <<'NEXT'
airoxy runs on port 3800. Next:
  sudo airoxy token add --name work       the first upstream token
  sudo airoxy api-key add --name laptop   a key for a client
  sudo airoxy status                      whether all is well
NEXT
open=$(airoxy config show --json | python3 -c 'import json, sys
shown = json.load(sys.stdin)
print(shown["host"] is None and not (shown.get("tls") or {}).get("certificate"))')
if [ "$open" = True ]; then
    echo "It listens on all addresses, in plain HTTP: where others can read the network, set"
    echo "tls.certificate and tls.key in /etc/airoxy/airoxy.yaml, or host: localhost."
fi
