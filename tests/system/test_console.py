"""The console on a booted system: systemd starts it, and it works from inside its sandbox."""

import re

from tests.system.site import until

ORIGIN = "http://127.0.0.1:3801"
SECOND = "sk-ant-api-test-two"


def test_who_looks_starts_the_console_and_can_do_everything_there(site):
    machine = site.machine

    def curl(words: str) -> str:
        return machine.run(f"curl -sS -b /root/jar -c /root/jar -H 'origin: {ORIGIN}' {words}")

    told = machine.run("airoxy console user add maria --role admin")
    link = re.search(r"https?://\S+(/link/\S+)", told)
    assert link, told
    assert machine.run("systemctl is-active airoxy-console.service", check=False) == "inactive\n"
    assert "Log in" in curl(f"{ORIGIN}/login")
    state = "systemctl is-active airoxy-console.service"
    until(lambda: machine.run(state, check=False) == "active\n")
    assert curl(f"-o /dev/null -w '%{{http_code}}' -X POST {ORIGIN}{link[1]}") == "303"

    page = curl(f"{ORIGIN}/")
    csrf = re.search(r'name="csrf" content="(\w+)"', page)
    assert csrf, page
    assert ">one</a>" in page
    made = curl(f"-d csrf={csrf[1]} -d name=phone {ORIGIN}/keys")
    key = re.search(r'id="secret">(ak-[\w-]+)<', made)
    assert key, made
    site.key = key[1]
    until(lambda: site.ask() == 200)
    # A token is encrypted with the key that systemd passes.
    form = f"-d csrf={csrf[1]} -d name=two -d token={SECOND} -d unchecked=1"
    assert curl(f"-o /dev/null -w '%{{http_code}}' {form} {ORIGIN}/tokens") == "303"
    assert "two" in machine.run("airoxy token list")
    assert "maria (console)" in machine.run("airoxy audit")
    until(lambda: "phone" in curl(f"{ORIGIN}/log"))
    until(lambda: "It does not answer" not in curl(f"{ORIGIN}/health"))

    socket = "--unix-socket /run/airoxy/console.sock http://localhost/login"
    assert "Log in" in machine.run(f"curl -sS {socket}")
    machine.run("systemctl kill --signal=KILL airoxy-console.service")
    assert site.ask() == 200
    until(lambda: "Log in" in machine.run(f"curl -sS {ORIGIN}/login", check=False))
    assert "Traceback" not in site.journal("airoxy-console.service")
