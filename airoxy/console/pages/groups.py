"""The groups of client keys: all of them, one of them, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airoxy.console.api.groups import GROUP
from airoxy.console.forms import (
    check_state,
    form_again,
    limit_fields,
    number_of,
    read_limits,
    read_texts,
)
from airoxy.console.hosts.sight import with_spending
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.table import GROUP_LIMITS
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import groups
from airoxy.store.schema import transaction
from airoxy.views.keys import Meter, meters, used


def show_all(visit: Visit) -> Reply:
    """The list, and the form for a new one."""
    return _list(visit)


def _list(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
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
        changes = {**_changes(visit), **read_texts(visit.form, pool=False)}
        name = changes.pop("name", "")
        if not name:
            raise InvalidInput("Say what the group is called.")
        wanted = {column: value for column, value in changes.items() if value is not None}
        group_id = groups.add_group(visit.db, name, visit.now, wanted)
    except AiroxyError as error:
        return _list(visit, error.message, error.status)
    return SeeOther(f"/groups/{group_id}")


def _changes(visit: Visit) -> dict[str, Any]:
    return read_limits(GROUP_LIMITS, visit.form, visit.moment)


def show_one(visit: Visit) -> Reply:
    """A group with its limits and its keys."""
    return _one(visit, number_of(visit.params["number"], "group"))


def _one(visit: Visit, group_id: int, trouble: str = "", status: int = 200) -> Reply:
    group = groups.find_group(visit.db, group_id)
    with with_spending(visit) as (_, sight):
        spent = _meters(visit, group)
    values = {
        "sight": sight,
        "group": group,
        "is_everybody": group_id == EVERYBODY,
        "meters": spent,
        "fields": limit_fields(GROUP_LIMITS, group),
        "trouble": trouble,
        **form_again(visit, GROUP.etag(visit, group_id), trouble, status),
    }
    return Rendered("group.html", values, status)


def change(visit: Visit) -> Reply:
    """What the forms on a group's page do, by their field `action`."""
    group_id = number_of(visit.params["number"], "group")
    action = _ACTIONS.get(visit.form.get("action", ""))
    try:
        if action is None:
            raise InvalidInput("This form is not known; load the page again.")
        return action(visit, group_id)
    except AiroxyError as error:
        return _one(visit, group_id, error.message, error.status)


def _set(visit: Visit, group_id: int) -> Reply:
    changes = {**_changes(visit), **read_texts(visit.form, pool=False)}
    with transaction(visit.db):
        check_state(visit.form, GROUP.etag(visit, group_id))
        groups.set_group(visit.db, group_id, changes)
    return SeeOther(f"/groups/{group_id}")


def _remove(visit: Visit, group_id: int) -> Reply:
    if visit.form.get("typed", "").strip() != groups.find_group(visit.db, group_id)["name"]:
        raise InvalidInput("Type the name of the group to remove it for good.")
    groups.remove_group(visit.db, group_id, visit.now)
    return SeeOther("/groups")


_ACTIONS: dict[str, Callable[[Visit, int], Reply]] = {"set": _set, "remove": _remove}

ROUTES = (page("/groups", show_all, add), page("/groups/{number}", show_one, change))
