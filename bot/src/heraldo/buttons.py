"""The buttons under the bot's messages: a press changes its message in place.

Every press is answered, or the button would go on spinning.
"""

from telegram import CallbackQuery, InlineKeyboardMarkup, LinkPreviewOptions, Message, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest
from telegram.ext import ContextTypes

from heraldo import keyboards, texts
from heraldo.access import Access, Verdict
from heraldo.keyboards import Press
from heraldo.places import place_of
from heraldo.ports import SubscribeRequests
from heraldo_sync.subscriptions import Page, Subscriptions


class Buttons:
    """The callback for pressed buttons."""

    def __init__(
        self, *, subscriptions: Subscriptions, requests: SubscribeRequests, access: Access
    ) -> None:
        self._subscriptions = subscriptions
        self._requests = requests
        self._access = access

    async def pressed(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Carries out a press, if whoever pressed may."""
        query = update.callback_query
        if query is None:
            return
        if self._access.of_button(query) is not Verdict.ALLOWED:
            await _answer(query, texts.STRANGER_BUTTON)
            return
        press = keyboards.read_press(query.data)
        message = query.message
        if press is None or not isinstance(message, Message):
            await _answer(query, texts.STALE)
            return
        try:
            notice = await self._carry_out(press, message)
        except BadRequest as error:
            if not _is_stale(error):
                raise
            notice = texts.STALE
        await _answer(query, notice)

    async def _carry_out(self, press: Press, message: Message) -> str | None:
        """Does it; returns what to tell beside the changed message."""
        if press.verb == keyboards.CLOSE:
            await _close(message)
            return None
        place = place_of(message)
        target_id = await self._subscriptions.target(
            chat_id=place.chat_id, kind=place.kind, title=place.title, topic_id=place.topic_id
        )
        match press.verb:
            case keyboards.LIST | keyboards.PICK:
                await self._show_page(message, target_id, press.verb, press.first)
            case keyboards.CARD | keyboards.ASK:
                return await self._show_one(message, target_id, press)
            case keyboards.REMOVE:
                return await self._remove(message, target_id, press)
            case keyboards.CHECK:
                return await self._check(message, target_id, place.topic_id, press.first)
            case keyboards.SEND | keyboards.SKIP:
                await self._settle_held(message, target_id, press)
            case keyboards.CHOOSE:
                await self._choose(message, target_id, press.first)
            case _:
                return texts.STALE
        return None

    async def _show_page(self, message: Message, target_id: int, verb: str, offset: int) -> None:
        page = await self._page(target_id, offset)
        write = texts.choose_removal if verb == keyboards.PICK else texts.listing
        markup = keyboards.listing(page, verb) if page.total else None
        await _show(message, write(page), markup)

    async def _page(self, target_id: int, offset: int) -> Page:
        size = keyboards.PAGE_SIZE
        page = await self._subscriptions.page(target_id, offset=offset, limit=size)
        if page.total and not page.items:
            # The last page has gone with its last subscription.
            last = (page.total - 1) // size * size
            page = await self._subscriptions.page(target_id, offset=last, limit=size)
        return page

    async def _show_one(self, message: Message, target_id: int, press: Press) -> str | None:
        view = await self._subscriptions.get(target_id, press.first)
        if view is None:
            await self._show_page(message, target_id, keyboards.LIST, press.second)
            return texts.ALREADY_GONE
        if press.verb == keyboards.CARD:
            folded = await self._subscriptions.folding.count(view.id)
            await _show(message, texts.card(view, folded), keyboards.card(view, press.second))
        else:
            markup = keyboards.confirm_removal(view, press.second)
            await _show(message, texts.confirm_removal(view), markup)
        return None

    async def _remove(self, message: Message, target_id: int, press: Press) -> str | None:
        view = await self._subscriptions.remove(target_id, press.first)
        if view is None:
            await self._show_page(message, target_id, keyboards.LIST, press.second)
            return texts.ALREADY_GONE
        await _show(message, texts.unsubscribed(view), keyboards.removed(press.second))
        return None

    async def _check(
        self, message: Message, target_id: int, topic_id: int, subscription_id: int
    ) -> str | None:
        if await self._subscriptions.get(target_id, subscription_id) is None:
            await _show(message, texts.ALREADY_GONE, None)
            return None
        await _show(message, texts.CHECKING, None)
        await self._requests.check(
            target_id=target_id,
            chat_id=message.chat.id,
            topic_id=topic_id,
            subscription_id=subscription_id,
            reply_message_id=message.message_id,
        )
        return None

    async def _settle_held(self, message: Message, target_id: int, press: Press) -> None:
        view = await self._subscriptions.get(target_id, press.first)
        held = self._subscriptions.held
        if view is None:
            result = texts.ALREADY_GONE
        elif press.verb == keyboards.SEND:
            result = texts.held_sent(view, await held.send(target_id, press.first))
        else:
            result = texts.held_skipped(view, await held.skip(target_id, press.first))
        if press.second:
            # Pressed in the list of /held, which goes on with what is left of it.
            left = await held.find(target_id=target_id)
            await _show(message, f"{result}\n\n{texts.held(left)}", keyboards.held(left))
        else:
            await _show(message, result, None)

    async def _choose(self, message: Message, target_id: int, index: int) -> None:
        # First the message: once the choice is handed on, a worker may write the result into it.
        await _show(message, texts.LOOKING_AT_CHOICE, None)
        taken = await self._requests.choose(
            target_id=target_id,
            chat_id=message.chat.id,
            message_id=message.message_id,
            index=index,
        )
        if not taken:
            await _show(message, texts.STALE_CHOICE, None)


async def _show(message: Message, html: str, markup: InlineKeyboardMarkup | None) -> None:
    try:
        await message.edit_text(
            html,
            parse_mode=ParseMode.HTML,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_markup=markup,
        )
    except BadRequest as error:
        # Pressed twice, or nothing has changed since: the message is as it should be.
        if "not modified" not in error.message.lower():
            raise


async def _close(message: Message) -> None:
    try:
        await message.delete()
    except BadRequest:
        # Too old to be deleted, or no right to.
        await _show(message, texts.CLOSED, None)


async def _answer(query: CallbackQuery, notice: str | None) -> None:
    try:
        await query.answer(notice, show_alert=notice is not None)
    except BadRequest as error:
        # A press that waited too long (while the bot was down) needs no answer any more.
        if "query is too old" not in error.message.lower():
            raise


def _is_stale(error: BadRequest) -> bool:
    reason = error.message.lower()
    return "message to edit not found" in reason or "can't be edited" in reason
