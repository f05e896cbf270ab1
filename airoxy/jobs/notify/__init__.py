"""Warnings for the operator, by mail, webhook or a command of theirs; a timer runs it."""
