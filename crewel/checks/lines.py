"""Find the user's own line for an exception or for an equation in a trace."""

from __future__ import annotations

import functools
import inspect
import linecache
import sysconfig
from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from crewel.adapters import ALGORITHMS
from crewel.core import compiling

_PACKAGE = str(Path(__file__).resolve().parents[1])
_CHECKS = str(Path(__file__).resolve().parent)
_COMPILING = str(Path(compiling.__file__).resolve())
_STANDARD = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
# Beside the backends.
_LIBRARIES = {
    *("jax", "jaxlib", "flax", "haiku", "equinox", "numpy", "scipy"),
    *("oryx", "pymc", "pytensor", "jaxtyping", "beartype"),
}


class Line(NamedTuple):
    """A line of a file."""

    file: str
    number: int
    function: str

    def __str__(self) -> str:
        """`model.py:12 in log_density: return mu - y`."""
        code = linecache.getline(self.file, self.number).strip()
        where = f"{Path(self.file).name}:{self.number}"
        function = "" if self.function in ("<module>", "<lambda>") else f" in {self.function}"
        return f"{where}{function}" + (f": `{code}`" if code else "")


def is_library(file: str) -> bool:
    """Whether a file belongs to Crewel, the standard library or a package that Crewel drives.

    Examples:
        >>> is_library("/env/lib/python3.12/site-packages/jax/_src/core.py")
        True
        >>> is_library("/home/me/model.py")
        False
    """
    if file.startswith((_PACKAGE, "<frozen", "<string>")):
        return True
    package = _package(file)
    if package is not None:
        return package in _LIBRARIES or package in _backends()
    return any(file.startswith(str(Path(folder)) + "/") for folder in _STANDARD if folder)


@functools.cache
def _backends() -> frozenset[str]:
    return frozenset(row.backend.package for row in ALGORITHMS)


def _package(file: str) -> str | None:
    """The installed package to which a file belongs."""
    parts = Path(file).parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return None


def innermost(frames: Iterable[Line]) -> Line | None:
    """The user's innermost frame.

    If there is none, as in a density that a library builds, it is that library's innermost frame.

    Args:
        frames: the lines of the frames, from the innermost outwards.
    """
    nearest = None
    for line in frames:
        if line.file.startswith(_CHECKS):  # the frames further out only asked for the check
            break
        if not is_library(line.file):
            return line
        if nearest is None and not _hidden(line.file):
            nearest = line
    return nearest


def _hidden(file: str) -> bool:
    """Whether a file does not help the user: it belongs to JAX, Crewel or Python itself."""
    package = _package(file)
    return file.startswith((_PACKAGE, "<")) or package is None or package in ("jax", "jaxlib")


def _frames(error: BaseException) -> list[Line]:
    """The lines of an exception's traceback, from the innermost outwards."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(Line(code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return frames[::-1]


def of_exception(error: BaseException) -> Line | None:
    """The user's line that raised an exception, or that called the library that raised it."""
    return innermost(_frames(error))


def by_check(error: BaseException) -> bool:
    """Whether a check itself raised an exception, rather than the model that it called.

    The code that counts is the innermost that belongs to the user or to Crewel: other libraries
    raise what their callers cause.
    """
    for line in _frames(error):
        if line.file == _COMPILING:  # it raises what the arguments of its callers cause
            continue
        if line.file.startswith(_PACKAGE) or not is_library(line.file):
            return line.file.startswith(_CHECKS)
    return False


def of_equation(eqn: Any) -> Line | None:
    """The user's line from which an equation of a trace comes."""
    trace = getattr(eqn.source_info, "traceback", None)
    if trace is None:
        return None
    return innermost(
        Line(frame.file_name, frame.line_num, frame.function_name.rsplit(".", 1)[-1])
        for frame in trace.frames
    )


_HINTS = {
    "TracerBoolConversionError": "Python's `if`, `and` and `while` cannot test a traced value: "
    "use `jnp.where`, `jax.lax.cond` or `jax.lax.while_loop`.",
    "ConcretizationTypeError": "A traced value was used where Python needs a number, for example "
    "in a shape: take it from `.shape`, or from outside the function.",
    "TracerArrayConversionError": "A NumPy function was given a traced value: use `jax.numpy`.",
    "TracerIntegerConversionError": "A traced value was used as a Python index: use a JAX array "
    "to index, or `jnp.take`.",
    "NonConcreteBooleanIndexError": "Indexing with a traced mask gives an unknown shape: use "
    "`jnp.where(mask, a, b)`.",
}


def said(error: BaseException) -> str:
    """An exception's type and its first paragraph, at most 300 characters."""
    text = " ".join(str(error).strip().split("\n\n")[0].split())
    text = text if len(text) <= 300 else text[:300].rsplit(" ", 1)[0] + " ..."
    return f"{type(error).__name__}: {text}"


def explain(error: BaseException, model: object = None) -> str:
    """An exception in one paragraph: its type, first paragraph, the user's line, and a hint.

    Args:
        error: the exception.
        model: a pytree that holds the user's functions. If a library raised the exception after
            they had returned, none of their lines is in the traceback; the last of them is named.
    """
    kind = type(error).__name__
    hint = f" {_HINTS[kind]}" if kind in _HINTS else ""
    line = of_exception(error)
    where = f" At {line}." if line else ""
    if line is not None and is_library(line.file):
        made = users_functions(model)
        where = f" In what is built by {made[-1]}." if made else where
    return f"{said(error)}{where}{hint}"


def users_functions(model: object) -> list[Line]:
    """The first lines of the user's own functions in a pytree of `jax.tree_util.Partial`."""
    found: dict[int, Line] = {}
    seen: dict[int, Any] = {}  # holds what was seen, or Python would use its number again

    def look(value: Any, depth: int) -> None:
        if id(value) in seen or depth > 40:
            return
        seen[id(value)] = value
        code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
        if code is not None and not is_library(code.co_filename):
            line = Line(code.co_filename, code.co_firstlineno, code.co_name)
            found.setdefault(id(code), line)
        elif isinstance(value, list | tuple):
            for part in value:
                look(part, depth + 1)
        elif isinstance(value, dict):
            for part in value.values():
                look(part, depth + 1)
        elif isinstance(value, functools.partial):
            look((value.func, value.args, value.keywords), depth + 1)
        elif is_dataclass(value) or type(value).__module__.startswith("crewel."):
            look(list(getattr(value, "__dict__", {}).values()), depth + 1)

    look(model, 0)
    return list(found.values())
