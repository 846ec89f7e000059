"""What the application's tasks work with, the sync's own services included."""

from dataclasses import dataclass, field
from datetime import timedelta

from heraldo.limits import SendLimits
from heraldo.replies import Replies
from heraldo.sender import Sender
from heraldo.web.server import Listen
from heraldo_sync.choices import ChoiceStore
from heraldo_sync.outbox import Outbox
from heraldo_sync.pace import Pace
from heraldo_sync.services import SyncServices
from heraldo_sync.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(SyncServices):
    """The sync's services, and the way out to Telegram. ``listen``: where HTTP is served."""

    sender: Sender
    replies: Replies
    outbox: Outbox
    pace: Pace
    subscriptions: Subscriptions
    choices: ChoiceStore
    limits: SendLimits = field(default_factory=SendLimits)
    listen: Listen | None = None
    lease: timedelta = timedelta(seconds=20)
