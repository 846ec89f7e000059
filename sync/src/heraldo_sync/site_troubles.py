"""Answers that do not mean what they say: browser checks, and what big hosts tell everybody.

Pure functions. The facts are of 2025 and 2026; docs/decisions/0017-feeds-that-move-and-end.md
says where they come from.
"""

import re
from collections.abc import Mapping
from datetime import timedelta

from heraldo_sync.model import Failed, Reason

# Statuses that hosts give to everybody for hours, or to a reader one day and not the next.
_COME_AND_GO = frozenset({403, 404, 429})
_ASKED_STILL = timedelta(hours=2)
# By then the feed has failed for more than three days.
_PATIENCE = 52

_HTML = re.compile(rb"(?is)\s*(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html)\b")
_TITLE = re.compile(rb"<title>([^<]{0,200})</title>")
_TITLES = re.compile(
    rb"just a moment\.\.\.|attention required! \| cloudflare|ddos-guard"
    rb"|making sure you(?:'|&#39;|&#x27;)re not a bot!?|client challenge"
    rb"|vercel security checkpoint|checking your browser.*|bot verification"
    rb"|one moment, please\.\.\."
)
_SCRIPTS = (
    b"window._cf_chl_opt",
    b'id="anubis_challenge"',
    b"id='anubis_challenge'",
    b"awswafintegration.",
    b"incapsula incident id",
)
_WINDOW = 32_768

_YOUTUBE = (
    "YouTube says there is no such page (404). On many days it says so of every channel, for some "
    "hours. If the address is right, it will work again by itself."
)
_REDDIT = (
    "Reddit turns away readers without an account ({status}). It may let this bot in again later. "
    "The private addresses at https://www.reddit.com/prefs/feeds work more often; they are "
    "secrets, so send one only in a private chat."
)


def is_browser_check(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the head of an answer says that a person's browser has to prove itself first.

    Cloudflare, Vercel and AWS document a header for it; DDoS-Guard answers 403 in its own name.
    """
    if any(
        headers.get(name, "").strip().lower() in ("challenge", "captcha")
        for name in ("cf-mitigated", "x-vercel-mitigated", "x-amzn-waf-action")
    ):
        return True
    return status in (403, 503) and headers.get("Server", "").strip().lower() == "ddos-guard"


def is_browser_check_page(body: bytes) -> bool:
    """Whether a web page is such a check; what is no HTML is none."""
    head = body[:_WINDOW]
    if _HTML.match(head) is None:
        return False
    head = head.lower()
    title = _TITLE.search(head)
    if title is not None and _TITLES.fullmatch(title[1].strip()):
        return True
    return any(script in head for script in _SCRIPTS)


def about_site(host: str, status: int) -> str | None:
    """What a status means at a host that is known to use it in its own way, for a person."""
    if status == 404 and _is_of(host, "youtube.com"):
        return _YOUTUBE
    if status in (403, 429) and _is_of(host, "reddit.com"):
        return _REDDIT.format(status=status)
    return None


def comes_and_goes(failed: Failed) -> bool:
    """Whether a failure says little about the feed: such ones pass by themselves, often."""
    return failed.reason is Reason.BROWSER_CHECK or failed.status in _COME_AND_GO


def longest_wait(failed: Failed, failures: int) -> timedelta | None:
    """How far apart checks may be after so many failures in a row; None for the usual.

    What comes and goes is asked about every two hours for three days, so that a feed is not late
    by half a day after an outage of a day. Not where the host has just said "too often".
    """
    if failures > _PATIENCE or failed.status == 429 or not comes_and_goes(failed):
        return None
    return _ASKED_STILL


def _is_of(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
