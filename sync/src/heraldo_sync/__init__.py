"""Feeds: schedule, fetch, parse, identify, store, fan out."""
