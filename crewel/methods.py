"""`model.mcmc.numpyro_nuts`: the names in `ALGORITHMS`, the one list, as callables of a model."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crewel.adapters import ALGORITHMS
from crewel.core.families import FAMILIES
from crewel.core.meanings import require_arguments_of
from crewel.core.model_like import ModelLike
from crewel.core.options import REQUIRED, backend_options, settings_of
from crewel.core.protocol import Algorithm, Family, Seed
from crewel.posterior.posterior import Posterior
from crewel.run import driver

if TYPE_CHECKING:
    from crewel.checks.report import DebugReport


class _Doc:
    """The docstring of `Method`; for an instance, that of its algorithm."""

    def __init__(self, of_class: str):
        self.of_class = of_class

    def __get__(self, method: Method | None, owner: type[Method]) -> str:
        return self.of_class if method is None else method.description()


class Method:
    """One algorithm on one model: call it with a seed."""

    __doc__ = _Doc(str(__doc__))  # pyright: ignore[reportAssignmentType]

    def __init__(self, model: ModelLike, row: Algorithm):
        """Bind a row to a model."""
        self.model = model
        self.row = row

    @property
    def name(self) -> str:
        """The algorithm's name."""
        return self.row.name

    def options(self) -> dict[str, Any]:
        """Every keyword that a call takes, with its default.

        Raises:
            ImportError: the backend is missing, broken or too old.
        """
        return settings_of(self.row) | backend_options(self.row)

    def description(self) -> str:
        """The text that `help` shows: summary, bias, paper, settings and options with defaults."""
        row, sources = self.row, " and ".join(self.row.option_sources)
        try:
            options = _defaults(backend_options(row)) or "none"
        except ImportError as error:
            options = f"unknown. {error}"
        parts = [
            f"{row.summary}.",
            f"Bias: {row.bias}" if row.bias else "",
            f"Reference: {row.reference}",
            f"Settings: {_defaults(settings_of(row))}.",
            f"Options of {sources}: {options}." if sources else "",
        ]
        return "\n\n".join(filter(None, parts))

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature for `help`, `?` and editors; without the backend, only our settings."""
        try:
            keywords = self.options()
        except ImportError:
            keywords = settings_of(self.row)
        kind = inspect.Parameter.KEYWORD_ONLY
        seed = inspect.Parameter("seed", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=0)
        others = [
            inspect.Parameter(name, kind, default=REQUIRED if value is REQUIRED else value)
            for name, value in keywords.items()
            if name.isidentifier()
        ]
        return inspect.Signature([seed, *others], return_annotation=Posterior)

    def __call__(self, seed: Seed = 0, **kwargs: Any) -> Posterior:
        """Run the algorithm and return a `Posterior`; see `options()` for the keywords."""
        return driver.run(self.model, self.row, seed, **kwargs)

    def debug(self, seed: Seed = 0, **kwargs: Any) -> DebugReport:
        """Check the model and the call to come; see `crewel.checks.debug.debug`.

        Raises:
            TypeError: a keyword belongs to the call, and so into `kwargs=`.
        """
        from crewel.checks import debug

        require_arguments_of(debug.debug, kwargs, self.row.name)
        return debug.debug(self.model, seed, row=self.row, **kwargs)

    def __repr__(self) -> str:
        """Return the name and the summary."""
        return f"<{self.row.family.name}.{self.row.name}: {self.row.summary}>"


def _defaults(keywords: Mapping[str, Any]) -> str:
    return ", ".join(
        name if value is REQUIRED else f"{name}={value!r}" for name, value in keywords.items()
    )


class Namespace:
    """The algorithms of one family on one model, as attributes."""

    def __init__(self, model: ModelLike, family: Family):
        """Bind a family to a model."""
        self._model = model
        self._family = family

    def _rows(self) -> dict[str, Algorithm]:
        return {row.name: row for row in ALGORITHMS if row.family is self._family}

    def __getattr__(self, name: str) -> Method:
        """The algorithm called `name`.

        Raises:
            AttributeError: this family has no algorithm of that name; the message lists the
                nearest.
        """
        if name.startswith("__"):  # part of Python's protocols, for example copying
            raise AttributeError(name)
        rows = self._rows()
        if name in rows:
            return Method(self._model, rows[name])
        family = self._family.name
        if name in ALGORITHMS:
            hint = f" It is in `model.{ALGORITHMS[name].family.name}`."
        else:
            near = difflib.get_close_matches(name, rows, n=3)
            hint = f" Nearest: {', '.join(f'`{n}`' for n in near)}." if near else ""
        raise AttributeError(f"`model.{family}` has no `{name}`.{hint} All: {', '.join(rows)}.")

    def __call__(self, row: Algorithm) -> Method:
        """Bind a row of your own to this model: `model.mcmc(row)(seed=0)`.

        Raises:
            TypeError: `row` is not an `Algorithm`.
            ValueError: `row` is of another family.
        """
        if not isinstance(row, Algorithm):
            raise TypeError(
                f"`model.{self._family.name}(...)` takes a `crewel.Algorithm`, got a "
                f"{type(row).__name__}. To run an algorithm by name: "
                f"`model.{self._family.name}.<name>(seed=0)`."
            )
        if row.family is not self._family:
            raise ValueError(
                f"`{row.name}` belongs to the family `{row.family.name}`. Use "
                f"`model.{row.family.name}(row)`."
            )
        return Method(self._model, row)

    def __dir__(self) -> list[str]:
        """List every name in the family, installed or not."""
        return list(self._rows())

    def __iter__(self) -> Iterator[Method]:
        """Iterate over the family's methods."""
        return (Method(self._model, row) for row in self._rows().values())

    def __repr__(self) -> str:
        """Return one name per line."""
        return "\n".join(self._rows())


class Families:
    """The namespaces of a model: one attribute per family, made from `FAMILIES`."""


def _namespace(family: Family) -> cached_property[Namespace]:
    # A cached property, because IPython does not complete the attributes of a plain property.
    made = cached_property(lambda model: Namespace(model, family))
    made.__doc__ = f"{family.title}."
    made.__set_name__(Families, family.name)
    return made


for _family in FAMILIES.values():
    setattr(Families, _family.name, _namespace(_family))
