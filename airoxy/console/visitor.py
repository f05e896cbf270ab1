"""Who asks: a user with a session, or a program with an API token."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from airoxy.store.audit.trail import Actor
from airoxy.store.console.users import ADMIN


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user has a `session`, whose cookie is `secret`; a program has an API `token`."""

    name: str
    role: str
    user: int | None = None
    session: int | None = None
    secret: str = field(default="", repr=False)
    token: int | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN

    @property
    def csrf(self) -> str:
        """What forms of this session have in them and those of another site cannot know; the cookie
        cannot be learnt from it."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()

    @property
    def actor(self) -> Actor:
        """Whom the audit names."""
        return Actor(self.name, via="console" if self.session is not None else "console API")
