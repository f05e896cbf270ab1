"""The groups of client keys: all of them, one of them, and what its forms do."""

from __future__ import annotations

from typing import Any

from airoxy.console.api.groups import GROUP
from airoxy.console.forms import limit_fields, read_limits, read_texts
from airoxy.console.hosts.sight import with_spending
from airoxy.console.pages.one import OnePage
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.table import GROUP_LIMITS
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import groups
from airoxy.views.keys import Meter, meters, used


def show_all(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
    """The list, and the form for a new one."""
    with with_spending(visit) as (_, sight):
        listed = groups.list_groups(visit.db)
        rows = [{**group, "meters": _meters(visit, group)} for group in listed]
    values = {"groups": rows, "typed": visit.form, "trouble": trouble, "sight": sight}
    return Rendered("groups.html", values | {"fields": limit_fields(GROUP_LIMITS)}, status)


def _meters(visit: Visit, group: dict[str, Any]) -> list[Meter]:
    if all(group[limit.column] is None for limit in GROUP_LIMITS):
        return []
    return meters({**group, **used(visit.db, group["id"] + GROUPS_FROM, visit.now)}, visit.zone)


def add(visit: Visit) -> Reply:
    """A new group."""
    try:
        changes = _changes(visit)
        name = changes.pop("name", "")
        if not name:
            raise InvalidInput("Say what the group is called.")
        wanted = {column: value for column, value in changes.items() if value is not None}
        group_id = groups.add_group(visit.db, name, visit.now, wanted)
    except AiroxyError as error:
        return show_all(visit, error.message, error.status)
    return SeeOther(f"/groups/{group_id}")


def _changes(visit: Visit) -> dict[str, Any]:
    limits = read_limits(GROUP_LIMITS, visit.form, visit.moment)
    return {**limits, **read_texts(visit.form, pool=False)}


def _one(visit: Visit, group_id: int, trouble: str = "", status: int = 200) -> Reply:
    """A group with its limits and its keys."""
    group = groups.find_group(visit.db, group_id)
    with with_spending(visit) as (_, sight):
        spent = _meters(visit, group)
    values = {
        "sight": sight,
        "group": group,
        "is_everybody": group_id == EVERYBODY,
        "meters": spent,
        "fields": limit_fields(GROUP_LIMITS, group),
        **ONE.again(visit, group_id, trouble, status),
    }
    return Rendered("group.html", values, status)


ONE = OnePage(
    "group", "/groups", GROUP, _one, _changes,
    save=lambda visit, number, changes: groups.set_group(visit.db, number, changes),
    remove=lambda visit, number: groups.remove_group(visit.db, number, visit.now),
)  # fmt: skip

ROUTES = (page("/groups", show_all, add), ONE.route)
