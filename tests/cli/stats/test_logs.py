"""`airoxy logs`."""

from __future__ import annotations

import datetime
import json
import select
import signal
import subprocess
from pathlib import Path

import apsw
import pytest

from airoxy.errors import InvalidInput, NotFound
from airoxy.store import keys, schema
from airoxy.views import formats
from tests.cli.terminal import Screen, Typed
from tests.conftest import Clock
from tests.program import PYTHON, ROOT, environment
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, replace, row


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock) -> Typed:
    add_key(db, "alice")
    add_key(db, "bob")
    add_token(db, "console")
    return Typed(Path(db.filename), clock)


def ids(rows: list[dict[str, int]]) -> list[int]:
    return [row["id"] for row in rows]


def test_the_newest_requests_are_a_table(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(input_tokens=9_999, output_tokens=12_345, cost_nanousd=50_500_000),
        row(
            time="13:01:02",
            model="claude-sonnet-4-5-20250929",
            endpoint="/v1/messages/count_tokens",
            token_id=None,
            status_code=429,
            error_message="rate limited",
            cost_nanousd=0,
            duration_ms=640,
        ),
    )
    lines = typed("logs").splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "TIME KEY TOKEN ENDPOINT MODEL IN OUT WRITE READ COST STATUS TOOK",
        "11-22 13:01:02 alice - count_tokens sonnet-4-5 10 20 70 50 $0 429 640ms",
        "rate limited",
        "11-22 12:00:00 alice console messages opus-5-5 9999 12.3k 70 50 $0.0505 200 4.0s",
    ]
    assert lines[1].index("640ms") + 5 == lines[3].index("4.0s") + 4 == len(lines[0])


def test_the_table_is_never_wider_than_120_columns(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(
            endpoint="/v1/messages/batches/msgbatch_" + "x" * 50,
            model="claude-" + "x" * 100,
            api_key_id=add_key(db, "k" * 64),
            cache_read_tokens=10**11,
            cost_nanousd=10**14,
            ending="upstream_failed",
            status_code=502,
            error_message="e" * 300,
            duration_ms=10**8,
        ),
    )
    lines = typed("logs").splitlines()
    assert max(map(len, lines)) <= 120
    assert "502 fail" in lines[1]


def test_a_message_cannot_speak_to_the_terminal(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(error_message="a\x1b[31mb\nc\x9b", model="\x1b]0;x\x07"))
    assert {c for c in typed("logs") if not c.isprintable()} == {"\n"}


def test_an_endpoint_that_ends_in_a_slash_is_named(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(endpoint="/v1/messages/"))
    assert "  messages  " in typed("logs")


def test_who_left_and_what_broke_off_is_seen(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(ending="client_left", status_code=499))
    assert "499 left" in typed("logs")


def test_json_is_one_array_newest_first(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(), row())
    rows = typed.json("logs")
    assert ids(rows) == [2, 1]
    assert rows[0]["requested_at"] == "2026-11-22T12:00:00.000Z"
    assert rows[0]["is_stream"] is True


def test_without_requests_that_is_said(typed: Typed) -> None:
    assert typed("logs") == "No requests yet.\n"
    assert typed("logs", "--today") == "No such requests.\n"
    assert typed.json("logs") == []


def test_filters_choose_and_add_up(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(days_ago(1)),
        row(),
        row(api_key_id=2),
        row(token_id=None),
        row(api_key_id=2, token_id=None),
    )
    assert ids(typed.json("logs", "--limit", "2")) == [5, 4]
    assert ids(typed.json("logs", "--today")) == [5, 4, 3, 2]
    assert ids(typed.json("logs", "--date", "2026-11-21")) == [1]
    assert ids(typed.json("logs", "--key", "2")) == [5, 3]
    assert ids(typed.json("logs", "--token", "1")) == [3, 2, 1]
    assert ids(typed.json("logs", "--token", "1", "--key", "1", "--date", f"{TODAY}")) == [2]


