"""Imports noisy libraries without their banners."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from convlens.core.stopping import leaving_at_once


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back what is written to stderr inside the block, and show it only if the block fails.

    TensorFlow prints banners from C++ before its log level is read, so the file descriptor itself is held.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            with leaving_at_once(terminal):
                yield
        except BaseException:
            held.seek(0)
            with contextlib.suppress(OSError):  # nobody may be there to read it
                os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
