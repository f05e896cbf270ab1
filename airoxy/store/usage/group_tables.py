"""The tables of groups of client keys as version 1.1 made them: a step of the migrations.

The first group is that of all keys, in which no key has to be put. `spending` has what the spenders
have cost by day: a group (its id with GROUPS_FROM added), or a key whose spending is limited in
total. Rows come by triggers (see `airoxy.store.usage.triggers`), and only for spenders. A limit that
is NULL is none.
"""

from __future__ import annotations
