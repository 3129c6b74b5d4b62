"""Find the part of a log density that is not finite: prior, row, Jacobian or operation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.context import Context
from crewel.checks.evaluate import parts
from crewel.checks.quick import quick
from crewel.core.protocol import Data, Params, Position, Target
from crewel.core.text import kind, number
from crewel.core.trees import named_leaves

SHOWN = 3  # rows that a message lists


@quick
def _log_prob(prior: Any, value: Any) -> jax.Array:
    return prior.log_prob(value)


def blame(context: Context, target: Target, position: Position) -> tuple[str, dict[str, Any]]:
    """Describe what is not finite at `position`, and return the numbers behind it."""
    found = jax.tree.map(np.asarray, parts(target, position))
    said, numbers = [], {}
    said += _parameters(found["params"])
    if not np.isfinite(found.get("jacobian", 0.0)):
        said.append(f"the log-determinant of the transform is {kind(found['jacobian'])}")
    if not np.isfinite(found.get("prior", 0.0)):
        said += _priors(context, found["params"], found["prior"])
    likelihood = found.get("likelihood")
    if likelihood is not None and not np.isfinite(likelihood).all():
        bad = np.flatnonzero(~np.isfinite(likelihood.reshape(len(likelihood), -1)).all(1))
        said.append(_data(target, likelihood, bad))
        numbers["rows"] = bad
    made = trace.origin(target.log_density, position)
    if made is not None:
        said.append(str(made))
        numbers["primitive"] = made.primitive
    said.append(_jax_flag(bool(np.isnan(found["total"]))))
    text = "; ".join(said)
    return text[0].upper() + text[1:] + ".", numbers


def _parameters(params: Params) -> list[str]:
    return [
        f"the transform makes `{path}` {kind(leaf[~np.isfinite(leaf)].ravel()[0])}"
        for path, leaf in named_leaves(params).items()
        if not np.isfinite(leaf).all()
    ]


def _priors(context: Context, params: Params, value: Any) -> list[str]:
    table, said = context.priors_at(params), []
    leaves = named_leaves(params)
    for path, prior in (table or {}).items():
        if path not in leaves:
            continue
        terms = np.asarray(_log_prob(prior, leaves[path]))
        bad = np.argwhere(~np.isfinite(terms))
        if bad.size or (terms.ndim == 0 and not np.isfinite(terms)):
            where = tuple(int(i) for i in bad[0]) if terms.ndim else ()
            at = f"[{', '.join(map(str, where))}]" if where else ""
            entry = np.asarray(leaves[path])[where]
            shown = f" = {number(entry)}" if np.ndim(entry) == 0 else ""
            said.append(
                f"the log prior of `{path}`, {type(prior).__name__}, is {kind(terms[where])} at "
                f"`{path}{at}`{shown}"
            )
    return said or [f"the log prior is {kind(value)}"]


def _data(target: Target, likelihood: np.ndarray, bad: np.ndarray) -> str:
    flat = likelihood.reshape(len(likelihood), -1)
    rows = []
    for row in bad[:SHOWN]:
        entry = flat[row][~np.isfinite(flat[row])][0]
        rows.append(f"row {row}{_contents(target.data, int(row))} is {kind(entry)}")
    more = f" and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return (
        f"the log likelihood is not finite in {len(bad):,} of {len(flat):,} rows: "
        f"{', '.join(rows)}{more}"
    )


def _contents(data: Data, row: int) -> str:
    """The value of `y`, or of the data's only leaf, in a row; empty unless it is one number."""
    leaves = named_leaves(data)
    path = "y" if "y" in leaves else next(iter(leaves)) if len(leaves) == 1 else None
    if path is None or np.size(leaves[path][row]) != 1:
        return ""
    return f" (`{path}` = {number(np.ravel(leaves[path][row])[0])})"


def _jax_flag(nan: bool) -> str:
    """Name the JAX flag that would raise; both flags check what a compiled function returns."""
    if nan:
        return "`jax.debug_nans` would stop there"
    return "`jax.debug_nans` would not catch it, `jax.debug_infs` would"


def blame_gradient(target: Target, position: Position) -> tuple[str, dict[str, Any]]:
    """Name, in a sentence, the operation that makes the gradient non-finite."""
    fn = jax.grad(target.log_density)
    made = trace.origin(fn, position)
    if made is None:
        return "", {}
    nan = any(bool(jnp.isnan(leaf).any()) for leaf in jax.tree.leaves(jax.jit(fn)(position)))
    text = f" {str(made)[0].upper()}{str(made)[1:]}; {_jax_flag(nan)}."
    return text, {"primitive": made.primitive}
