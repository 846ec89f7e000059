"""An XML document made ready for feedparser: its encoding told, its entities defused."""

import codecs
import re

from heraldo_sync.detect import unicode_encoding

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,200}>", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})", re.IGNORECASE)
_ASCII_LIKE = re.compile(
    r"utf-?8|(?:us-)?ascii|iso-?8859-?\d{1,2}|latin-?1|(?:windows-|cp)125\d|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5|euc-(?:jp|kr)|shift_jis",
    re.IGNORECASE,
)
_WIDE = re.compile(r"utf-?(?:16|32)|(?:iso-10646-)?ucs-?[24]", re.IGNORECASE)
# What Python can decode and no document is written in; two of them take it minutes for a megabyte.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
_REFERENCE = re.compile(r"&#(x[0-9a-f]{1,8}|[0-9]{1,10});", re.IGNORECASE)
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DOCTYPE = re.compile(rb"<!DOCTYPE[^>\[]{0,1000}\[")
_ENTITY = re.compile(rb"<!ENTITY\b[^>]*>?")
# A value of a few characters, or one character reference; nothing that refers to another.
_HARMLESS = re.compile(
    rb"<!ENTITY\s{1,20}[\w.-]{1,40}\s{1,20}"
    rb"(?:\"(?:[^\"&%<]{0,32}|&#\w{1,8};)\"|'(?:[^'&%<]{0,32}|&#\w{1,8};)')\s{0,20}>"
)


def without_entities(body: bytes) -> bytes:
    """Returns a document in an ASCII-like encoding without entities that could grow.

    Those that stand for a few characters stay: old feeds declare HTML's that way.
    """
    if not _DOCTYPE.search(body):
        return body
    return _ENTITY.sub(lambda found: found[0] if _HARMLESS.fullmatch(found[0]) else b"", body)


def in_bytes(body: bytes) -> bytes:
    """Returns a document of UTF-16 or UTF-32 in UTF-8, any other as it is."""
    proven = unicode_encoding(body)
    if proven is None:
        return body
    encoding, mark = proven
    text = body[mark:].decode(encoding, "replace")
    return codecs.BOM_UTF8 + _DECLARATION.sub("", text, count=1).encode("utf-8", "replace")


def declared_charset(body: bytes, content_type: str | None) -> str | None:
    """Returns the encoding to read a document in; None leaves it to the XML declaration.

    What is valid UTF-8 beyond ASCII is UTF-8 whatever anyone declares, which hardly happens by
    chance; after that comes HTTP. What calls itself UTF-16 and is ASCII was written by a program
    that did not know how it would be sent.
    """
    if not body.isascii() and _decodes(body, "utf-8"):
        return "utf-8"
    found, named = _CHARSET.search(content_type or ""), _DECLARED.search(body[:1024])
    told = found[1] if found else None
    if body.isascii() and _WIDE.match(told or (named[1].decode() if named else "")):
        return "utf-8"
    return told


def known_charset(name: str) -> str | None:
    """Returns Python's name of the encoding that somebody means; None if there is none."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return None if found in _NO_CHARSETS else found


def certain_charset(body: bytes, content_type: str | None) -> str | None:
    """Returns the encoding that feedparser will read a document in; None if there is any doubt.

    What is ASCII throughout counts as UTF-8: it says the same.
    """
    if not body.isascii() and _decodes(body, "utf-8"):
        return "utf-8"
    # feedparser takes the last declaration of the first line.
    line = body[: body.find(b"\n")]
    if unicode_encoding(body) is not None or line.count(b"encoding=") > 1:
        return None
    told = _CHARSET.search(content_type or "")
    named = _DECLARED.match(line)
    name = told[1] if told else named[1].decode() if named else "utf-8"
    # As feedparser does: what is called GB 2312 is often more than that.
    name = "gb18030" if name.lower() == "gb2312" else name.lower()
    if not _ASCII_LIKE.fullmatch(name) or not _decodes(body, name):
        return None
    return "utf-8" if body.isascii() else name


def repaired(body: bytes, charset: str | None) -> bytes:
    """Returns the document in UTF-8 without the characters that XML forbids.

    Emoji written as two character references to surrogates become what they were meant to be.
    """
    named = _DECLARED.search(body[:1024])
    candidates = [charset, named[1].decode() if named else None, "utf-8", "windows-1252"]
    encoding = next((name for name in candidates if name and _decodes(body, name)), "latin-1")
    text = _DECLARATION.sub("", body.decode(encoding, "replace"), count=1)
    text = _REFERENCE.sub(_character, text)
    text = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _NO_XML.sub("", text).encode("utf-8")


def _decodes(body: bytes, encoding: str) -> bool:
    if known_charset(encoding) is None:
        return False
    try:
        body.decode(encoding)
    except (UnicodeError, LookupError, ValueError):
        return False
    return True


def _character(reference: re.Match[str]) -> str:
    """Only references that feedparser fails at are resolved: the others may be markup."""
    digits = reference[1]
    number = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    if 0xD800 <= number <= 0xDFFF:
        return chr(number)
    return "" if number > 0x10FFFF or number == 0 else reference[0]
