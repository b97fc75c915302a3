"""A program made with click, and how each of its errors ends it (shared/endings.py has the vocabulary)."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from typing import Any

import click

from jobs import interrupts
from jobs.entry import tell
from jobs.memory_limit import need_room
from shared.classify import Classify
from shared.endings import ending_of
from shared.exit_codes import Exit


class _ClosedPipe(Exception):
    """Goes through click, which ends a program with 1 for a closed pipe: the code of a violation."""


class _Program(click.Command):
    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **more)
        except BrokenPipeError as error:
            raise _ClosedPipe from error

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError as error:
            raise _ClosedPipe from error


class Program(_Program):
    """A program of one command."""


class ProgramGroup(_Program, click.Group):
    """A program of several commands."""


def ended(program: Callable[[], object], classify: Classify) -> Exit:
    """Runs a program, with click's standalone mode off; every error becomes its text and an exit code.

    `program` may return an Exit of its own.
    """
    try:
        return _ended(program, classify)
    except KeyboardInterrupt:  # that came while another end was told
        return interrupts.answer()


def _ended(program: Callable[[], object], classify: Classify) -> Exit:
    try:
        need_room()
        interrupts.guard()
        code = program()
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return Exit.REFUSED
    except (click.Abort, KeyboardInterrupt):
        return interrupts.answer()
    except Exception as error:
        cause = error.__cause__ if isinstance(error, _ClosedPipe) else error
        ending = ending_of(cause or error, classify)
        tell("".join(traceback.format_exception(error)) if ending.text is None else ending.text)
        return ending.code
    return code if isinstance(code, Exit) else Exit.OK
