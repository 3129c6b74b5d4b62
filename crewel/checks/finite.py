"""Finiteness of the log density at the test point and at the initial states."""

from __future__ import annotations

import jax
import numpy as np

from crewel.checks.blame import blame
from crewel.checks.context import Context
from crewel.checks.evaluate import parts
from crewel.checks.report import Check, failed, passed
from crewel.core.text import count, kind, name_chains, number


def at_test_point(context: Context) -> Check:
    """The log density at the test point is finite on all rows."""
    found = jax.tree.map(np.asarray, parts(context.target, context.position))
    total = float(found["total"])
    if not np.isfinite(total):
        why, numbers = blame(context, context.target, context.position)
        return failed(
            f"The log density at the test point is {kind(total)}. {why}", value=total, **numbers
        )
    pieces, values = [], {"value": total}
    if "prior" in found:
        values["log_prior"] = float(found["prior"])
        pieces.append(f"prior {number(found['prior'])}")
    if "likelihood" in found:
        likelihood = np.asarray(found["likelihood"], np.float64)
        values["log_likelihood"] = float(likelihood.sum())
        mean = number(likelihood.sum() / len(likelihood))
        pieces.append(f"likelihood {number(likelihood.sum())} ({mean} per row)")
    if "jacobian" in found:
        values["log_det"] = float(found["jacobian"])
        if not pieces and values["log_det"]:
            pieces.append(f"log density {number(total - values['log_det'])}")
        pieces.append(f"Jacobian {number(found['jacobian'])}")
    split = f": {', '.join(pieces)}" if len(pieces) > 1 else ""
    return passed(f"{number(total)}{split}.", **values)


def at_initial_states(context: Context) -> Check:
    """The log density is finite at the initial state of every chain."""
    values = np.asarray(context.start.log_density, np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        position = jax.tree.map(lambda leaf: leaf[bad[0]], context.start.positions)
        why, numbers = blame(context, context.small, position)
        kinds = {kind(values[chain]) for chain in bad}
        return failed(
            f"The log density is {' or '.join(sorted(kinds))} at the start of "
            f"{name_chains(bad.tolist(), len(values))}{context.note}. {why}",
            values=values,
            chains=bad,
            **numbers,
        )
    low, high = number(values.min()), number(values.max())
    text = low if low == high else f"{low} to {high}"
    return passed(f"{text} over {count(len(values), 'chain')}{context.note}.", values=values)
