"""The words that people look for lead somewhere: each of them stands where its answer is.

A word that somebody looked for in vain is added here with the place where the answer belongs.
"""

from __future__ import annotations

import pytest

from tests.docs.guide import section

#: By page and heading (None is anywhere on the page).
WORDS: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("faq", None): (
        "docker", "container", "OpenAI", "Bedrock", "Vertex", "time zone", "UTC", "revoke",
        "rename", "rotate", "export", "GDPR", "privacy", "cache", "invoice", "uninstall", "audit",
        "CORS", "browser", "IPv6", "Windows", "HTTP/2", "WebSocket", "subscription", "upgrade",
        "password", "lost key", "who did what", "Kubernetes", "load balancer", "round robin",
        "sticky", "latency", "Fedora", "Raspberry Pi", "arm64", "change the port", "log_level",
        "rotated", "telemetry", "offline", "MCP", "Cursor", "SSO", "OIDC", "LDAP", "two-factor",
        "MySQL", "Terraform", "Ansible", "AppArmor", "SELinux", "Excel", "daylight saving",
    ),
    ("troubleshooting", None): (
        "401", "403", "404", "408", "413", "429", "431", "499", "502", "503", "504", "529",
        "budget", "quota", "rate limit", "revoked", "expired", "invalid_grant", "certificate",
        "firewall", "clock", "slow", "disk", "locked", "damaged", "downgrade", "docker", "buffer",
        "timeout", "passed no socket", "ulimit", "permission", "log in", "permission denied",
        "out of memory", "address already in use", "ECONNREFUSED", "hangs", "stuck", "corrupt",
    ),
    ("runbooks", "a-client-key-has-leaked"): ("leak", "disable", "api-key disable"),
    ("runbooks", "an-upstream-token-has-leaked"): ("leak", "revoke", "rotate-key"),
    ("runbooks", "an-account-is-out-of-money"): ("credit", "money", "token reset"),
    ("runbooks", "anthropic-is-down"): ("529", "status", "down"),
    ("runbooks", "the-disk-is-full"): ("disk", "log_rows_waiting"),
    ("runbooks", "the-machine-is-lost"): ("RPO", "RTO", "disaster"),
    ("runbooks", "an-upgrade-went-wrong"): ("downgrade", "rollback", "go back"),
    ("runbooks", "a-restore-drill"): ("drill",),
    ("teams", "budgets"): ("budget", "spend-per-month"),
    ("teams", "when-somebody-leaves"): ("off-boarding", "disable"),
    ("teams", "who-pays"): ("chargeback", "invoice", "report"),
    ("security", None): ("threat", "encrypted", "stolen", "attacker", "TPM", "plain text", "audit"),
    ("capacity", None): ("memory", "CPU", "descriptors", "bandwidth", "how many", "scale"),
    ("migration-from-php", None): ("PHP", "import-php", "cron", "way back"),
    ("operators-guide", "backup"): ("backup", "encryption key", "systemd-creds"),
    ("operators-guide", "restore"): ("restore", "another machine"),
    ("operators-guide", "tls"): ("certbot", "https", "renew", "Let's Encrypt"),
    ("operators-guide", "several-hosts"): ("high availability", "HAProxy", "cluster"),
    ("operators-guide", "through-an-http-proxy"): ("https_proxy", "corporate"),
    ("operators-guide", "prices"): ("recost", "price"),
    ("monitoring", None): ("Prometheus", "Grafana", "alert", "/health", "OpenMetrics"),
    ("clients-guide", None): (
        "Claude Code", "Python", "TypeScript", "LangChain", "curl", "Cline", "aider", "LiteLLM",
        "base URL", "OpenAI", "browser", "self-signed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("page", "heading"), WORDS)
def test_the_words_that_people_look_for_are_where_the_answer_is(page, heading):
    text = " ".join(section(page, heading).split()).lower()
    assert [word for word in WORDS[page, heading] if word.lower() not in text] == []
