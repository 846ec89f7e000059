"""Becomes the server: drops root, asks to be told of the parent's death, then execs.

Run as a script of its own (``python -I -S launch.py …``) and not as a ``preexec_fn``, which is
unsafe in a process that has threads. Uses the standard library only and prints one line when
it cannot go on.
"""

import ctypes
import os
import signal
import sys

CANNOT_LAUNCH = 125
_PR_SET_PDEATHSIG = 1
# From nothing: a PGPORT, PGDATA or LD_LIBRARY_PATH of the parent must not reach the server.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def command(
    *, account: str, death_signal: signal.Signals, folder: str, program: list[str]
) -> list[str]:
    """The argv that runs ``program`` inside ``folder`` as ``account`` ("uid:gid" or "")."""
    return [
        sys.executable,
        *("-I", "-S", os.path.abspath(__file__)),
        *(str(os.getpid()), str(int(death_signal)), folder, account, *program),
    ]


def _become(account: str) -> None:
    """Changes to ``account``, for good. Does nothing when it is empty."""
    if account:
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def main(argv: list[str]) -> int:
    """Execs the program; returns only when that failed."""
    parent, death_signal, folder, account, *program = argv
    try:
        # Before root is dropped: the account need not be able to walk there by the path.
        os.chdir(folder)
        _become(account)
        # After it: the kernel forgets the wish when the user changes.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "prctl")
        if os.getppid() != int(parent):
            return CANNOT_LAUNCH
        os.umask(0o077)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(program[0], program, _ENVIRONMENT)
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error}\n")
    return CANNOT_LAUNCH


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
