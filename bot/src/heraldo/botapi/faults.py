"""Failures on demand: rules that are looked at before and after a request is carried out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from heraldo.botapi.errors import Rejected, too_many_requests

Effect = Literal["answer", "delay", "drop", "lose_answer"]


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One request of the bot, as the server's log has it."""

    method: str
    params: Mapping[str, object]
    chat_id: int | None
    at: float
    """Seconds on the server's monotonic clock."""
    when: datetime
    outcome: str = "running"
    """``ok``, the description of the error, or ``dropped``."""
    result: object = None


class HasId(Protocol):
    """A chat, or anything else with its id."""

    @property
    def id(self) -> int:
        """The chat's id."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """What happens to which requests, and how often still (None: for ever)."""

    effect: Effect
    answer: Rejected | None = None
    seconds: float = 0.0
    method: str | None = None
    chat_id: int | None = None
    when: Callable[[Call], bool] | None = None
    left: int | None = 1
    hits: int = 0

    def takes(self, call: Call) -> bool:
        """Whether it is meant for this request; counts it when it is."""
        fits = (
            self.left != 0
            and (self.method is None or self.method.lower() == call.method.lower())
            and (self.chat_id is None or self.chat_id == call.chat_id)
            and (self.when is None or self.when(call))
        )
        if fits:
            self.hits += 1
            self.left = None if self.left is None else self.left - 1
        return fits

    def cancel(self) -> None:
        """Ends it."""
        self.left = 0


@dataclass(slots=True, eq=False)
class Faults:
    """Rules for the coming requests; the first that fits is used, delays besides it.

    All take ``method`` (without: any but getUpdates), ``chat`` (an id or something with one),
    ``times`` (None: until cancelled) and ``when``, a condition on the request.
    """

    rules: list[Rule] = field(default_factory=list)

    def retry_after(
        self,
        seconds: int,
        *,
        method: str | None = None,
        chat: HasId | int | None = None,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Rule:
        """Answers 429 with that retry_after."""
        rule = Rule(effect="answer", answer=too_many_requests(seconds))
        return self._add(rule, method, chat, times, when)

    def reject(
        self,
        code: int,
        description: str,
        *,
        migrate_to_chat_id: int | None = None,
        method: str | None = None,
        chat: HasId | int | None = None,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Rule:
        """Answers with that error; nothing is carried out."""
        answer = Rejected(code, description, migrate_to_chat_id=migrate_to_chat_id)
        return self._add(Rule(effect="answer", answer=answer), method, chat, times, when)

    def delay(
        self,
        seconds: float,
        *,
        method: str | None = None,
        chat: HasId | int | None = None,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Rule:
        """Carries the request out after that time on the server's clock."""
        return self._add(Rule(effect="delay", seconds=seconds), method, chat, times, when)

    def drop(
        self,
        *,
        method: str | None = None,
        chat: HasId | int | None = None,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Rule:
        """Cuts the connection; nothing is carried out."""
        return self._add(Rule(effect="drop"), method, chat, times, when)

    def lose_answer(
        self,
        *,
        method: str | None = None,
        chat: HasId | int | None = None,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Rule:
        """Carries the request out and cuts the connection instead of answering."""
        return self._add(Rule(effect="lose_answer"), method, chat, times, when)

    def clear(self) -> None:
        """Ends all rules."""
        for rule in self.rules:
            rule.cancel()
        self.rules.clear()

    def taking(self, call: Call) -> list[Rule]:
        """Returns the rules for this request: all delays, then the first other one."""
        if call.method.lower() == "getupdates":
            rules = [rule for rule in self.rules if rule.method is not None]
        else:
            rules = self.rules
        taken = [rule for rule in rules if rule.effect == "delay" and rule.takes(call)]
        for rule in rules:
            if rule.effect != "delay" and rule.takes(call):
                return [*taken, rule]
        return taken

    def _add(
        self,
        rule: Rule,
        method: str | None,
        chat: HasId | int | None,
        times: int | None,
        when: Callable[[Call], bool] | None,
    ) -> Rule:
        rule.method, rule.left, rule.when = method, times, when
        rule.chat_id = chat if chat is None or isinstance(chat, int) else chat.id
        self.rules.append(rule)
        return rule
