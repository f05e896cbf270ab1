"""Who runs a command: root leaves nothing that the service cannot use, others are sent to sudo."""

import json

import pytest

from tests.system.site import until

#: Everything that opens the database, and some arguments that let it go far.
COMMANDS = (
    "api-key add --name second",
    "api-key list",
    "api-key toggle 1",
    "api-key toggle 1",
    "api-key rotate 1",
    "api-key remove 1",
    "token add sk-ant-api-test-two --name two",
    "token list",
    "token toggle 1",
    "token toggle 1",
    "token reset 1",
    "token refresh",
    "token auto",
    "token remove 1",
    "logs",
    "stats --by day",
    "stats --report month",
    "audit",
    "export",
    "apply /etc/airoxy-keys.yaml",
    "prices",
    "prices --recost --since 2026-11-01",
    "backup --force /root/copy.db",
    "job tidy-log",
    "job refresh-tokens",
)

KEYS_FILE, KEYS = "/etc/airoxy-keys.yaml", "keys: {applied: {}}\n"


@pytest.mark.parametrize("fresh", [False, True], ids=["with a database", "without a database"])
def test_commands_of_root_leave_nothing_that_the_service_cannot_use(computer, fresh):
    computer.put(KEYS_FILE, KEYS)
    if fresh:
        computer.run("airoxy stop && rm -f /var/lib/airoxy/*")
    for command in COMMANDS:
        computer.status(f"airoxy {command}")
        owners = computer.run(
            "find /var/lib/airoxy -ignore_readdir_race -printf '%u:%g %m %y %p\\n'"
        )
        for line in owners.splitlines():
            expected = "640 f" if "/airoxy.db" in line and ".before" not in line else "600 f"
            assert line.startswith((f"airoxy:airoxy {expected} ", "airoxy:airoxy 750 d ")), command
    computer.run("airoxy start")
    made = json.loads(computer.run("airoxy api-key add --name again --json"))
    ask = f"curl -s -H 'x-api-key: {made['key']}' http://127.0.0.1:3800/v1/models"
    until(lambda: "authentication_error" not in computer.run(ask))


def test_every_command_of_an_ordinary_user_says_sudo(computer):
    computer.put(KEYS_FILE, KEYS)
    for command in COMMANDS:
        status, said = computer.status(f"airoxy {command}", user="nobody")
        assert status == 1, command
        assert "sudo" in said, command
        assert len(said.strip().splitlines()) == 1, said


def test_changes_are_in_the_journal_with_the_user_who_called_sudo(computer):
    computer.run("SUDO_USER=ada SUDO_UID=1000 airoxy api-key add journaled")
    told = computer.journal("-t airoxy -o cat")
    assert "ada (api-key add): key" in told
    assert "(journaled) added" in told


def test_the_secrets_of_applied_keys_are_roots_alone(computer):
    computer.put(KEYS_FILE, KEYS)
    computer.run(f"airoxy apply {KEYS_FILE} --secrets-to /root/new-keys.yaml")
    assert computer.run("stat -c '%U %a' /root/new-keys.yaml") == "root 600\n"
    assert computer.run("cat /root/new-keys.yaml").startswith("applied: ak-")
