"""Warnings reach a mailbox through a mail transport agent of the distribution."""

from __future__ import annotations

import json

from tests.system.site import until

POSTFIX = """
debconf-set-selections <<'END'
postfix postfix/main_mailer_type select Local only
postfix postfix/mailname string gateway.example
END
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postfix
"""


def test_the_timers_service_mails_what_is_news_once(computer):
    computer.online()
    computer.run(POSTFIX)
    computer.run("useradd --create-home ops")
    # Without a way to warn anybody there is nothing to do, and nothing is said.
    computer.run("systemctl start airoxy-notify.service")
    assert "airoxy" not in computer.journal("-u airoxy-notify.service")
    computer.run("printf 'notify:\\n  mail: [ops]\\n' >> /etc/airoxy/airoxy.yaml")
    told = json.loads(computer.run("airoxy notify test --json"))
    assert told == [{"way": "mail", "trouble": None}]
    until(lambda: "This is a test" in computer.run("cat /var/mail/ops", check=False))
    expires = "$(date --utc --date='+13 days' +%F)"
    computer.run(f"airoxy api-key add brief --expires {expires}")
    database = "/var/lib/airoxy/airoxy.db"
    computer.run(
        f"python3 -c \"import apsw; apsw.Connection('{database}').cursor().execute("
        "'UPDATE api_keys SET created_at = created_at - 9999999')\""
    )
    for _ in range(2):
        computer.run("systemctl start airoxy-notify.service")
    until(lambda: "The API key brief expires" in computer.run("cat /var/mail/ops"))
    assert computer.run("grep -c '^Subject: airoxy' /var/mail/ops").strip() == "2"
    assert "From: " in computer.run("cat /var/mail/ops")
    _, findings = computer.status("airoxy doctor --json")
    assert {"warnings": "ok"}.items() <= {
        f["check"]: f["state"] for f in json.loads(findings)
    }.items()
