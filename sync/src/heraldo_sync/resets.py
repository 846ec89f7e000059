"""When a feed's new entries had better be held back: its ids have changed all at once.

Pure functions of what is shown and what is remembered.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from heraldo_sync.identity import Post, Remembered
from heraldo_sync.traits import loosened

FEWEST = 3
# Parts of what is shown, and of what is new.
_NEARLY_ALL = 0.8
_ENOUGH = 0.5


def is_reset(
    new: Sequence[Post],
    total: int,
    history: Collection[Remembered],
    *,
    home: str | None,
    now: datetime,
) -> bool:
    """Whether nearly all that a feed shows is new by its id, and looks old otherwise.

    ``total`` is how many entries the document has, ``history`` what is remembered of the feed,
    without these. Nearly all is 80 %, and at least 3. Half of them and at least 3 must look old:
    the link is that of one remembered post, or title and date are, or the date is earlier than
    the latest we had seen. A feed whose posts were all replaced by later ones is none.
    """
    if len(new) < FEWEST or len(new) < total * _NEARLY_ALL or not history:
        return False
    old = [entry.traits for entry in history]
    page = loosened(home)
    # A link that posts of different titles have is not one post's.
    titled = {(one.link, one.title) for one in old}
    links = Counter(link for link, _ in titled)
    shown = Counter(post.traits.link for post in new)
    titles = {(one.title, one.date) for one in old if one.title and one.date}
    # A date in the future says nothing: some feeds pin a post with it.
    latest = max((one.date for one in old if one.date and one.date <= now), default=None)

    def looks_old(post: Post) -> bool:
        one = post.traits
        same_link = one.link not in ("", page) and links[one.link] == shown[one.link] == 1
        earlier = one.date is not None and latest is not None and one.date < latest
        return same_link or earlier or (one.title, one.date) in titles

    alike = sum(map(looks_old, new))
    return alike >= FEWEST and alike >= len(new) * _ENOUGH
