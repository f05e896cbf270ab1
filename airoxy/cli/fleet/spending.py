"""What all hosts of a fleet have spent, for commands that show keys, groups and tokens."""

from __future__ import annotations

from airoxy.calendar import day_number
from airoxy.cli.command import Context
from airoxy.cli.fleet.everybody import tell_alone
from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.core.limits.measures import CALENDAR
from airoxy.errors import AiroxyError
from airoxy.store.fleet.hosts import LastUses
from airoxy.store.fleet.membership import membership
from airoxy.store.schema import run


def see_spending(context: Context, *, here: bool, totals: bool = False) -> LastUses:
    """In a fleet, let `context.database` tell what all hosts have spent this day, week and month,
    and with `totals` ever; and when the others have used what last. PostgreSQL is waited for two
    seconds at the most: where it has not answered by then, that is said and this host is shown."""
    db = context.database
    member = None if here else membership(db)
    if member is None:
        return LastUses({}, {})
    from airoxy.fleet.overview.everybody import names_of_sums, show_others
    from airoxy.fleet.overview.line import PatientLine
    from airoxy.fleet.overview.spending import last_uses_by_others, spending_of_others

    # A key that is limited in total is shown with what it has ever spent.
    totals = totals or bool(run(db, "SELECT 1 FROM spenders WHERE id < ?", (GROUPS_FROM,)))
    today = context.today()
    first = min(day_number(each.first(today)) for each in CALENDAR)
    names, own = names_of_sums(db), member.host
    line = PatientLine(context.connect)
    try:
        sums, uses = line.ask(
            member,
            lambda postgres: (
                spending_of_others(postgres, names, own, first, whole=totals),
                last_uses_by_others(postgres, own, day_number(today)),
            ),
        )
    except AiroxyError as error:
        tell_alone(context, error)
        return LastUses({}, {})
    finally:
        line.close()
    show_others(db, sums)
    return uses
