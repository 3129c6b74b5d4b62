"""Run the checks of a model, and of a call before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from crewel.checks import OF_MODEL, RULES, Rule
from crewel.checks.context import Context
from crewel.checks.lines import by_check, explain, said
from crewel.checks.report import Check as Check
from crewel.checks.report import DebugReport as DebugReport
from crewel.checks.report import Leaf, Writer
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Algorithm, Seed
from crewel.core.trees import named_leaves


def debug(
    model: ModelLike,
    seed: Seed = 0,
    *,
    row: Algorithm | None = None,
    verbosity: int = 2,
    printer: Callable[..., Any] = print,
    kwargs: Mapping[str, Any] | None = None,
    catch_exceptions: bool = True,
) -> DebugReport:
    """Run every check on a model and, given an algorithm, on a call to it.

    Cheap checks run first. A check that depends on one that failed is skipped, and says so. On
    data with many rows, expensive checks use a random subsample, and say so. A check that takes
    longer than 2 s is named on the standard error stream while it runs.

    Args:
        model: a `Model`.
        seed: the seed of the call; the initial states that it leads to are the ones checked.
        row: the algorithm, which `model.mcmc.numpyro_nuts.debug(...)` fills in.
        verbosity: 0 prints nothing, 1 one mark per check, 2 one line per check, 3 also shapes and
            a table of the parameters, 4 also arrays.
        printer: a callable with `print`'s signature.
        kwargs: the keywords of the call.
        catch_exceptions: whether an exception, for example in the log density, counts as a failed
            check instead of being raised.

    Returns:
        A `DebugReport`: truthy when no check failed.

    Raises:
        TypeError: `kwargs` without an algorithm, or an invalid `seed`.

    Examples:
        >>> import jax.numpy as jnp, crewel as cw
        >>> model = cw.Model(lambda p: -jnp.sum(p["w"] ** 2), {"w": jnp.ones(3)})
        >>> bool(debug(model, verbosity=0))
        True
        >>> wrong = cw.Model(lambda p: -p["w"] ** 2, {"w": jnp.ones(3)})
        >>> debug(wrong, verbosity=0).failed[0].message
        'The log density has shape (3,); it must be a scalar, `()`. Return its `.sum()` if the \
entries are independent.'
    """
    if row is None and kwargs:
        raise TypeError(
            "`kwargs` are the keywords of an algorithm: pass them to its own `debug`, as in "
            "`model.mcmc.numpyro_nuts.debug(seed, kwargs=...)`."
        )
    context = Context(model, row, seed, kwargs or {})
    subject = f"{model!r}" if row is None else f"{model!r}, {row.name}"
    writer = Writer(verbosity, printer)
    writer.start(subject)
    checks: dict[str, Check] = {}
    broken: set[str] = set()
    for rule in RULES:
        if rule.call and row is None:
            continue
        with writer.running(rule.name, (rule.check.__doc__ or "").partition("\n")[0]):
            check = _run(rule, context, broken, catch_exceptions)
        if check.status == "failed" or check.details.get("because"):
            broken.add(rule.name)
        checks[rule.name] = check
        writer.check(check)
    report = DebugReport(tuple(checks.values()), _leaves(context, broken), subject)
    writer.end(report)
    return report


def _run(rule: Rule, context: Context, broken: set[str], catch_exceptions: bool) -> Check:
    because = [name for name in rule.needs if name in broken]
    if because:
        message = f"Not run: it depends on `{because[0]}`."
        return Check(rule.name, "skipped", message, {"because": because[0]})
    try:
        return replace(rule.check(context), name=rule.name)
    except Exception as error:
        if not catch_exceptions:
            raise
        if by_check(error) and rule.name not in OF_MODEL:
            message = (
                f"Not completed: this check stopped with an exception of its own, {said(error)} "
                "That is a mistake in Crewel and says nothing about the model; please report it. "
                "`catch_exceptions=False` shows the traceback."
            )
            return Check(rule.name, "warned", message, {"exception": error, "because": "itself"})
        text = explain(error, context.functions)
        return Check(rule.name, "failed", text, {"exception": error})


def _leaves(context: Context, broken: set[str]) -> tuple[Leaf, ...]:
    """The table of parameters, with gradients if the log density could be evaluated."""
    norms: dict[str, float] = {}
    if not broken & {"test point", "structure", "log density shape", "log density at test point"}:
        for path, leaf in context.test_gradient.items():
            norms[path] = float(np.linalg.norm(np.asarray(leaf, np.float64)))
    made = []
    for path, leaf in named_leaves(context.model.test_point).items():
        values = np.asarray(leaf.astype(jnp.float32))
        made.append(
            Leaf(
                path=path,
                shape=tuple(leaf.shape),
                dtype=str(leaf.dtype),
                min=float(values.min(initial=np.inf)),
                max=float(values.max(initial=-np.inf)),
                non_finite=int((~np.isfinite(values)).sum()),
                gradient_norm=norms.get(path),
                prior=context.prior_texts.get(path, ""),
            )
        )
    return tuple(made)
