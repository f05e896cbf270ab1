"""The page of one key, group or token, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airoxy.console.api.operation import Entity, PreconditionFailed
from airoxy.console.forms import number_of
from airoxy.console.routes import Route, page
from airoxy.console.visit import Reply, SeeOther, Visit
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store.schema import transaction

Changes = dict[str, Any]
#: What replies nothing leads back to the page.
Action = Callable[[Visit, int], object]


@dataclass(frozen=True)
class OnePage:
    """The page of one of those at `path`, as `render` makes it: it takes what there is to say as
    `trouble` and its status. Its forms set what `read` finds in them, remove it, or do what
    `actions` has for their field `action`."""

    noun: str
    path: str
    entity: Entity
    render: Callable[..., Reply]
    read: Callable[[Visit], Changes]
    save: Callable[[Visit, int, Changes], object]
    remove: Callable[[Visit, int], object]
    actions: Mapping[str, Action] = field(default_factory=dict)

    @property
    def route(self) -> Route:
        return page(f"{self.path}/{{number}}", self.show, self.act)

    def show(self, visit: Visit) -> Reply:
        return self.render(visit, number_of(visit.params["number"], self.noun))

    def act(self, visit: Visit) -> Reply:
        """What one of its forms does."""
        number = number_of(visit.params["number"], self.noun)
        known: dict[str, Action] = {"set": self._set, "remove": self._remove, **self.actions}
        action = known.get(visit.form.get("action", ""))
        try:
            if action is None:
                raise InvalidInput("This form is not known; load the page again.")
            reply = action(visit, number)
        except AiroxyError as error:
            self.entity.row(visit, number)  # one that is gone is told as such
            return self.render(visit, number, trouble=error.message, status=error.status)
        return reply if isinstance(reply, Reply) else SeeOther(f"{self.path}/{number}")

    def again(self, visit: Visit, number: int, trouble: str, status: int) -> dict[str, Any]:
        """For the template: what is to stand in the form again, which is what was typed if there is
        something wrong with that, and the state that the form is of."""
        keep = trouble and status != PreconditionFailed.status
        typed = visit.form if keep else {}
        etag = self.entity.etag(visit, number)
        return {"trouble": trouble, "typed": typed, "state_of_form": typed.get("state", etag)}

    def _set(self, visit: Visit, number: int) -> None:
        """If the form is of the state that is there: its field `state` has the ETag of that."""
        changes = self.read(visit)
        with transaction(visit.db):
            present = self.entity.etag(visit, number)
            if visit.form.get("state", present) != present:
                raise PreconditionFailed(
                    "Somebody has changed it meanwhile. This is how it is now; nothing of yours was"
                    " set."
                )
            self.save(visit, number, changes)

    def _remove(self, visit: Visit, number: int) -> Reply:
        if visit.form.get("typed", "").strip() != self.entity.row(visit, number)["name"]:
            raise InvalidInput(f"Type the name of the {self.noun} to remove it for good.")
        self.remove(visit, number)
        return SeeOther(self.path)
