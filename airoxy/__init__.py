"""airoxy: a proxy that authenticates, pools and accounts for the use of the Anthropic API."""

__version__ = "1.1.0"
