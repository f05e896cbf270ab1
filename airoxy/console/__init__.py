"""The operators' web console and admin API: a process of its own, beside the server."""
