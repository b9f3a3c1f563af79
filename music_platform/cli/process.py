"""How a command's process begins and ends: the entry of `music-platform`, and of Dagster's commands under `./run`.

Python shuts down while threads of Arrow and of the embedded engine still run. A thread that needs Python in that moment aborts
the process, after all its work was done (docs/decisions/0013-how-processes-end.md). So these processes end with their exit code
as soon as all functions registered for Python's exit have run.

Only the standard library is imported before the end is registered: what is registered first runs last.
"""

from __future__ import annotations

import atexit
import logging
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

_INTERRUPTED = 130  # as shells have it
_CANNOT_FLUSH = 120  # as Python has it

_exit_code = 0


def music_platform() -> None:
    """`music-platform`, as a process."""

    def command() -> None:
        from music_platform.cli.main import app

        app()

    run_to_the_end(command)


def run_to_the_end(command: Callable[[], object]) -> None:
    """Call a command and end the process with its exit code, the same one that Python itself would give."""
    global _exit_code
    atexit.register(_end)
    try:
        command()
    except SystemExit as ended:
        _exit_code = _code_of(ended)
        raise
    except BaseException as error:
        _exit_code = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        raise


def _interrupts_in_a_line() -> None:
    """Let what Dagster logs of an interrupt be a line: a stack of where its executor waited says nothing."""
    make = logging.getLogRecordFactory()

    def record_of(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = make(*arguments, **more)
        if "DagsterExecutionInterruptedError" in str(record.msg):
            record.msg = str(record.msg).partition("\n")[0]
        return record

    logging.setLogRecordFactory(record_of)


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    return 1  # a text, which Python prints


def _end() -> None:
    code = _exit_code
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # the reader is gone, or it was closed
            code = code or _CANNOT_FLUSH
    os._exit(code)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    _interrupts_in_a_line()
    run_to_the_end(lambda: runpy.run_path(sys.argv[0], run_name="__main__"))
