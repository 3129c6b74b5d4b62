"""Checks of a call before it runs: its keywords, memory, time, chains and platform."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from crewel.checks.context import ROWS, Context
from crewel.checks.evaluate import gradient_seconds
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.compiling import home
from crewel.core.options import backend_options
from crewel.core.protocol import Algorithm, Target
from crewel.core.text import count, duration, memory, number
from crewel.run import footprint
from crewel.run.call import Call, prepare
from crewel.run.placement import cores, place

LONG = 24 * 3600  # seconds: the check warns if a run may take longer
LONG_AT_LEAST = 3600  # seconds: it also warns if a run takes longer for certain


def keywords(context: Context) -> Check:
    """The backend is installed and takes every keyword; the model has what the call needs."""
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
        raise ValueError("This check needs a prepared call: run `keywords` first.")
    return context.call


def _row(context: Context) -> Algorithm:
    if context.row is None:
        raise ValueError("This check needs an algorithm: pass `row`.")
    return context.row


def platform(context: Context) -> Check:
    """JAX runs on the accelerator, if the machine has one."""
    return _platform(jax.default_backend(), _accelerators(), jax.local_device_count())


def _accelerators() -> list[str]:
    """Signs of an accelerator on this machine: device files and installed JAX plugins."""
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
            else "JAX cannot use it; see what `jax.devices('gpu')` says, and install "
            "`jax[cuda12]` or its equivalent for your device"
        )
        return warned(
            "JAX runs on the CPU, but the machine seems to have an accelerator "
            f"({', '.join(signs)}): "
            f"{why}.",
            signs=signs,
        )
    noun = f"{cores()} cores" if backend == "cpu" else f"{devices} devices"
    return passed(f"{backend}, {noun}.", backend=backend, devices=devices)


def chains(context: Context) -> Check:
    """The chains divide evenly over the cores or devices."""
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
            f"{context.num_chains} {noun} do not divide evenly over {local} devices, so only "
            f"{placement.devices} will be used. Use a multiple of {local}.",
            **numbers,
        )
    rounds = -(-blocks // at_once)
    idle = -blocks % at_once
    if idle:
        return warned(
            f"{context.num_chains} {noun} on {at_once} cores take {rounds} rounds, and "
            f"{count(idle, 'core')} will be idle in the last: "
            f"{rounds * at_once * len(placement.blocks[0])} {noun} would take no longer.",
            **numbers,
        )
    if placement.devices > 1:
        text = f"over {placement.devices} devices"
    else:
        text = f"{at_once} at a time, {count(rounds, 'round')}" if blocks > 1 else "all at once"
    return passed(f"{context.num_chains} {noun}, {text}.", **numbers)


def storage(context: Context) -> Check:
    """The draws fit in memory."""
    found = footprint.of(context.model, _call(context))
    if not found.fits:
        return failed(found.refusal, bytes=found.size)
    free = "" if found.free is None else f"; {memory(found.free)} is free"
    return passed(f"{found.text}{free}.", bytes=found.size)


def _seconds(context: Context, target: Target) -> float:
    """Seconds of one gradient on the rows of `target`, as a run computes it."""
    run = replace(context.run, data=target.data, num_data=target.num_data)
    return gradient_seconds(run, context.position, optimized=True)


def forecast(context: Context) -> Check:
    """The call takes a reasonable time, judged by the measured time of one gradient."""
    call = _call(context)
    row = call.row
    gradients = row.gradients_of(backend_options(row) | dict(call.options))
    if gradients is None:
        return skipped(f"The number of gradients per step of `{row.name}` is not known.")
    size = call.target.batch_size
    if size is not None and context.num_data:
        each, note = _seconds(context, context.subset(size)), f"on a batch of {size} rows"
    else:
        share = context.num_data / ROWS if context.few else 1.0
        each, note = share * _seconds(context, context.small), context.few
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
        text = f"{steps:,} steps × at least 1 gradient × {duration(each)}{measured} = "
        text += f"at least {duration(low)} per {one}"
    elif least == most:
        per_step = "1 gradient" if most == 1 else f"{number(most)} gradients"
        text = (
            f"{steps:,} steps × {per_step} × {duration(each)}{measured} = "
            f"{duration(high)} per {one}"
        )
    else:
        text = (
            f"{steps:,} steps × up to {most:,.0f} gradients × {duration(each)}{measured} = up to "
            f"{duration(high)} per {one}"
        )
    if together > 1:
        text += f", {together} at a time"
    elif rounds > 1:
        text += f", in {rounds} rounds"
    if rounds * low > LONG_AT_LEAST or (np.isfinite(high) and rounds * high > LONG):
        return warned(
            f"{text}. Use fewer steps, a smaller tree or minibatches (`model.sgmcmc`), or start "
            "from the result of `model.optimize`.",
            **numbers,
        )
    return passed(f"{text}, excluding compilation.", **numbers)
