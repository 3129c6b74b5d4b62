"""`make stubs`: writes `crewel/methods.pyi`, with which editors and type checkers know every name.

Names, settings, options and their defaults are read off `ALGORITHMS`, `FAMILIES` and the backends,
so the environment must have all of these, in the versions of `constraints/current-py311.txt`.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crewel import ALGORITHMS, FAMILIES
from crewel.checks.debug import debug
from crewel.core.families import CHAIN_METHODS, LEAST
from crewel.core.options import REQUIRED, backend_options, settings_of
from crewel.core.protocol import Algorithm, Family

ROOT = Path(__file__).resolve().parents[1]
STUB = ROOT / "crewel" / "methods.pyi"

# Types of the settings that do not count something.
TYPES = {
    "init": "Init",
    "chain_method": "ChainMethod",
    "progress": "bool",
    "replacement": "bool",
    "batches": "Iterable[Data] | None",
    "collect": "Callable[[Params], PyTree] | None",
    "reduce": 'Reducer | Literal["mean"] | None',
    "evaluate": "tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None",
}

HEAD = '''
"""Written by `make stubs` from `ALGORITHMS` and the backends. Do not edit."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from crewel.checks.report import DebugReport
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Algorithm, Data, Family, Params, PyTree, Seed
from crewel.posterior.posterior import Posterior
from crewel.run.reduce import Reducer

Init = Posterior | str | PyTree | None
ChainMethod = Literal[{chain_methods}]

class _Bound:
    """An algorithm on one model."""

    model: ModelLike
    row: Algorithm
    def __init__(self, model: ModelLike, row: Algorithm) -> None: ...
    @property
    def name(self) -> str:
        """The algorithm's name."""

    @property
    def __signature__(self) -> inspect.Signature: ...
    def options(self) -> dict[str, Any]:
        """Every keyword that a call takes, with its default."""

    def description(self) -> str:
        """The text that `help` shows."""

    def debug({debug}) -> DebugReport:
        """Check the model and the call that is about to be made."""

class Method(_Bound):
    """An algorithm of another package or your own, on one model."""

    def __call__(self, seed: Seed = 0, **kwargs: Any) -> Posterior: ...

class Namespace:
    """The algorithms of one family on one model."""

    def __init__(self, model: ModelLike, family: Family) -> None: ...
    def __call__(self, row: Algorithm) -> Method: ...
    def __iter__(self) -> Iterator[Method]: ...
    def __dir__(self) -> list[str]: ...
'''


def _class(name: str) -> str:
    return "_" + "".join(part.capitalize() for part in name.split("_"))


def _settings(row: Algorithm) -> Iterable[str]:
    for name, value in settings_of(row).items():
        if name in LEAST:
            kind = "int" if row.family.settings.get(name, value) is not None else "int | None"
        else:
            kind = TYPES[name]
        yield f"{name}: {kind} = {value!r}"


def _literal(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_literal, value))
    return type(value) in (bool, int, str, type(None)) or (
        type(value) is float and abs(value) < float("inf")
    )


def _options(row: Algorithm) -> Iterable[str]:
    for name, value in backend_options(row).items():
        default = "" if value is REQUIRED else f" = {value!r}" if _literal(value) else " = ..."
        yield f"{name}: Any{default}"


def _method(row: Algorithm) -> str:
    keywords = ", ".join((*_settings(row), *_options(row)))
    about = "\n\n        ".join(filter(None, (f"{row.summary}.", row.bias, row.reference)))
    return f'''
class {_class(row.name)}(_Bound):
    """{row.summary}."""

    def __call__(self, seed: Seed = 0, *, {keywords}) -> Posterior:
        """{about}
        """
'''


def _namespace(family: Family, rows: Iterable[Algorithm]) -> str:
    methods = "".join(
        f'''
    @property
    def {row.name}(self) -> {_class(row.name)}:
        """{row.summary}."""
'''
        for row in rows
    )
    return f'\nclass {_class(family.name)}(Namespace):\n    """{family.title}."""\n{methods}'


def _families(families: Mapping[str, Family]) -> str:
    attributes = "".join(
        f'''
    @cached_property
    def {family.name}(self) -> {_class(family.name)}:
        """{family.title}."""
'''
        for family in families.values()
    )
    return f'\nclass Families:\n    """The namespaces of a model, one per family."""\n{attributes}'


def _debug() -> str:
    """The parameters of `Method.debug`."""
    parameters = [
        parameter
        for name, parameter in inspect.signature(debug).parameters.items()
        if name not in ("model", "row")
    ]
    parts = ["self"]
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        shown = repr(parameter.default) if _literal(parameter.default) else "..."
        parts.append(f"{parameter.name}: {parameter.annotation} = {shown}")
    return ", ".join(parts)


def stub() -> str:
    """The text of `crewel/methods.pyi`, as ruff formats it."""
    methods = ", ".join(f'"{method}"' for method in CHAIN_METHODS)
    parts = [HEAD.strip().format(chain_methods=methods, debug=_debug())]
    parts += map(_method, ALGORITHMS)
    for family in FAMILIES.values():
        parts.append(_namespace(family, [row for row in ALGORITHMS if row.family is family]))
    parts.append(_families(FAMILIES))
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(STUB), "-"]
    text = "\n".join(parts)
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


if __name__ == "__main__":
    STUB.write_text(stub())
