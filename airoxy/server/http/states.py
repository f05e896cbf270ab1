"""The states of a client's connection as a table: what may happen in each, and what comes of it.

A cycle is one request and its answer. A connection has one cycle at a time and begins the
next one when it is DONE; requests that arrive earlier wait.

    what is missing        the answer
    of the request    not begun    begun     complete
    ---------------   ---------    ------    --------------------------------------------
    all of it         IDLE
    a part of its head  HEAD
    a part of its body  BODY       EARLY     REST: the body's rest is dropped, then DONE
    nothing           WHOLE        ANSWER    DONE
    it does not       DEAF         LAST      LINGERING: nothing more is said, what still comes is
      matter any more                        dropped, so that the client can read the answer
                                             CLOSED

DEAF and LAST are of a client that has sent garbage behind a whole request, which is answered all
the same. FAULT is a request that cannot be understood or did not come in time; it is answered by
the connection itself, not by the application, which hears that its client has left.
"""

from __future__ import annotations

from typing import NewType

State = NewType("State", str)
Event = NewType("Event", str)

IDLE, HEAD, BODY, WHOLE, DEAF = map(State, ("IDLE", "HEAD", "BODY", "WHOLE", "DEAF"))
EARLY, ANSWER, LAST, REST = map(State, ("EARLY", "ANSWER", "LAST", "REST"))
LINGERING, DONE, CLOSED = map(State, ("LINGERING", "DONE", "CLOSED"))

#: What the client's bytes are: a part of a head, a head before a body, a whole request (with its
#: body, if it has one), a body's end, something that is not HTTP or late.
PART_OF_HEAD, HEAD_BEFORE_BODY, WHOLE_REQUEST, BODY_END, FAULT = map(
    Event, ("PART_OF_HEAD", "HEAD_BEFORE_BODY", "WHOLE_REQUEST", "BODY_END", "FAULT")
)
#: What the answer does: it begins, is complete, is complete and the connection's last.
BEGIN, END, LAST_END = map(Event, ("BEGIN", "END", "LAST_END"))
#: The socket is gone, or given up.
CLOSE = Event("CLOSE")

_NEW = {
    PART_OF_HEAD: HEAD,
    HEAD_BEFORE_BODY: BODY,
    WHOLE_REQUEST: WHOLE,
    FAULT: LINGERING,
    CLOSE: CLOSED,
}
#: The application may not have heard yet that its client is gone.
_UNHEARD = (BEGIN, END, LAST_END)
TABLE: dict[State, dict[Event, State]] = {
    IDLE: _NEW,
    HEAD: _NEW,
    BODY: {BODY_END: WHOLE, BEGIN: EARLY, FAULT: LINGERING, CLOSE: CLOSED},
    WHOLE: {BEGIN: ANSWER, FAULT: DEAF, CLOSE: CLOSED},
    DEAF: {BEGIN: LAST, CLOSE: CLOSED},
    EARLY: {BODY_END: ANSWER, END: REST, LAST_END: LINGERING, CLOSE: CLOSED},
    ANSWER: {END: DONE, LAST_END: LINGERING, CLOSE: CLOSED},
    LAST: {END: LINGERING, LAST_END: LINGERING, CLOSE: CLOSED},
    REST: {BODY_END: DONE, CLOSE: CLOSED},
    LINGERING: {CLOSE: CLOSED, **dict.fromkeys(_UNHEARD, LINGERING)},
    CLOSED: {CLOSE: CLOSED, **dict.fromkeys(_UNHEARD, CLOSED)},
    DONE: {},
}

#: An application is to answer, and the connection still can.
UNANSWERED = frozenset((BODY, WHOLE, DEAF))
ANSWERING = UNANSWERED | {EARLY, ANSWER, LAST}
#: The whole body has arrived.
HAS_BODY = frozenset((WHOLE, DEAF, ANSWER, DONE))
#: Nobody is there to be answered.
GONE = frozenset((LINGERING, CLOSED))


class Cycle:
    """One request and its answer; all three know where they are by its state."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = IDLE

    def on(self, event: Event) -> State:
        """Go where `event` leads. What the table does not have is a mistake of ours."""
        try:
            self.state = TABLE[self.state][event]
        except KeyError:
            raise AssertionError(f"{event} in state {self.state}") from None
        return self.state
