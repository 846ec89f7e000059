"""Declaring tasks: a function with typed arguments, and how it is to be run."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, cast, overload

from colmillo.arguments import Arguments
from colmillo.checks import check_tasks
from colmillo.context import Context
from colmillo.errors import InvalidTask
from colmillo.outcome import Outcome
from colmillo.payload import payload_text
from colmillo.placing import Place, Runs, place_of
from colmillo.retry import Backoff
from colmillo.rules import Kinds, OnError, Rules, rules_of
from colmillo.store import NewTask
from colmillo.threads import ThreadContext
from colmillo.unique import Unique, args_hash, key_text

P = ParamSpec("P")
Result = Coroutine[Any, Any, Outcome | None]
Handler = Callable[..., Result | Outcome | None]
TAKES = {Runs.LOOP: Context, Runs.THREAD: ThreadContext, Runs.PROCESS: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a task is run. See `task` for what each means."""

    queue: str = "default"
    unique: Unique | None = None
    max_attempts: int | None = 25
    timeout: timedelta | None = None
    backoff: Backoff = field(default_factory=Backoff.exponential)
    priority: int = 0
    rules: Rules | None = None
    keep_result: timedelta | None = None
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InvalidTask` for a time that is over before it starts."""
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise InvalidTask("the timeout must be longer than nothing")
        if self.keep_result is not None and self.keep_result <= timedelta(0):
            raise InvalidTask("a result is kept longer than nothing")


class Declared(Generic[P]):
    """A task that can be enqueued. Its function lives elsewhere: see `handled_by`."""

    def __init__(self, name: str, arguments: Arguments, options: Options) -> None:
        self.name = name
        self.arguments = arguments
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of queue {self.options.queue!r}>"

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewTask:
        """Returns a task to be enqueued, with these arguments.

        Raises:
            InvalidTask: arguments that do not fit the declaration, or of more than 1 MB.
        """
        options = self.options
        try:
            values = self.arguments.write(*args, **kwargs)
            payload = payload_text(values)
        except InvalidTask as error:
            raise InvalidTask(f"{self.name}: {error.detail}") from None
        key = key_text([values[name] for name in options.key]) if options.key else None
        unique = options.unique
        if unique is None:
            return NewTask(
                name=self.name,
                queue=options.queue,
                payload=payload,
                priority=options.priority,
                max_attempts=options.max_attempts,
                concurrency_key=key,
            )
        chosen = values.keys() if unique.args is None else unique.args
        picked = {name: values[name] for name in chosen}
        return NewTask(
            name=self.name,
            queue=options.queue,
            payload=payload,
            priority=options.priority,
            max_attempts=options.max_attempts,
            concurrency_key=key,
            unique_hash=args_hash(self.name, options.queue, picked),
            unique_period=unique.period,
            unique_states=unique.states,
            duplicate=unique.duplicate,
        )

    @overload
    def handled_by(self, function: Callable[Concatenate[Context[Any], P], Result]) -> "Task[P]": ...
    @overload
    def handled_by(
        self, function: Callable[Concatenate[ThreadContext[Any], P], Outcome | None]
    ) -> "Task[P]": ...
    @overload
    def handled_by(self, function: Callable[P, Result]) -> "Task[P]": ...
    @overload
    def handled_by(
        self, function: Callable[P, Outcome | None], *, run: Place | None = None
    ) -> "Task[P]": ...
    def handled_by(self, function: Handler, *, run: Place | None = None) -> "Task[P]":
        """Returns the task that a worker runs with this function. ``run`` as in `task`.

        Raises:
            InvalidTask: the function's parameters are not those of the declaration, or it
                cannot be run where it asks to.
        """
        runs = place_of(self.name, function, run)
        arguments = arguments_of(self.name, function, runs)
        if arguments.shape() != self.arguments.shape():
            raise InvalidTask(
                f"{self.name}: declared with {self.arguments.shape()}, "
                f"but its function takes {arguments.shape()}"
            )
        return Task(self.name, arguments, self.options, function, runs)


class Task(Declared[P]):
    """A task with its function, as `task` makes it: can be enqueued, and run by a `Worker`.

    ``name`` is what it is called in the database, ``function`` what it was made of, for calls
    without a queue. What `Declared` has it has too: `Declared.new` makes a call of it.
    """

    def __init__(
        self,
        name: str,
        arguments: Arguments,
        options: Options,
        function: Handler,
        runs: Runs = Runs.LOOP,
    ) -> None:
        super().__init__(name, arguments, options)
        self.function = function
        self.runs = runs

    def call(self, context: Context[Any], values: dict[str, object]) -> Result:
        """The async function's coroutine for arguments that were read from a payload."""
        function = cast(Callable[..., Result], self.function)
        if self.arguments.takes_context:
            return function(context, **values)
        return function(**values)


class TaskDecorator(Protocol):
    """What `task` returns: takes functions with a leading context and without."""

    @overload
    def __call__(self, function: Callable[Concatenate[Context[Any], P], Result]) -> Task[P]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[ThreadContext[Any], P], Outcome | None]
    ) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[P, Result]) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[P, Outcome | None]) -> Task[P]: ...


class DeclareDecorator(Protocol):
    """What `declare` returns."""

    def __call__(self, function: Callable[P, Result]) -> Declared[P]:
        """Returns the declaration; the function is there for its name and parameters."""
        ...


def task(
    *,
    name: str | None = None,
    queue: str = "default",
    unique: bool | Unique = False,
    max_attempts: int | None = 25,
    timeout: timedelta | None = None,
    backoff: Backoff | None = None,
    priority: int = 0,
    run: Place | None = None,
    retry_on: Kinds | type[Exception] | None = None,
    discard_on: Kinds | type[Exception] = (),
    on_error: OnError | None = None,
    keep_result: timedelta | None = None,
    key: str | tuple[str, ...] = (),
) -> TaskDecorator:
    """Makes a function a task.

    Args:
        name: what it is called in the database; the function's name when left out.
        queue: where it waits.
        unique: at most one live task per name, queue and arguments; `Unique` chooses
            arguments, a period, the states that count and what becomes of a duplicate.
        max_attempts: after so many failed attempts it goes to the archive; None is never.
        timeout: a run that takes longer is cancelled, which counts as a failed attempt.
        backoff: the pauses between attempts; 5 s, doubling up to a day, when left out.
        priority: higher runs first.
        run: for functions that are not async: "thread" (when left out), which is told when
            it should end but cannot be made to; or "process", which is killed then.
        retry_on: only these exceptions are failed attempts that lead to another one; any
            other discards the task. All are when left out.
        discard_on: these exceptions discard the task at once.
        on_error: asked before these two what an exception means; None leaves it to them.
        keep_result: for how long the result of `Done` is there for `Queue.result`.
        key: the argument, or arguments, by whose values the queue's limit per key counts (see
            `colmillo.limits`). A single one that is None counts for no key.

    Raises:
        InvalidTask: the declaration is wrong: an argument that cannot be carried as JSON,
            a function that cannot run where it asks to, a name or a number out of range.
    """
    options = replace(
        make_options(queue, unique, max_attempts, timeout, backoff, priority),
        rules=rules_of(retry_on, discard_on, on_error),
        keep_result=keep_result,
        key=(key,) if isinstance(key, str) else key,
    )

    def decorate(function: Handler) -> Task[Any]:
        called = name or name_of(function)
        runs = place_of(called, function, run)
        arguments = checked(called, function, options, runs)
        return Task(called, arguments, options, function, runs)

    return cast(TaskDecorator, decorate)


def declare(
    *,
    name: str | None = None,
    queue: str = "default",
    unique: bool | Unique = False,
    max_attempts: int | None = 25,
    timeout: timedelta | None = None,
    backoff: Backoff | None = None,
    priority: int = 0,
    keep_result: timedelta | None = None,
    key: str | tuple[str, ...] = (),
) -> DeclareDecorator:
    """Declares a task whose function is given elsewhere, with `Declared.handled_by`.

    For packages that enqueue what another package runs. The decorated function's body is
    never run; its options and errors are those of `task`.
    """
    options = replace(
        make_options(queue, unique, max_attempts, timeout, backoff, priority),
        keep_result=keep_result,
        key=(key,) if isinstance(key, str) else key,
    )

    def decorate(function: Handler) -> Declared[Any]:
        called = name or name_of(function)
        if place_of(called, function, None) is not Runs.LOOP:
            raise InvalidTask(f"{called}: a declaration is an async def; its handler need not be")
        arguments = checked(called, function, options, Runs.LOOP)
        if arguments.takes_context:
            raise InvalidTask(f"{called}: a declaration takes no Context; its handler may")
        return Declared(called, arguments, options)

    return cast(DeclareDecorator, decorate)


def make_options(
    queue: str,
    unique: bool | Unique,
    max_attempts: int | None,
    timeout: timedelta | None,
    backoff: Backoff | None,
    priority: int,
) -> Options:
    """The options as `task` and `declare` take them."""
    return Options(
        queue=queue,
        unique=(Unique() if unique else None) if isinstance(unique, bool) else unique,
        max_attempts=max_attempts,
        timeout=timeout,
        backoff=backoff or Backoff.exponential(),
        priority=priority,
    )


def checked(name: str, function: Handler, options: Options, runs: Runs) -> Arguments:
    """The function's arguments, after the whole declaration was found good."""
    arguments = arguments_of(name, function, runs)
    for chosen in (options.unique.args or ()) if options.unique is not None else ():
        if chosen not in arguments.codecs:
            raise InvalidTask(f"{name}: unique by {chosen!r}, which is no parameter")
    for chosen in options.key:
        if chosen not in arguments.codecs:
            raise InvalidTask(f"{name}: its key is {chosen!r}, which is no parameter")
    probe = NewTask(
        name=name,
        queue=options.queue,
        payload="{}",
        priority=options.priority,
        max_attempts=options.max_attempts,
    )
    check_tasks([probe])
    return arguments


def arguments_of(name: str, function: Handler, runs: Runs) -> Arguments:
    """The function's arguments; complaints carry the task's name."""
    try:
        return Arguments(function, TAKES[runs])
    except InvalidTask as error:
        raise InvalidTask(f"{name}: {error.detail}") from None


def name_of(function: Handler) -> str:
    """The function's own name."""
    return getattr(function, "__name__", type(function).__name__)
