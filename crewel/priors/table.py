"""The priors of a model as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp

from crewel.core.text import table
from crewel.priors.hierarchical import is_centred, is_conditional, names_used


class PriorTable(Mapping[str, Any]):
    """The priors of a model as a table: path, shape, prior. A mapping from path to distribution.

    Attributes:
        priors: distribution by path.
        shapes: shape by path.
    """

    def __init__(self, priors: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
        """Hold the priors and shapes."""
        self.priors = dict(priors)
        self.shapes = dict(shapes)

    def __getitem__(self, path: str) -> Any:
        """The distribution of one parameter, or a function of the latents if it is hierarchical."""
        return self.priors[path]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the paths."""
        return iter(self.priors)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self.priors)

    def __repr__(self) -> str:
        """Return an aligned table."""
        rows = [("parameter", "shape", "prior")]
        for path, prior in self.priors.items():
            rows.append((path, str(self.shapes[path]), described(prior, self.shapes)))
        return table(rows)


def described(prior: Any, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A prior in one line; a hierarchical one by its distribution and the latents that it uses.

    Args:
        prior: a distribution, or a function of the latents.
        shapes: the shapes of the parameters, by path.
    """
    if not is_conditional(prior):
        return describe(prior)
    kind, used = names_used(prior, shapes)
    text = f"{kind} given {', '.join(used)}"
    return text if is_centred(prior) else f"{text}, non-centred"


def describe(prior: Any) -> str:
    """A distribution in one line: `Normal(loc=0, scale=1)`.

    Examples:
        >>> import numpyro.distributions as dist
        >>> describe(dist.Normal(0.0, 2.0))
        'Normal(loc=0, scale=2)'
    """

    def text(value: Any) -> str:
        if jnp.ndim(value) == 0:
            return f"{float(value):.4g}"
        return f"array{tuple(jnp.shape(value))}"

    base = prior
    while hasattr(base, "base_dist") and not base.arg_constraints:
        base = base.base_dist
    fields = [name for name in base.arg_constraints if getattr(base, name, None) is not None]
    return f"{type(base).__name__}({', '.join(f'{f}={text(getattr(base, f))}' for f in fields)})"
