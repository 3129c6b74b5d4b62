"""Words a call may use: ours, the same for every backend, and the backend's own, untouched."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
from typing import Any

from crewel.protocol import Algorithm

_RUN = {"init": None, "chain_method": "auto", "progress": True}
WORDS: dict[str, dict[str, Any]] = {
    "mcmc": {"num_chains": 4, "num_warmup": 1000, "num_draws": 1000, "thinning": 1}
    | _RUN
    | {"collect": None},
    "sgmcmc": {"num_chains": 4, "num_warmup": 1000, "num_draws": 1000, "thinning": 1}
    | {"batch_size": None, "replacement": False, "batches": None, "num_rows": None}
    | _RUN
    | {"collect": None, "reduce": None, "evaluate": None},
    "optimize": {"num_particles": 8, "num_steps": 1000}
    | {"batch_size": None, "replacement": False, "evaluate": None, "patience": None}
    | _RUN,
    "vi": {"num_chains": 4, "num_steps": 2000, "num_draws": 1000} | _RUN | {"collect": None},
}
# Words that count, and the least that each may be.
COUNTS = {
    "num_chains": 1,
    "num_particles": 1,
    "num_warmup": 0,
    "num_draws": 1,
    "num_steps": 1,
    "thinning": 1,
    "batch_size": 1,
    "patience": 1,
}
CHAIN_METHODS = ("auto", "parallel", "vectorized", "sequential")


def words_of(row: Algorithm) -> dict[str, Any]:
    """Our words that a call of the row takes, with their defaults."""
    return {k: v for k, v in WORDS[row.family].items() if k not in row.lacks} | dict(row.words)


def missing_backend(row: Algorithm, error: ImportError) -> ImportError:
    """The error that says what to install, or the backend's own where it is there but broken."""
    if isinstance(error, ModuleNotFoundError) and error.name == row.module.split(".")[0]:
        return ModuleNotFoundError(
            f"`{row.name}` needs `{row.module}`, which is not installed. "
            f"Install it: pip install 'crewel[{row.requires}]'",
            name=error.name,
        )
    return ImportError(f"`{row.name}`: `{row.module}` is installed but does not import: {error}")


def resolve(dotted: str) -> Any:
    """The object with a dotted name, importing what must be imported."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and ".".join(parts[:cut]).startswith(error.name) and cut > 1:
                continue
            raise
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise ImportError(f"`{dotted}` is no dotted name")


def backend_options(row: Algorithm) -> dict[str, Any]:
    """The row's own options with their defaults, read off the backend's callables.

    Raises:
        ImportError: the backend is missing, with its install line; broken, with its error; or too
            old.
    """
    found: dict[str, Any] = {}
    try:
        importlib.import_module(row.module)
        callables = [resolve(name) for name in row.options_of]
    except ImportError as error:
        raise missing_backend(row, error) from error
    except AttributeError as error:
        version = importlib.metadata.version(row.module.split(".")[0])
        raise ImportError(
            f"`{row.name}` needs a newer `{row.module}` than {version}: {error}."
        ) from error
    for callable_ in callables:
        for parameter in inspect.signature(callable_).parameters.values():
            keyword = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if keyword and parameter.name not in row.reserved:
                found.setdefault(parameter.name, parameter.default)
    return found | dict(row.defaults)


def required(row: Algorithm) -> list[str]:
    """The row's options that have no default, and so must be given."""
    return [k for k, v in backend_options(row).items() if v is inspect.Parameter.empty]


def split(row: Algorithm, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check the keywords of a call and split them into `(our words, the backend's options)`.

    Raises:
        TypeError: an unknown keyword; names the callable it would go to and the nearest match. Or
            one that is missing.
        ValueError: a count that is not a positive integer, or an unknown `chain_method`.
    """
    words = words_of(row)
    accepted = backend_options(row)
    for name in kwargs:
        if name in row.lacks:
            raise TypeError(
                f"`{name}` means nothing to `{row.name}`; leave it out. Crewel's words here: "
                f"{', '.join(words)}."
            )
        if name not in words and name not in accepted:
            near = difflib.get_close_matches(name, [*words, *accepted], n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise TypeError(
                f"`{row.name}` has no option `{name}`.{hint} Crewel's own words: "
                f"{', '.join(words)}. Options of {' and '.join(row.options_of)}: "
                f"{', '.join(accepted) or 'none'}."
            )
    for name in required(row):
        if name not in kwargs:
            raise TypeError(
                f"`{row.name}` needs `{name}=`: an option of {' or '.join(row.options_of)} that "
                "has no default."
            )
    ours = words | {name: value for name, value in kwargs.items() if name in words}
    for name, value in ours.items():
        least = COUNTS.get(name)
        if least is None or (value is None and words[name] is None):
            continue
        integer = hasattr(value, "__index__") and not isinstance(value, bool)
        if value is None or not integer or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}, got {value!r}.")
    if not isinstance(ours.get("replacement", False), bool):
        raise TypeError(f"`replacement` must be True or False, got {ours['replacement']!r}.")
    if ours.get("chain_method", "auto") not in CHAIN_METHODS:
        raise ValueError(
            f"`chain_method` must be one of {', '.join(CHAIN_METHODS)}, "
            f"got {ours['chain_method']!r}."
        )
    theirs = dict(row.defaults) | {name: kwargs[name] for name in kwargs if name not in words}
    return ours, theirs
