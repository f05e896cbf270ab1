#!/bin/bash
# airoxy in front of a fake Anthropic, in a temporary directory and on free ports: what an operator
# types and what a client sees, with nothing left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
dir=$(mktemp -d)
started=()
export no_proxy='*'
bold='' green='' plain=''
[ ! -t 1 ] || { bold=$'\e[1m' green=$'\e[32m' plain=$'\e[0m'; }

finish() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || continue
        wait "$pid" || true
    done
    rm -rf "$dir"
}
trap finish EXIT

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
airoxy() { "$python" -m airoxy --config "$dir/airoxy.yaml" "$@"; }
script() { curl -s "$upstream/_script" -d "$1" >/dev/null; } # tell the fake what to answer
typed() { # show the command as an operator types it, then run it
    printf '%s$ %s%s\n' "$green" "$*" "$plain"
    "$@"
}
until_true() { # try for a minute
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "gave up waiting for: $*" >&2
    cat "$dir"/*.log >&2
    exit 1
}

"$python" -m tests.fake_anthropic --port 0 >"$dir/upstream.log" 2>&1 &
started+=($!)
until_true grep -q http "$dir/upstream.log"
upstream=$(grep -o 'http://.*' "$dir/upstream.log")
port=$("$python" -c 'from tests.ports import free_port; print(free_port())')
cat >"$dir/airoxy.yaml" <<YAML
host: 127.0.0.1
port: $port
database: $dir/airoxy.db
upstream: {url: "$upstream"}
YAML
"$python" -m airoxy --config "$dir/airoxy.yaml" serve >"$dir/airoxy.log" 2>&1 &
started+=($!)
ANTHROPIC_BASE_URL=http://127.0.0.1:$port
until_true curl -s "$ANTHROPIC_BASE_URL/health"

title "Two tokens of the operator's, one key for a client"
typed airoxy token add sk-ant-api-demo-one --name one
typed airoxy token add sk-ant-api-demo-two --name two
key=$(airoxy api-key add --name laptop --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["key"])')
printf '%s$ airoxy api-key add --name laptop%s\n%s\n' "$green" "$plain" "$key"

message='{"model": "claude-opus-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}'
# shellcheck disable=SC2034  # used by its name
stream="{\"stream\": true, ${message#\{}"
ask() { # with the text of $message or $stream; the answer's long lines are cut
    # shellcheck disable=SC2016  # shown as it is
    printf '%s$ curl $ANTHROPIC_BASE_URL/v1/messages -H "x-api-key: $key" -d "$%s"%s\n' "$green" "$1" "$plain"
    curl -sN "$ANTHROPIC_BASE_URL/v1/messages" -H "x-api-key: $key" -H "anthropic-version: 2023-06-01" \
        -H "content-type: application/json" -d "${!1}" | grep . | cut -c1-150
}

title "A message, answered with one of the tokens"
ask message

title "A stream, passed on event by event as it comes"
ask stream | sed -n 1,11p
echo "…"

title "Anthropic limits the next token for a minute; the client does not notice"
script '{"token": "sk-ant-api-demo-one", "do": "limit", "with": {"retry_after": 60}}'
script '{"do": "message", "with": {"usage": {"input_tokens": 2100, "cache_read_input_tokens": 30000}}}'
ask message

title "What the operator sees"
typed airoxy token list
typed airoxy logs
typed airoxy stats
