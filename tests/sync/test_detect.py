import pytest

from heraldo_sync.detect import Kind, detect

XML, JSON, HTML, OTHER = Kind.XML, Kind.JSON, Kind.HTML, Kind.OTHER


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'<?xml version="1.0"?><rss version="2.0">', XML),
        (b"<RSS>", XML),
        (b'<atom:feed xmlns:atom="x">', XML),
        (b"\n\n<!-- <html> --><feed\nxmlns='x'>", XML),
        (b"<?xml-stylesheet href='x.xsl'?><rdf:RDF >", XML),
        (b"<!DOCTYPE rss PUBLIC 'x'><rss>", XML),
        (b"<br /><b>Notice</b>: x<?xml version='1.0'?><rss>", XML),
        (b"\xef\xbb\xbf<rss>", XML),
        ("<?xml version='1.0'?><rss>".encode("utf-16"), XML),
        ("<?xml version='1.0'?><rss>".encode("utf-16-le"), XML),
        ("<?xml version='1.0'?><rss>".encode("utf-16-be"), XML),
        ("\ufeff<rss>".encode("utf-32-le"), XML),
        ("\ufeff<rss>".encode("utf-32-be"), XML),
        (b"<!DOCTYPE html><html><body>&lt;rss> <rss>", HTML),
        (b"<!doctype   HTML>", HTML),
        (b"<?xml version='1.0'?><html xmlns='x'>", HTML),
        (b"<head><link rel=alternate>", HTML),
        (b' \r\n {"version": "x"}', JSON),
        ('\ufeff{"version": "x"}'.encode(), JSON),
        ('{"version": "x"}'.encode("utf-16"), JSON),
        (b"", OTHER),
        (b"hello", OTHER),
        (b"[]", OTHER),
        (b"<rssfeed>", OTHER),
        (b"<opml version='2.0'>", OTHER),
        (b"\x89PNG\r\n\x1a\n", OTHER),
        (b"\0" * 100, OTHER),
        (b"<!-- <rss> never closed", OTHER),
        (b"<!--" * 20_000 + b"<rss>", OTHER),
        (b" " * 70_000 + b"<rss>", OTHER),
    ],
)
def test_by_content(body: bytes, kind: Kind) -> None:
    assert detect(body) is kind
