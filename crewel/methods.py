"""`model.mcmc.numpyro_nuts`: names become callables. One list, `ALGORITHMS`, feeds it all."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from crewel.adapters import ALGORITHMS
from crewel.options import backend_options, words_of
from crewel.protocol import Algorithm


class Method:
    """One algorithm on one model: call it with a seed."""

    def __init__(self, model: Any, row: Algorithm):
        """Bind a row to a model."""
        self.model = model
        self.row = row
        self.__doc__ = (
            f"{row.summary}.\n\n"
            + (f"Bias: {row.bias}\n\n" if row.bias else "")
            + f"Reference: {row.reference}\n\nCrewel's words: "
            f"{', '.join(f'{k}={v!r}' for k, v in words_of(row).items())}.\n"
            f"All else goes to {' and '.join(row.options_of)}."
        )

    @property
    def name(self) -> str:
        """The algorithm's name."""
        return self.row.name

    def options(self) -> dict[str, Any]:
        """Every keyword that a call takes, with its default."""
        return words_of(self.row) | backend_options(self.row)

    def __call__(self, seed: Any = 0, **kwargs: Any) -> Any:
        """Run it. See `options()` for the keywords; returns a `Posterior`."""
        from crewel import driver

        return driver.run(self.model, self.row, seed, **kwargs)

    def debug(self, seed: Any = 0, **kwargs: Any) -> Any:
        """Check the model and the call that is about to be made; see `crewel.debug.debug`."""
        from crewel import debug

        return debug.debug(self.model, seed, row=self.row, **kwargs)

    def __repr__(self) -> str:
        """Name and summary."""
        return f"<{self.row.family}.{self.row.name}: {self.row.summary}>"


class Namespace:
    """The algorithms of one family on one model, as attributes."""

    def __init__(self, model: Any, family: str):
        """Bind a family to a model."""
        self._model = model
        self._rows = {row.name: row for row in ALGORITHMS if row.family == family}
        self._family = family

    def __getattr__(self, name: str) -> Method:
        """The algorithm called `name`.

        Raises:
            AttributeError: no such algorithm in this family; names the nearest.
        """
        rows = self.__dict__.get("_rows", {})
        if name in rows:
            return Method(self._model, rows[name])
        family = self.__dict__.get("_family")
        elsewhere = [row.family for row in ALGORITHMS if row.name == name]
        if elsewhere:
            hint = f" It is in `model.{elsewhere[0]}`."
        else:
            near = difflib.get_close_matches(name, rows, n=3)
            hint = f" Nearest: {', '.join(f'`{n}`' for n in near)}." if near else ""
        raise AttributeError(f"`model.{family}` has no `{name}`.{hint} All: {', '.join(rows)}.")

    def __dir__(self) -> list[str]:
        """Every name of the family, installed or not."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Method]:
        """Over the family's methods."""
        return (Method(self._model, row) for row in self._rows.values())

    def __repr__(self) -> str:
        """One name a line."""
        return "\n".join(self._rows)
