"""The server's process and the thread that looks after it."""

import logging
import os
import select
import signal
import subprocess
import threading

from colmillo.embedded.files import ServerLog

logger = logging.getLogger("colmillo.embedded")

_LOG_CHECK_SECONDS = 60.0
_RESTART_SECONDS = 1.0
# Fast shutdown, immediate shutdown (recovery at the next start), the end; seconds for each.
_STOPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


class ServerProcess:
    """One running server, a direct child of this process.

    The kernel sends the death signal when the *thread* that forked ends, not when the process
    does. So the fork happens in a thread of its own, which then waits for the server: it lives
    exactly as long as there is something to look after, whichever thread called ``start``.
    """

    def __init__(self, command: list[str], *, log: ServerLog, lock_fd: int) -> None:
        self._command = command
        self._log = log
        self._lock_fd = lock_fd
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._spawned = threading.Event()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._kept = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embedded-postgres", daemon=True)

    def start(self) -> None:
        """Starts the process. Raises OSError when that is impossible."""
        self._thread.start()
        self._spawned.wait()
        if self._error is not None:
            raise self._error

    def ended(self, seconds: float) -> bool:
        """Whether the process is gone for good; waits that long for it."""
        return self._ended.wait(seconds)

    def keep(self) -> None:
        """From now on a server that ends by itself is started again (after a crash, say)."""
        self._kept.set()

    def stop(self) -> None:
        """Shuts the server down, ever more firmly, and returns when it is gone."""
        with self._changing:
            self._stopping.set()
            process = self._process
        for stop, seconds in _STOPS:
            if process is None or self._ended.is_set():
                return
            process.send_signal(stop)
            if self._ended.wait(seconds):
                return
            logger.warning(
                "embedded server did not stop in time",
                extra={"signal": stop.name, "waited_seconds": seconds},
            )

    def _run(self) -> None:
        try:
            while self._spawn():
                code = self._watch()
                if self._stopping.is_set():
                    return
                logger.error(
                    "embedded server ended by itself",
                    extra={"exit_code": code, "log": str(self._log.path)},
                )
                if not self._kept.is_set():
                    return
                self._stopping.wait(_RESTART_SECONDS)
        except OSError as error:
            logger.exception("embedded server cannot be started")
            self._error = error
        finally:
            self._ended.set()
            self._spawned.set()

    def _spawn(self) -> bool:
        """Starts the process; False when it is to be stopped already."""
        with self._changing:
            if self._stopping.is_set():
                return False
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log.fd,
                stderr=self._log.fd,
                # The inherited lock stays taken until the last process of the server ends.
                pass_fds=(self._lock_fd,),
                # A Ctrl-C in the terminal reaches the whole group: the application first.
                start_new_session=True,
            )
        self._spawned.set()
        return True

    def _watch(self) -> int:
        """Waits for the end of the process and keeps the log short meanwhile."""
        assert self._process is not None
        pidfd = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            while not poll.poll(_LOG_CHECK_SECONDS * 1000):
                self._log.bound()
        finally:
            os.close(pidfd)
        return self._process.wait()
