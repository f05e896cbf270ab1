"""JSON texts as no writer makes them: odd blanks, keys twice or with escapes, huge numbers."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: How often is a question of patience, how fast is none of a test's business.
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = ("model", "stream", "system", "file_id", "text")

blank = st.text(" \t\n\r", max_size=3)
number = st.sampled_from(
    ("0", "-0", "1e400", "-1E-400", "18446744073709551616", "9" * 400, "0.1", "12", "1.5e3")
)
literal = st.sampled_from(("true", "false", "null"))
_CHARACTER = st.one_of(
    st.sampled_from("aé☃😀\u2028 {}[]:,/'"),
    st.sampled_from((r"\"", r"\\", r"\/", r"\n", r"\u00e9", r"\ud83d\ude00", r"\ud800", r"\u0022")),
    st.sampled_from((r"\"model\":", r", \"stream\": true", r"\\\"system\":[", "file_id", "x" * 70)),
)
string = st.lists(_CHARACTER, max_size=8).map(lambda parts: f'"{"".join(parts)}"')


def _escaped(name: str) -> st.SearchStrategy[str]:
    """The key with at least one of its letters spelled as an escape."""

    def spell(letters: list[int]) -> str:
        return "".join(
            (f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}", letter)[how]
            for letter, how in zip(name, letters, strict=True)
        )

    hows = st.lists(st.integers(0, 2), min_size=len(name), max_size=len(name))
    return hows.map(spell).filter(lambda spelled: spelled != name)


plain_key = st.sampled_from(NAMES).map('"{}"'.format)
escaped_key = st.sampled_from(NAMES).flatmap(_escaped).map('"{}"'.format)


def value(key: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.one_of(number, literal, string, plain_key),
        lambda inner: st.one_of(array(inner), obj(key, inner)),
        max_leaves=8,
    )


def array(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    item = st.tuples(blank, inner, blank).map("".join)
    return st.lists(item, max_size=4).map(lambda items: f"[{','.join(items)}]")


def obj(key: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(blank, key, blank, st.just(":"), blank, inner, blank).map("".join)
    empty = blank.map("{{{}}}".format)
    members = st.lists(member, min_size=1, max_size=6).map(lambda them: f"{{{','.join(them)}}}")
    return st.one_of(members, members, members, empty)


def document(
    key: st.SearchStrategy[str], *members: st.SearchStrategy[str]
) -> st.SearchStrategy[bytes]:
    """A whole text, an object; `members` are values it is made of besides any."""
    inner = st.one_of(*members, value(st.one_of(key, string)))
    whole = st.tuples(blank, obj(st.one_of(key, key, string), inner), blank)
    return whole.map(lambda parts: "".join(parts).encode())
