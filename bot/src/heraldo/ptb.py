"""Opts in to python-telegram-bot's coming behaviour; imported before the library is used.

Without it the library warns each time Telegram asks to slow down, and where warnings are errors
that hides what Telegram asked for.
"""

import os

# The library reads this variable at each use and knows no other way; it is no setting of ours.
os.environ.setdefault("PTB_TIMEDELTA", "true")  # noqa: TID251
