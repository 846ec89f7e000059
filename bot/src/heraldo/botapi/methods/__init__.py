"""The Bot API's methods, one module for each group of them."""

from heraldo.botapi.methods import chats, editing, media, profile, receiving, sending, topics
from heraldo.botapi.methods.registry import METHODS, Handler

__all__ = [
    "METHODS",
    "Handler",
    "chats",
    "editing",
    "media",
    "profile",
    "receiving",
    "sending",
    "topics",
]
