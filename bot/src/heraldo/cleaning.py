"""What is taken out of other people's text and links before anybody sees them."""

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

_MAX_URL = 2048
_SCHEMES = frozenset({"http", "https", "tg", "mailto"})

# Controls but tab and line feed, lone surrogates and non-characters (Telegram refuses or drops
# them), bidi embeddings, overrides and isolates (they reorder what follows them), and signs of
# no width that serve only to break lines or to hide: soft hyphen, ZWSP, word joiner, BOM.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
# Joiners shape emoji and Arabic or Indic letters; elsewhere they only hide.
_IDLE_JOINER = re.compile(
    "(?:(?<=[\x00-\x7f\u200c\u200d])|^)[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f]|$)"
)
# Tag characters spell the flags of regions after a black flag; elsewhere they are invisible text.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f)|[\U000e0000-\U000e007f]")
_UNSAFE = re.compile(r'[\s"<>`{}\\^|]')


def clean(text: str) -> str:
    """Returns the text without control, invisible and direction-forcing characters.

    Line ends become line feeds. Emoji sequences and scripts that need joiners keep them.
    """
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    if "\u200c" in text or "\u200d" in text:
        text = _IDLE_JOINER.sub("", text)
    return _TAGS.sub(lambda match: match[1] or "", text)


def one_line(text: str) -> str:
    """Returns the text cleaned and on one line, runs of white space made one space."""
    return " ".join(clean(text).split())


def safe_link(href: str | None, base: str | None = None) -> str | None:
    """Returns an absolute link worth following, or None.

    Relative links are resolved against ``base``. Only http, https, tg and mailto pass; a user
    name and password in a web address are taken out; an overlong address is refused.
    """
    if not href:
        return None
    # Browsers drop line ends and tabs inside an address and spaces around it.
    href = re.sub(r"[\t\n\r]", "", clean(href)).strip()
    try:
        parts = urlsplit(urljoin(base or "", href))
        scheme = parts.scheme.lower()
        if scheme not in _SCHEMES:
            return None
        if scheme in ("http", "https"):
            if not parts.hostname:
                return None
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        elif not (parts.netloc or parts.path):
            return None
    except ValueError:
        return None
    link = _UNSAFE.sub(lambda match: quote(match[0]), urlunsplit(parts))
    return link if len(link) <= _MAX_URL else None
