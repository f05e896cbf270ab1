"""Merges the lists of several accounts into one, in the API's order: the newest item first."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_plus

from airoxy.errors import InvalidInput

#: Least number of items to ask an account for, because some may be another key's.
_AT_ONCE = 100
#: How many items a list has where the request does not say.
DEFAULT_LIMIT = 20
_MOST = 1000
_LIST = re.compile(
    r"/v1/(?:messages/batches|(?!(?:messages|models|organizations|chat)(?:/|$))[a-z][a-z0-9_]*)/?"
)
#: What begins the pages of lists that have pages of several accounts.
_OWN_PAGE = "page_airoxy_"


def is_list(method: str, path: str) -> bool:
    """Whether a request asks for a list of what an account has."""
    return method == "GET" and _LIST.fullmatch(path) is not None


class ListQuery(NamedTuple):
    """What a list is asked for; `rest` are the other parameters, as they came."""

    limit: int = DEFAULT_LIMIT
    after_id: str | None = None
    before_id: str | None = None
    page: str | None = None
    rest: tuple[bytes, ...] = ()


def read_query(query: bytes) -> ListQuery:
    """Raises InvalidInput."""
    found: dict[str, Any] = {}
    rest = []
    for pair in filter(None, query.split(b"&")):
        name, _, value = pair.partition(b"=")
        if name.decode() in ("limit", "after_id", "before_id", "page"):
            found[name.decode()] = unquote_plus(value.decode()) or None
        else:
            rest.append(pair)
    limit = found.pop("limit", None) or str(DEFAULT_LIMIT)
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= _MOST:
        raise InvalidInput(f"limit: must be a number from 1 to {_MOST}")
    if found.get("after_id") and found.get("before_id"):
        raise InvalidInput("Only one of after_id and before_id can be given")
    return ListQuery(limit=int(limit), rest=tuple(rest), **found)


def write_query(query: ListQuery) -> bytes:
    """The parameters as they are sent."""
    given = (("after_id", query.after_id), ("before_id", query.before_id), ("page", query.page))
    own = [b"limit=%d" % max(query.limit, _AT_ONCE)]
    own += [f"{name}={quote(value, safe='')}".encode() for name, value in given if value]
    return b"&".join((*query.rest, *own))


class Item(NamedTuple):
    """An item of a list, and where its account has it: the page, and the place on that page."""

    document: Any
    id: str
    created: float
    page: str | None
    place: int


@dataclass
class Source:
    """One account's list as far as it was read: `items` are to be shown, `next` is where the
    following page begins, and `done` says that there is none."""

    token_id: int
    next: ListQuery
    skip: int = 0
    items: list[Item] = field(default_factory=list)
    done: bool = False

    def take(self, document: dict[str, Any]) -> list[Item]:
        """The items of the page that was asked for with `next`."""
        page = self.next.page
        items = [
            Item(each, str(each.get("id", "")), _created(each), page, index)
            for index, each in enumerate(document["data"])
            if isinstance(each, dict)
        ]
        found, self.skip = items[self.skip :], 0
        following = document.get("next_page")
        if following:
            self.next = self.next._replace(page=following, after_id=None)
        elif document.get("has_more") and items and self.next.before_id is None:
            self.next = self.next._replace(after_id=items[-1].id)
        else:
            self.done = True
        return found


def is_page(document: object) -> bool:
    """Whether an answer is a page of a list."""
    return isinstance(document, dict) and isinstance(document.get("data"), list)


def merged(sources: Sequence[Source]) -> Iterator[tuple[Source, Item]]:
    """The items of all accounts, each in the order of its own; the newest of them comes first, and
    of two tokens of one account nothing comes twice."""
    positions = [0] * len(sources)
    seen: set[str] = set()
    while True:
        heads = [
            (-source.items[position].created, number)
            for number, (source, position) in enumerate(zip(sources, positions, strict=True))
            if position < len(source.items)
        ]
        if not heads:
            return
        _, number = min(heads)
        item = sources[number].items[positions[number]]
        positions[number] += 1
        if not item.id or item.id not in seen:
            seen.add(item.id)
            yield sources[number], item


def own_page(sources: Iterable[Source], shown: Sequence[tuple[Source, Item]]) -> str | None:
    """Where the list goes on after what is `shown`: None at its end."""
    last = {source.token_id: item for source, item in shown}
    ids = {item.id for _, item in shown}
    places: list[tuple[int, str | None, int]] = []
    for source in sources:
        left = source.items
        if item := last.get(source.token_id):
            left = left[left.index(item) + 1 :]
        left = [other for other in left if other.id not in ids]
        if left:
            places.append((source.token_id, left[0].page, left[0].place))
        elif not source.done:
            places.append((source.token_id, source.next.page, 0))
    if not places:
        return None
    packed = json.dumps(places, separators=(",", ":")).encode()
    return _OWN_PAGE + base64.urlsafe_b64encode(packed).decode()


def read_page(page: str) -> dict[int, tuple[str | None, int]]:
    """Of a page of several accounts where each goes on. Raises InvalidInput."""
    try:
        if not page.startswith(_OWN_PAGE):
            raise ValueError
        places = json.loads(base64.urlsafe_b64decode(page.removeprefix(_OWN_PAGE)))
        return {int(token_id): (place, int(skip)) for token_id, place, skip in places}
    except (ValueError, TypeError):
        raise InvalidInput("page: this is no page of this list") from None


def _created(document: dict[str, Any]) -> float:
    created = document.get("created_at")
    if isinstance(created, int | float):
        return float(created)
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except ValueError:
        return 0.0
