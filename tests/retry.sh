#!/bin/sh
# Run a command that fetches things from the network; where it fails, again after each of these
# pauses, in seconds: retry.sh COMMAND...
set -eu

for pause in ${RETRY_PAUSES-5 15 30 60}; do
    "$@" && exit 0
    echo "Failed; again in $pause seconds: $*" >&2
    sleep "$pause"
done
exec "$@"
