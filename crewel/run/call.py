"""One call of an algorithm: everything that the user asked for, checked, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crewel.core import meanings
from crewel.core.families import CHAIN_METHODS, LEAST
from crewel.core.keys import as_key
from crewel.core.model_like import ModelLike
from crewel.core.options import REQUIRED, backend_options, settings_of
from crewel.core.protocol import Algorithm, Key, Options, Seed, Target
from crewel.run import extras
from crewel.run.extras import Extras

Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Call:
    """Everything that the user asked for; running, extending, debugging and forecasting take one.

    Attributes:
        row: the algorithm.
        key: the PRNG key of the seed.
        settings: our settings, with their defaults.
        options: the backend's options, with the row's defaults.
        target: the density as the steps will see it.
        extras: batches, reduction and held-out rows.
    """

    row: Algorithm
    key: Key
    settings: Settings
    options: Options
    target: Target
    extras: Extras

    @property
    def num_chains(self) -> int:
        """Number of chains or particles."""
        return self.settings[self.row.family.chains]

    @property
    def num_warmup(self) -> int:
        """Number of warm-up steps; the steps of a fit are its warm-up."""
        return self.settings.get(self.row.family.warmup, 0)

    @property
    def num_draws(self) -> int:
        """Draws per chain after the warm-up; for an optimizer, its steps."""
        return self.settings[self.row.family.steps]

    @property
    def thinning(self) -> int:
        """Steps per draw."""
        return self.settings.get("thinning", 1)

    @property
    def keeps_draws(self) -> bool:
        """Whether every draw is kept, rather than the last one or a summary."""
        return self.row.family.keeps_draws and self.extras.reduce is None

    @property
    def keywords(self) -> dict[str, Any]:
        """Settings and options, given or default, without those that only matter at the start."""
        ours = {k: v for k, v in self.settings.items() if k not in ("init", "progress")}
        return ours | dict(self.options)

    def kept(self) -> Call:
        """The call as a result stores it, without the initial states, which may be large."""
        return replace(self, settings={**self.settings, "init": None})

    def extended(self, model: ModelLike, num_draws: int, *, progress: bool) -> Call:
        """The call that makes `num_draws` more draws.

        Raises:
            ValueError: `num_draws` is not a positive integer, or the run cannot be extended.
        """
        name = self.row.name
        if self.row.family.steps != "num_draws" or not self.row.resumable:
            raise ValueError(f"A run of `{name}` cannot be extended; start another with `init=`.")
        settings = {**self.settings, "num_draws": num_draws, "progress": progress}
        _check_counts(self.row, settings)
        target = model.target(jacobian=self.row.family.jacobian)
        target, asked = extras.find(model, self.row, target, settings)
        return replace(self, settings=settings, target=target, extras=asked)


def prepare(model: ModelLike, row: Algorithm, seed: Seed, keywords: Mapping[str, Any]) -> Call:
    """Check a call before any work is done. This is the only place that reads keywords.

    Args:
        model: a `Model`.
        row: the algorithm.
        seed: an integer or a PRNG key.
        keywords: our settings and the backend's options.

    Raises:
        TypeError: a keyword is unknown (the message has the nearest match) or missing, or a value
            is of the wrong kind.
        ValueError: a count is too small, `chain_method` is unknown, or the model lacks something
            that the algorithm or a setting requires.
        ImportError: the backend is missing, broken or too old.
    """
    settings, options = _split(row, keywords)
    _check_counts(row, settings)
    _check_choices(settings)
    meanings.check(options, row.defaults)
    key = as_key(seed)
    target = model.target(jacobian=row.family.jacobian)
    target.require(row.needs, row.name)
    target, asked = extras.find(model, row, target, settings)
    call = Call(row, key, settings, options, target, asked)
    if asked.every > call.num_draws:
        raise ValueError(
            f"`evaluate` scores the held-out rows every {asked.every} draws, but the run has only "
            f"{call.num_draws}. Give a third entry, `evaluate=(x, y, every)`."
        )
    return call


def _split(row: Algorithm, keywords: Mapping[str, Any]) -> tuple[Settings, Options]:
    """Our settings with defaults, and the backend's options with the row's defaults."""
    settings, accepted = settings_of(row), backend_options(row)
    for name in keywords:
        if name in row.unsupported:
            raise TypeError(
                f"`{row.name}` does not take `{name}`. Settings that it takes: "
                f"{', '.join(settings)}."
            )
        if name not in settings and name not in accepted:
            hint = meanings.hint(name, [*settings, *accepted])
            raise TypeError(
                f"`{row.name}` has no option `{name}`.{hint} Settings: {', '.join(settings)}. "
                f"Options of {' and '.join(row.option_sources)}: {', '.join(accepted) or 'none'}."
            )
    for name, default in accepted.items():
        if default is REQUIRED and name not in keywords:
            raise TypeError(
                f"`{row.name}` needs `{name}=`, an option of "
                f"{' or '.join(row.option_sources)} that has no default."
            )
    ours = settings | {name: value for name, value in keywords.items() if name in settings}
    theirs = {name: value for name, value in keywords.items() if name not in settings}
    return ours, dict(row.defaults) | theirs


def _check_counts(row: Algorithm, settings: Settings) -> None:
    optional = {name for name, value in settings_of(row).items() if value is None}
    for name, least in LEAST.items():
        value = settings.get(name)
        if name not in settings or (value is None and name in optional):
            continue
        if value is None or not meanings.is_integer(value) or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}, got {value!r}.")


def _check_choices(settings: Settings) -> None:
    replacement, method = settings.get("replacement", False), settings.get("chain_method", "auto")
    if not isinstance(replacement, bool):
        raise TypeError(f"`replacement` must be True or False, got {replacement!r}.")
    if method not in CHAIN_METHODS:
        raise ValueError(
            f"`chain_method` must be one of {', '.join(CHAIN_METHODS)}, got {method!r}."
        )
