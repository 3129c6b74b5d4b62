"""The call that is about to be made: its keywords, memory, time, chains and platform."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np

from crewel.checks.context import Context, timed_gradient
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.compiling import home
from crewel.core.options import backend_options
from crewel.core.protocol import Algorithm
from crewel.core.text import duration, memory, number
from crewel.core.trees import nbytes
from crewel.run.call import Call, prepare
from crewel.run.placement import cores, place

LONG = 24 * 3600  # seconds that a run may take at most, without a remark
LONG_AT_LEAST = 3600  # and at least


def keywords(context: Context) -> Check:
    """The backend is there and takes every keyword, and the model has what the call needs."""
    row = _row(context)
    try:
        call = prepare(context.model, row, context.key, context.kwargs)
    except (TypeError, ValueError, ImportError) as error:
        return failed(str(error))
    context.call, context.settings = call, dict(call.settings)
    given = ", ".join(f"{name}={value!r}" for name, value in context.kwargs.items())
    text = f"{row.name}({given})." if given else f"{row.name}, all defaults."
    return passed(text, **call.options)


def _call(context: Context) -> Call:
    if context.call is None:
        raise ValueError("A check of a call needs the call.")
    return context.call


def _row(context: Context) -> Algorithm:
    if context.row is None:
        raise ValueError("A check of a call needs an algorithm.")
    return context.row


def platform(context: Context) -> Check:
    """JAX runs on the accelerator, where there is one."""
    return _platform(jax.default_backend(), _accelerators(), jax.local_device_count())


def _accelerators() -> list[str]:
    """Signs of an accelerator on this machine: devices, and plugins that are installed."""
    signs = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]"))
    signs += sorted(str(path) for path in Path("/dev").glob("accel[0-9]"))
    names: Iterable[str] = (
        str(found.metadata["Name"]) for found in importlib.metadata.distributions()
    )
    plugins = ("jax-cuda", "jax-rocm", "jax-metal", "libtpu")
    return signs + sorted({name for name in names if name.lower().startswith(plugins)})


def _platform(backend: str, signs: list[str], devices: int) -> Check:
    if backend == "cpu" and signs:
        forced = os.environ.get("JAX_PLATFORMS")
        why = (
            f"`JAX_PLATFORMS` is {forced!r}"
            if forced
            else "JAX did not find it usable: see what `jax.devices('gpu')` says, and install "
            "`jax[cuda12]` or the like"
        )
        return warned(
            f"JAX runs on the CPU, though there are signs of an accelerator ({', '.join(signs)}): "
            f"{why}.",
            signs=signs,
        )
    noun = f"{cores()} cores" if backend == "cpu" else f"{devices} devices"
    return passed(f"{backend}, {noun}.", backend=backend, devices=devices)


def chains(context: Context) -> Check:
    """The chains fill the cores or devices."""
    row, method = _row(context), context.settings.get("chain_method", "auto")
    placement = place(row, method, context.num_chains, home(context.target))
    noun = context.noun
    blocks, at_once = len(placement.blocks), placement.threads
    numbers = {"blocks": blocks, "threads": at_once, "devices": placement.devices}
    local = jax.local_device_count() if home(context.target) is None else 1
    if (
        placement.devices < local
        and not row.cross_chain
        and row.resumable
        and method in ("auto", "parallel")
    ):
        return warned(
            f"{context.num_chains} {noun} do not divide over {local} devices: only "
            f"{placement.devices} will work. Take a multiple of {local}.",
            **numbers,
        )
    rounds = -(-blocks // at_once)
    if blocks % at_once:
        return warned(
            f"{context.num_chains} {noun} on {at_once} cores take {rounds} rounds, in the last of "
            f"which {at_once - blocks % at_once} cores are idle: "
            f"{rounds * at_once * len(placement.blocks[0])} would take no longer.",
            **numbers,
        )
    if placement.devices > 1:
        text = f"over {placement.devices} devices"
    else:
        text = f"{at_once} at once, {rounds} rounds" if blocks > 1 else "all at once"
    return passed(f"{context.num_chains} {noun}, {text}.", **numbers)


def storage(context: Context) -> Check:
    """The draws fit in memory."""
    call, like = _call(context), context.model.test_point
    if call.settings.get("collect") is not None:
        like = jax.eval_shape(call.settings["collect"], like)
    kept = call.num_draws if call.keeps_draws else 1
    size = context.num_chains * kept * nbytes(like)
    free = _free_memory()
    text = f"{context.num_chains} × {kept:,} draws × {memory(nbytes(like))} = {memory(size)}"
    if free is not None and size > 0.8 * free:
        return failed(
            f"The draws take {text}, and {memory(free)} are free. Raise `thinning` and lower "
            "`num_draws`, or keep predictions in place of parameters with `collect=`.",
            bytes=size,
        )
    return passed(f"{text}." if free is None else f"{text}, of {memory(free)} free.", bytes=size)


def _free_memory() -> float | None:
    """Bytes of main memory that are available, where the system says."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return None


def forecast(context: Context) -> Check:
    """How long the call will take, from the measured time of one gradient."""
    call = _call(context)
    row = call.row
    gradients = row.gradients_of(backend_options(row) | dict(call.options))
    if gradients is None:
        return skipped(f"`{row.name}` does not say how many gradients a step takes.")
    each, note = context.gradient_seconds, context.few
    size = call.target.batch_size
    if size is not None and context.num_data:
        each, _ = timed_gradient(context.subset(size), context.position)
        note = f"on a batch of {size} rows"
    least, most = gradients
    # Draws from a fit take no gradients.
    steps = call.settings.get("num_steps", call.num_warmup + call.num_draws * call.thinning)
    method = call.settings.get("chain_method", "auto")
    placement = place(row, method, context.num_chains, home(call.target))
    rounds = -(-len(placement.blocks) // placement.threads)
    together = len(placement.blocks[0]) if placement.batched else 1
    low, high = steps * least * each, steps * most * each
    numbers = {"gradient_seconds": each, "steps": steps, "least": low, "most": high}
    numbers |= {"rounds": rounds, "gradients": (least, most)}
    measured = f" (estimated {note})" if note else ""
    one = context.noun.removesuffix("s")
    if np.isinf(most):
        text = f"{steps:,} steps × 1 gradient or more × {duration(each)}{measured} = "
        text += f"at least {duration(low)} per {one}"
    elif least == most:
        count = "1 gradient" if most == 1 else f"{number(most)} gradients"
        text = (
            f"{steps:,} steps × {count} × {duration(each)}{measured} = {duration(high)} per {one}"
        )
    else:
        text = (
            f"{steps:,} steps × up to {most:,.0f} gradients × {duration(each)}{measured} = up to "
            f"{duration(high)} per {one}"
        )
    if together > 1:
        text += f", {together} at once"
    elif rounds > 1:
        text += f", {rounds} rounds"
    if rounds * low > LONG_AT_LEAST or (np.isfinite(high) and rounds * high > LONG):
        return warned(
            f"{text}. Take fewer steps, a smaller tree, minibatches (`model.sgmcmc`), or start "
            "with `model.optimize`.",
            **numbers,
        )
    return passed(f"{text}, compilation aside.", **numbers)
