"""What a feed's history means: tell its subscribers, end it, take it to have moved. Pure functions.

Every rule asks for time as well as for a count: a hundred failures within a minute are one event.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from heraldo_sync.errors import InvalidUrl
from heraldo_sync.urls import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a feed's subscribers are told, when it is over, and when its new address is kept.

    Each needs so many checks and so long a time from the first to the last of them. What comes
    and goes (`heraldo_sync.site_troubles`) is told after ``doubtful_after``.
    """

    tell_failures: int = 5
    tell_after: timedelta = timedelta(hours=24)
    doubtful_after: timedelta = timedelta(days=3)
    gone_after: timedelta = timedelta(hours=6)
    moved_seen: int = 3
    moved_after: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailing:
    """A feed after a failed check. ``gone_for`` is how long it has answered 410, None if not.

    ``doubtful`` says that the last failure is of a kind that comes and goes.
    """

    failures: int
    failing_for: timedelta
    gone_for: timedelta | None
    told: bool
    ended: bool
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """A feed after a good check: only permanent redirects led to ``target``.

    So they did at ``seen`` checks in a row, the first of them ``lasting`` ago. ``private`` says
    that it is asked with private headers.
    """

    url: str
    target: str
    seen: int
    lasting: timedelta
    private: bool = False


class Step(Enum):
    """What to do after a failed check."""

    NOTHING = "nothing"
    TELL = "tell"
    END = "end"


def after_failed_check(feed: Ailing, rules: Rules) -> Step:
    """410 ends a feed if it is said again hours later; other failures are told once."""
    if feed.ended:
        return Step.NOTHING
    if feed.gone_for is not None and feed.gone_for >= rules.gone_after:
        return Step.END
    patience = rules.doubtful_after if feed.doubtful else rules.tell_after
    lasting = feed.failures >= rules.tell_failures and feed.failing_for >= patience
    return Step.TELL if lasting and not feed.told else Step.NOTHING


def has_moved(feed: Moving, rules: Rules) -> bool:
    """Whether the new address takes the place of the old one.

    One redirect may be a captive portal, an intruder's or a mistake. Never from https to http,
    and a private feed never to another origin, where its headers are not sent.
    """
    origins = _lasting(feed, rules)
    if origins is None:
        return False
    old, new = origins
    if old.startswith("https:") and not new.startswith("https:"):
        return False
    return old == new or not feed.private


def has_left(feed: Moving, rules: Rules) -> bool:
    """Whether a private feed says for good that it is at another origin: a question to people."""
    origins = _lasting(feed, rules)
    return feed.private and origins is not None and origins[0] != origins[1]


def _lasting(feed: Moving, rules: Rules) -> tuple[str, str] | None:
    """Both origins, if the redirects have lasted and lead somewhere."""
    if feed.seen < rules.moved_seen or feed.lasting < rules.moved_after:
        return None
    try:
        return parse(feed.url).origin, parse(feed.target).origin
    except InvalidUrl:
        return None
