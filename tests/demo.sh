#!/bin/bash
# airoxy in front of a fake Anthropic, in a temporary directory and on free ports: what an operator
# types and what a client sees, with nothing left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
dir=$(mktemp -d)
started=()

finish() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || continue
        wait "$pid" || true
    done
    rm -rf "$dir"
}
trap finish EXIT

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
airoxy() { "$python" -m airoxy --config "$dir/airoxy.yaml" "$@"; }
typed() { # show the command as an operator types it, then run it
    printf '\033[32m$ %s\033[0m\n' "$*"
    "$@"
}
until_true() { # try for ten seconds
    for _ in $(seq 100); do
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
port=$("$python" -c 'from tests.program import free_port; print(free_port())')
cat >"$dir/airoxy.yaml" <<YAML
host: 127.0.0.1
port: $port
database: $dir/airoxy.db
upstream: {url: "$upstream"}
YAML
airoxy serve >"$dir/airoxy.log" 2>&1 &
started+=($!)
ANTHROPIC_BASE_URL=http://127.0.0.1:$port
until_true curl -s "$ANTHROPIC_BASE_URL/health"

title "Two tokens of the operator's, one key for a client"
typed airoxy token add sk-ant-api-demo-one --name one
typed airoxy token add sk-ant-api-demo-two --name two
key=$(airoxy api-key add --name laptop --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["key"])')
printf '\033[32m$ airoxy api-key add --name laptop\033[0m\n%s\n' "$key"

message='{"model": "claude-opus-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}'
ask() {
    local body=${1:-$message}
    printf '\033[32m$ curl %s/v1/messages -H "x-api-key: ak-…" -d '\''%s'\''\033[0m\n' "$ANTHROPIC_BASE_URL" "$body"
    curl -sN "$ANTHROPIC_BASE_URL/v1/messages" -H "x-api-key: $key" -H "anthropic-version: 2023-06-01" \
        -H "content-type: application/json" -d "$body"
    echo
}

title "A message, answered with one of the tokens"
ask

title "A stream, passed on event by event"
ask "${message/\"model\"/\"stream\": true, \"model\"}" | sed -n 1,12p
echo "…"

title "Anthropic limits the next token for a minute; the client does not notice"
curl -s "$upstream/_script" -d '{"token": "sk-ant-api-demo-one", "do": "limit", "with": {"retry_after": 60}}' >/dev/null
ask | cut -c1-100

title "What the operator sees"
typed airoxy token list
typed airoxy logs
typed airoxy stats
