"""Locks on open files, which end with their process, however it ends. Linux and macOS have them, Windows has not."""

from convlens.core.errors import UserError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # a module that Windows lacks


def require_locks() -> None:
    """Raises `UserError` on a system without such locks: there, two processes could write one run and lose both."""
    if fcntl is None:
        raise UserError(
            "convlens needs Linux or macOS, whose file locks keep two processes from writing the same files; "
            "on Windows, run it in WSL."
        )


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Locks an open file or folder until it is closed; one that this process has locked changes its lock.

    Args:
        descriptor: of the file.
        shared: many processes may hold it, and it is waited for. Otherwise one process may, and nothing is waited for.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file lies where files cannot be locked.
        UserError: the system has no such locks.
    """
    require_locks()
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
