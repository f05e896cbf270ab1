"""How the server is, over the API, and the API's description of itself."""

from __future__ import annotations

from airoxy.console.api.operation import Operation
from airoxy.console.hosts.sight import others_of
from airoxy.console.visit import JsonReply, Visit
from airoxy.errors import NotFound
from airoxy.store.fleet.membership import membership
from airoxy.views.json_documents import document_of


def health(visit: Visit) -> JsonReply:
    """What the server answers, or why it does not."""
    status, document = visit.services.ask_health()
    return JsonReply({"status_code": status, **document})


def doctor(visit: Visit) -> JsonReply:
    """What `airoxy doctor` finds, as far as the console may look."""
    return JsonReply(visit.services.examine())


def fleet(visit: Visit) -> JsonReply:
    """As `airoxy fleet status --json` has it; without PostgreSQL there are no hosts. Raises
    NotFound."""
    member = membership(visit.db)
    if member is None:
        raise NotFound("This host is in no fleet.")
    document, trouble = others_of(visit).status(visit.db, member)
    return JsonReply(document, warning=trouble)


OPERATIONS = (
    Operation("GET", "/api/health", health, "The server's health"),
    Operation(
        "GET",
        "/api/doctor",
        doctor,
        "What is wrong, and what to do",
        document_of("doctor"),
        is_list=True,
    ),
    Operation(
        "GET",
        "/api/fleet",
        fleet,
        "The hosts of the fleet, and how limits are divided among them",
        document_of("fleet status"),
    ),
)
