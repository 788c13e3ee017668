"""Locks on open files that end with the process that holds them."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 40  # a byte that nobody reads or writes: these locks forbid that

    def lock(fd: int) -> bool:
        """Lock an open file if nobody else has it; return whether that was so."""
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Give a lock back."""
        os.lseek(fd, _FAR, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
else:
    import errno
    import fcntl

    def lock(fd: int) -> bool:
        """Lock an open file if nobody else has it; return whether that was so."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            # Some network file systems have no locks. Then two runs at once are the user's care.
            return error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)
        return True

    def unlock(fd: int) -> None:
        """Give a lock back."""
        fcntl.flock(fd, fcntl.LOCK_UN)
