"""``make fuzz``: a hundred times as many inputs as every run of the tests makes."""

from hypothesis import settings

settings.register_profile("fuzz", max_examples=10_000)
