"""Optax's optimizers. A particle is a chain whose step is one update; only the last is kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from crewel.protocol import Algorithm, Position, Target


def _optimizer(path: str, options: dict[str, Any]) -> Any:
    import optax

    return optax.with_extra_args_support(attrgetter(path)(optax)(**options))


def _noise(path: str, key: Any) -> dict[str, Any]:
    import optax

    if "key" in inspect.signature(attrgetter(path)(optax)).parameters:
        return {"key": key}
    return {"seed": jax.random.randint(key, (), 0, 2**31 - 1)}  # before Optax 0.2.5


def _vectors(tree: Any) -> Any:
    return jax.tree.map(jnp.atleast_1d, tree)


def _init(
    path: str,
    target: Target,
    key,
    position: Position,
    num_warmup: int,
    *,
    noisy: bool = False,
    scalars: bool = True,
    **options: Any,
) -> Any:
    if noisy:
        options |= _noise(path, key)  # each particle has its own
    return position, _optimizer(path, options).init(position if scalars else _vectors(position))


def _step(
    path: str,
    target: Target,
    key,
    state: Any,
    *,
    noisy: bool = False,
    scalars: bool = True,
    read: str = "",
    **options: Any,
):
    import optax

    # The mean over rows, so that learning rates mean what they mean when a network is trained.
    # Line searches insist that it names the keyword that Sophia asks for.
    def objective(z, obj_fn=None):
        return -target.log_density(z) / target.num_data

    if noisy:
        options |= _noise(path, key)  # unused: each particle's is in its state
    position, inner = state
    loss, gradient = jax.value_and_grad(objective)(position)
    updates, inner = _optimizer(path, options).update(
        gradient if scalars else _vectors(gradient),
        inner,
        position if scalars else _vectors(position),
        value=loss,
        grad=gradient,
        value_fn=objective,
        obj_fn=objective,
    )
    updates = jax.tree.map(lambda update, leaf: update.reshape(leaf.shape), updates, position)
    position = optax.apply_updates(position, updates)
    best = attrgetter(read)(optax)(inner, position) if read else position
    return (position, inner), best, {"loss": loss * target.num_data}


def _gradients(_: Mapping[str, Any]) -> tuple[float, float]:
    return 1, 1


def _sophia_gradients(_: Mapping[str, Any]) -> tuple[float, float]:
    return 1, 3  # a product with the Hessian at some steps


def _lbfgs_gradients(_: Mapping[str, Any]) -> tuple[float, float]:
    return 2, float("inf")  # the line search's


def _row(
    name: str,
    summary: str,
    reference: str,
    *,
    path: str = "",
    gradients: Any = _gradients,
    reserved: tuple[str, ...] = (),
    read: str = "",
    quirks: Mapping[str, bool] = MappingProxyType({}),
    **row: Any,
) -> Algorithm:
    path = path or name
    return Algorithm(
        name=f"optax_{name}",
        family="optimize",
        summary=summary,
        reference=reference,
        requires="",
        module="optax",
        options_of=(f"optax.{path}",),
        reserved=reserved,
        step=partial(_step, path, read=read, **quirks),
        warmup=partial(_init, path, **quirks),
        gradients=gradients,
        **row,
    )


def _rate(learning_rate: float) -> dict[str, Any]:
    return {"learning_rate": learning_rate}


ROWS = (
    _row(
        "adabelief",
        "Adam with the variance about the predicted gradient",
        "Zhuang et al. 2020",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "adadelta",
        "Per-parameter rates from windows of gradients and updates",
        "Zeiler 2012",
        defaults=_rate(1.0),
        test={"num_steps": 4000, "learning_rate": 0.3, "eps": 1e-3},
    ),
    _row(
        "adafactor",
        "Adam with factored second moments, for memory",
        "Shazeer & Stern 2018",
        defaults=_rate(1e-2),
        test={"num_steps": 4000},
    ),
    _row(
        "adagrad",
        "Rates that fall with the sum of squared gradients",
        "Duchi, Hazan & Singer 2011",
        defaults=_rate(1e-1),
        test={"num_steps": 4000, "learning_rate": 0.5},
    ),
    _row(
        "adam",
        "Adaptive moments",
        "Kingma & Ba 2015",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "adamax",
        "Adam with the maximum norm",
        "Kingma & Ba 2015",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "adamw",
        "Adam with decoupled weight decay",
        "Loshchilov & Hutter 2019",
        defaults=_rate(1e-2),
        test={"num_steps": 2000, "weight_decay": 0.0},
    ),
    _row(
        "amsgrad",
        "Adam with second moments that never fall",
        "Reddi, Kale & Kumar 2018",
        defaults=_rate(1e-2),
        test={"num_steps": 4000, "learning_rate": 0.05},
    ),
    _row(
        "fromage",
        "Steps relative to each layer's norm",
        "Bernstein et al. 2020",
        defaults=_rate(1e-2),
        test={"num_steps": 6000, "learning_rate": 2e-3},
    ),
    _row(
        "lamb",
        "Adam with steps relative to each layer's norm, for large batches",
        "You et al. 2020",
        defaults=_rate(1e-2),
        test={"num_steps": 4000, "learning_rate": 2e-3},
    ),
    _row(
        "lbfgs",
        "Limited-memory BFGS with a zoom line search",
        "Liu & Nocedal 1989",
        gradients=_lbfgs_gradients,
        test={"num_steps": 50},
    ),
    _row(
        "lion",
        "The sign of a momentum",
        "Chen et al. 2023",
        defaults=_rate(1e-3),
        test={"num_steps": 6000, "weight_decay": 0.0},
    ),
    _row(
        "muon",
        "Orthogonalised momentum for matrices, Adam for the rest",
        "Jordan et al. 2024",
        path="contrib.muon",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "nadam",
        "Adam with Nesterov's momentum",
        "Dozat 2016",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "noisy_sgd",
        "Gradient descent with Gaussian noise that dies out",
        "Neelakantan et al. 2014",
        reserved=("key", "seed"),
        quirks={"noisy": True},
        defaults=_rate(1e-2),
        test={"num_steps": 2000, "learning_rate": 0.05},
    ),
    _row(
        "novograd",
        "Adam with one second moment a layer",
        "Ginsburg et al. 2019",
        defaults=_rate(1e-2),
        test={"num_steps": 4000},
    ),
    _row(
        "prodigy",
        "Adam that finds its own learning rate",
        "Mishchenko & Defazio 2024",
        path="contrib.prodigy",
        test={"num_steps": 4000},
    ),
    _row(
        "radam",
        "Adam with a rectified start",
        "Liu et al. 2020",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
    _row(
        "rmsprop",
        "Gradients over their running root mean square",
        "Hinton 2012, lecture 6e",
        defaults=_rate(1e-2),
        test={"num_steps": 4000, "learning_rate": 2e-3},
    ),
    _row(
        "schedule_free",
        "AdamW whose average replaces a schedule of the learning rate",
        "Defazio et al. 2024",
        path="contrib.schedule_free_adamw",
        read="contrib.schedule_free_eval_params",
        defaults=_rate(1e-2),
        test={"num_steps": 2000, "learning_rate": 0.05},
    ),
    _row(
        "sgd",
        "Gradient descent, with momentum where asked",
        "Robbins & Monro 1951",
        defaults=_rate(1e-2),
        test={"num_steps": 2000, "momentum": 0.9},
    ),
    _row(
        "sm3",
        "Adagrad with second moments of rows and columns, for memory",
        "Anil et al. 2019",
        quirks={"scalars": False},  # Optax's fails on leaves without an axis
        defaults=_rate(1e-1),
        test={"num_steps": 4000, "learning_rate": 0.5},
    ),
    _row(
        "sophia",
        "Clipped steps with an estimated diagonal of the Hessian",
        "Liu et al. 2024",
        path="contrib.sophia",
        gradients=_sophia_gradients,
        defaults=_rate(1e-3),
        test={"num_steps": 4000, "weight_decay": 0.0, "learning_rate": 5e-3},
    ),
    _row(
        "yogi",
        "Adam with second moments that change slowly",
        "Zaheer et al. 2018",
        defaults=_rate(1e-2),
        test={"num_steps": 2000},
    ),
)