@pytest.mark.parametrize(
    "words",
    [
        ("--limit", "0"),
        ("--limit", "-1"),
        ("--limit", "many"),
        ("--date", "yesterday"),
        ("--date", "2026-02-30"),
        ("--date", "22.11.2026"),
        ("--date", "9999-12-31"),
        ("--today", "--date", "2026-11-22"),
        ("--status", "600"),
        ("--status", "429,"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(typed: Typed, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as raised:
        typed("logs", *words)
    assert raised.value.code == 2


def test_an_id_that_never_was_is_an_error(db: apsw.Connection, typed: Typed) -> None:
    with pytest.raises(NotFound, match="airoxy token list"):
        typed("logs", "--token", "9")
    with pytest.raises(NotFound, match="airoxy api-key list"):
        typed("logs", "--key", "9")
    keys.remove_key(db, 1, 0)
    assert typed.json("logs", "--key", "1") == []


def test_following_goes_on_with_what_is_written(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(), row(api_key_id=2), row(), row())
    command = [PYTHON, "-m", "airoxy", "--config", str(typed.config), "logs", "--follow", "--json"]
    with subprocess.Popen(
        [*command, "--limit", "2", "--key", "1"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True,
    ) as follower:  # fmt: skip
        assert follower.stdout
        seen = [json.loads(follower.stdout.readline())["id"] for _ in range(2)]
        assert seen == [3, 4]
        append(db, row(api_key_id=2), row())
        assert json.loads(follower.stdout.readline())["id"] == 6
        append(db, row())
        assert json.loads(follower.stdout.readline())["id"] == 7
        follower.send_signal(signal.SIGINT)
        assert follower.stdout.read() == ""
        assert follower.wait() == 130


def test_a_wide_table_has_what_a_trouble_is_told_by(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(
            attempts=3,
            ttfb_ms=640,
            ending="upstream_failed",
            request_id="req_011CSHoEeqs5C35K2UUq",
            client_address="192.0.2.7",
        ),
        row(attempts=1, ttfb_ms=None, ending="client_left", status_code=499, request_id=None),
    )
    head, *lines = typed("logs", "--wide").splitlines()
    heads = ["TRIES", "FIRST", "ENDING", "REQUEST", "ID", "CLIENT", "GROUP"]
    assert head.split("TOOK")[1].split() == heads
    assert lines[0].split()[-6:] == ["1", "-", "client_left", "-", "-", "-"]
    assert lines[1].split()[-6:] == [
        *("3", "640ms", "upstream_failed", "req_011CSHoEeqs5C35K2UUq", "192.0.2.7", "-")
    ]


# More filters


@pytest.fixture
def various(db: apsw.Connection, typed: Typed) -> Typed:
    """Seven requests of the last day; the clock stands at noon."""
    append(
        db,
        row(days_ago(1), "13:00:00", model="claude-opus-5-5[1m]"),
        row(time="09:00:00", status_code=429, request_id="req_airoxy_1"),
        row(time="10:00:00", status_code=500),
        row(time="10:30:00", ending="upstream_failed", is_estimate=True, cost_nanousd=10**9),
        row(time="11:00:00", ending="client_left"),
        row(time="11:30:00", model=None, uncounted=True, cost_nanousd=0),
        row(time="11:59:00", model="claude-haiku-4-5", status_code=529),
    )
    return typed


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--failed", [7, 4, 3, 2]),
        ("--status 429", [2]),
        ("--status 5xx", [7, 3]),
        ("--status 429,5XX", [7, 3, 2]),
        ("--model haiku-4-5", [7]),
        ("--model haiku-*,*[1m]", [7, 1]),
        ("--model claude-haiku-*", [7]),
        ("--model claude-opus-5-5[1m]", [1]),
        ("--model *[1m]", [1]),
        ("--request req_airoxy_1", [2]),
        ("--since 2h", [7, 6, 5, 4, 3]),
        ("--since 10:30", [7, 6, 5, 4]),
        ("--since 2026-11-22", [7, 6, 5, 4, 3, 2]),
        ("--since 2026-11-22T11:00:00+01:00 --until 11:00", [4, 3]),
        ("--today --until 2026-11-22T09:30", [2]),
        ("--until 2026-11-22", [1]),
        ("-n 2 --failed", [7, 4]),
        ("--failed --status 529 --since 1h --model *haiku*", [7]),
    ],
)
def test_each_filter_chooses(various: Typed, words: str, wanted: list[int]) -> None:
    assert ids(various.json("logs", *words.split())) == wanted


def test_an_estimate_is_marked_and_so_is_what_cannot_be_counted(various: Typed) -> None:
    lines = various("logs", "--since", "10:30", "--until", "11:31").splitlines()[1:]
    costs = [line[96:103].strip() for line in lines]
    assert costs == ["?", "$0.0010", "~$1.00"]


def test_nothing_between_two_moments_is_an_error(typed: Typed) -> None:
    with pytest.raises(InvalidInput, match="nothing is between"):
        typed("logs", "--since", "1h", "--until", "2h")
    with pytest.raises(InvalidInput, match="what comes"):
        typed("logs", "--follow", "--until", "1h")


def test_it_is_said_where_the_rows_begin_when_more_was_asked_for(
    various: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(various("logs", "--since", "2026-10-01").splitlines()) == 8
    assert "from 2026-11-21 on" in capsys.readouterr().err


def test_for_days_without_rows_the_sums_are_named(various: Typed) -> None:
    said = various("logs", "--until", "2026-11-20")
    assert said.startswith("No such requests.")
    assert "from 2026-11-21 on" in said
    assert "airoxy stats --since" in said


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9999-99-99", "99999999999d", "1e9"])
def test_a_moment_that_is_none_is_an_error_of_one_line(typed: Typed, text: str) -> None:
    with pytest.raises(InvalidInput, match="--since"):
        typed("logs", "--since", text)


# On a terminal


@pytest.mark.parametrize("columns", [40, 50, 60, 79, 80, 100, 120, 150, 200, 300])
def test_the_table_fits_the_terminal(db: apsw.Connection, typed: Typed, columns: int) -> None:
    append(
        db,
        row(
            api_key_id=add_key(db, "日本" * 20),
            model="claude-" + "x" * 100,
            cost_nanousd=10**14,
            ending="worker_killed",
            status_code=502,
            error_message="e" * 400,
        ),
    )
    told = typed("logs", screen=Screen(terminal=True), COLUMNS=f"{columns}", NO_COLOR="1")
    head, line, error = told.splitlines()
    assert max(map(formats.columns, (head, line, error))) <= columns
    assert head.split()[0] == "TIME"
    assert "MODEL" in head
    assert "502 kill" in line
    assert formats.columns(line[: line.index("502")]) == head.index("STATUS")


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        ("80", "TIME KEY MODEL IN OUT COST STATUS TOOK"),
        ("120", "TIME KEY TOKEN ENDPOINT MODEL IN OUT WRITE READ COST STATUS TOOK"),
        (
            "200",
            "TIME KEY TOKEN ENDPOINT MODEL IN OUT WRITE READ COST STATUS TOOK"
            " REQUEST ID FIRST CLIENT",
        ),
    ],
)
def test_the_less_important_columns_need_a_wider_terminal(
    db: apsw.Connection, typed: Typed, columns: str, heads: str
) -> None:
    append(db, row())
    told = typed("logs", screen=Screen(terminal=True), COLUMNS=columns, NO_COLOR="1")
    assert told.splitlines()[0].split() == heads.split()


def test_a_status_has_a_colour_where_somebody_sees_it(various: Typed) -> None:
    told = various("logs", screen=Screen(terminal=True))
    for colour, status in ((32, "200"), (33, "429"), (31, "500"), (31, "200 fail"), (33, "200 l")):
        assert f"\x1b[{colour}m{status}" in told
    assert "\x1b" not in various("logs", screen=Screen(terminal=True), NO_COLOR="1")
    assert "\x1b" not in various("logs", "--color", "never", screen=Screen(terminal=True))
    assert "\x1b" not in various("logs")
    assert "\x1b[31m500" in various("logs", "--color", "always", NO_COLOR="1")


def test_following_goes_on_in_a_database_that_took_its_place(
    db: apsw.Connection, typed: Typed
) -> None:
    path = Path(db.filename)
    append(db, row(), row(), row())
    command = [PYTHON, "-m", "airoxy", "--config", str(typed.config), "logs", "-f", "--json"]
    with subprocess.Popen(
        [*command, "-n", "1"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True,
    ) as follower:  # fmt: skip
        assert follower.stdout
        assert json.loads(follower.stdout.readline())["id"] == 3
        other = schema.open_database(path.with_name("other.db"))
        add_key(other, "alice")
        append(other, row())
        other.close()
        db.close()
        replace(path, path.with_name("other.db"))
        again = schema.open_database(path)
        while not select.select([follower.stdout], [], [], 0.3)[0]:
            append(again, row(endpoint="/v1/after"))
        told = json.loads(follower.stdout.readline())
        assert told["endpoint"] == "/v1/after"
        again.close()
        follower.send_signal(signal.SIGINT)
        assert follower.wait() == 130


def test_following_today_goes_on_over_midnight(db: apsw.Connection, typed: Typed) -> None:
    """The days are those of the machine's clock here, which no test can move."""
    today = datetime.datetime.now(datetime.UTC).date()
    command = [PYTHON, "-m", "airoxy", "--config", str(typed.config), "logs", "-f", "--json"]
    append(db, row(today))
    with subprocess.Popen(
        [*command, "--today"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True,
    ) as follower:  # fmt: skip
        assert follower.stdout
        assert json.loads(follower.stdout.readline())["id"] == 1
        append(db, row(today - datetime.timedelta(1)), row(today + datetime.timedelta(1)))
        assert json.loads(follower.stdout.readline())["id"] == 3
        follower.send_signal(signal.SIGINT)
        assert follower.wait() == 130
