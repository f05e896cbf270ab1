"""The notice that is shown wherever a subscription token is added."""

TERMS = """\
Note: Anthropic's terms give subscription credentials to Claude Code and Anthropic's own
applications, and let nobody route other people's requests through them. Whether your use
is allowed is between you and Anthropic; airoxy does not disguise it."""
