"""airoxy: a proxy for the Anthropic API with client keys, a pool of tokens and a usage log."""

__version__ = "1.1.0"
