"""An operation of the admin API: the table that routes and the OpenAPI document are made from.

Invariant: what changes a thing that has an ETag looks at If-Match in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from airoxy.console.hosts.sight import WHICH_HOST, Sight, with_spending
from airoxy.console.visit import Handler, JsonReply, Visit
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store.schema import transaction
from airoxy.views.json_documents import document_of
from airoxy.views.json_fields import JsonDocument


class PreconditionFailed(AiroxyError):
    """What is to be changed is not what was looked at any more."""

    status, kind = 412, "conflict_error"


class PreconditionRequired(AiroxyError):
    """A change has to say which state it changes."""

    status, kind = 428, "invalid_request_error"


@dataclass(frozen=True)
class Operation:
    """`query` and `body` have what may be given, each with what it is; `required` are those of the
    body that must be. `document` is what is answered, or with `is_list` an array of it."""

    method: str
    path: str
    handler: Handler
    summary: str
    document: JsonDocument | None = None
    is_list: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None
    required: tuple[str, ...] = ()
    status: int = 200
    #: Whether the answer has an ETag, and whether a change may name it, or has to.
    has_etag: bool = False
    takes_etag: bool = False
    needs_etag: bool = False
    #: Whether the body may be the same as YAML.
    takes_yaml: bool = False
    content_type: str = "application/json"
    #: In what else the answer can be had.
    other_types: tuple[str, ...] = ()
    #: Whether a viewer may not even look.
    for_admins: bool = False
    #: What the answer is, where the summary does not say enough.
    told: str = ""


def etag_of(document: Mapping[str, Any]) -> str:
    """Names a state of what may be set: another one has another name."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def check_etag(if_match: str | None, present: str, *, required: bool = False) -> None:
    """Raises PreconditionFailed where somebody else has changed it since it was read."""
    if if_match is None:
        if required:
            raise PreconditionRequired("Say which state is changed: If-Match with its ETag, or *.")
        return
    given = {each.strip().removeprefix("W/").strip('"') for each in if_match.split(",")}
    if "*" not in given and present not in given:
        raise PreconditionFailed("Somebody has changed it meanwhile; read it again.")


Row = Mapping[str, Any]
_REMOVED = document_of("api-key remove")


@dataclass(frozen=True)
class Entity:
    """What is shown, changed and removed by itself: a key, a group, a token, a user. `number` is
    the id of the one that the path names, `row` what is known of it, and `settable` those of its
    columns that its ETag is about. `fields` are what is told of it, those to be set are `given`."""

    noun: str
    path: str
    fields: JsonDocument
    given: Mapping[str, str]
    number: Callable[[Visit], int]
    row: Callable[[Visit, int], Row]
    settable: Sequence[str]
    document: Callable[[Visit, Row], dict[str, Any]]
    #: Whether it is shown with what it has spent, which is that of all hosts of a fleet.
    spends: bool = False

    def etag(self, visit: Visit, number: int) -> str:
        """Names what is set of it now."""
        row = self.row(visit, number)
        return etag_of({name: row.get(name) for name in self.settable})

    @contextmanager
    def unchanged(self, visit: Visit, *, required: bool = False) -> Iterator[int]:
        """A transaction with its number, where it is what the request's If-Match names."""
        with transaction(visit.db):
            number = self.number(visit)
            check_etag(visit.if_match, self.etag(visit, number), required=required)
            yield number

    def reply(self, visit: Visit, number: int) -> JsonReply:
        """It as it is now."""
        seen = with_spending(visit) if self.spends else nullcontext((visit, Sight()))
        with seen as (_, sight):
            document = self.document(visit, self.row(visit, number))
        return JsonReply(document, etag=self.etag(visit, number), warning=sight.trouble)

    def show(self, visit: Visit) -> JsonReply:
        return self.reply(visit, self.number(visit))

    def operations(
        self,
        change: Callable[[Visit, int, dict[str, Any]], object],
        remove: Callable[[Visit, int], object],
        actions: Iterable[tuple[str, Callable[[Visit, int], object], str]] = (),
        removed: str = "",
    ) -> tuple[Operation, ...]:
        """What can be done with one; `actions` need no more than its number, and have a verb and a
        summary."""
        one, noun = f"{self.path}/{{id}}", self.noun
        return (
            Operation("GET", one, self.show, f"One {noun}", self.fields, has_etag=True,
                      query=WHICH_HOST),
            Operation("PATCH", one, self.changed_by(change),
                      f"Change a {noun}; what is not named stays", self.fields, body=self.given,
                      has_etag=True, needs_etag=True),
            Operation("DELETE", one, self.removed_by(remove),
                      removed or f"Remove a {noun} for good", _REMOVED, takes_etag=True),
            *(
                Operation("POST", f"{one}/{verb}", self._acted_on_by(act), summary, self.fields,
                          has_etag=True, takes_etag=True)
                for verb, act, summary in actions
            ),
        )  # fmt: skip

    def changed_by(self, change: Callable[[Visit, int, dict[str, Any]], object]) -> Handler:
        """Sets what the body gives; If-Match has to say of which state."""

        def handler(visit: Visit) -> JsonReply:
            given = fields_of(visit.body, self.given)
            with self.unchanged(visit, required=True) as number:
                change(visit, number, given)
            return self.reply(visit, number)

        return handler

    def _acted_on_by(self, act: Callable[[Visit, int], object]) -> Handler:
        def handler(visit: Visit) -> JsonReply:
            with self.unchanged(visit) as number:
                act(visit, number)
            return self.reply(visit, number)

        return handler

    def removed_by(self, remove: Callable[[Visit, int], object]) -> Handler:
        """Removes it for good."""

        def handler(visit: Visit) -> JsonReply:
            with self.unchanged(visit) as number:
                name = self.row(visit, number)["name"]
                remove(visit, number)
            return JsonReply({"id": number, "name": name, "removed": True})

        return handler


def fields_of(
    body: Any, known: Mapping[str, str], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The body as an object with known fields only. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput("The body has to be a JSON object.")
    if unknown := sorted(set(body) - set(known)):
        raise InvalidInput(f"There is no field {unknown[0]}; there are {', '.join(known)}.")
    for name in required:
        if body.get(name) is None:
            raise InvalidInput(f"The field {name} is missing.")
    return body


def text_field(body: Mapping[str, Any], name: str) -> str:
    """A field that is text. Raises InvalidInput."""
    value = body[name]
    if not isinstance(value, str):
        raise InvalidInput(f"{name} has to be text.")
    return value
