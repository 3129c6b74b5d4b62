"""Optax's optimizers. A particle is a chain whose step is one update; the last one is kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from crewel.core.families import OPTIMIZE
from crewel.core.protocol import Algorithm, Backend, Key, Options, Position, PyTree, State, Target

BACKEND = Backend("optax", "optax")


def _optimizer(path: str, options: Options) -> Any:
    import optax

    return optax.with_extra_args_support(attrgetter(path)(optax)(**options))


def _noise(path: str, key: Key) -> dict[str, Any]:
    import optax

    if "key" in inspect.signature(attrgetter(path)(optax)).parameters:
        return {"key": key}
    return {"seed": jax.random.randint(key, (), 0, 2**31 - 1)}  # before Optax 0.2.5


def _vectors(tree: PyTree) -> Any:
    return jax.tree.map(jnp.atleast_1d, tree)


def _init(
    path: str,
    target: Target,
    key: Key,
    position: Position,
    num_warmup: int,
    *,
    noisy: bool = False,
    scalars: bool = True,
    **options: Any,
) -> State:
    if noisy:
        options |= _noise(path, key)  # separate for each particle
    return position, _optimizer(path, options).init(position if scalars else _vectors(position))


def _step(
    path: str,
    target: Target,
    key: Key,
    state: State,
    *,
    noisy: bool = False,
    scalars: bool = True,
    read: str = "",
    **options: Any,
):
    import optax

    # The mean over rows, so that learning rates have the same scale as in ordinary training.
    # Line searches require the objective to name `obj_fn`, the keyword that Sophia needs.
    def objective(z: Position, obj_fn: Any = None) -> jax.Array:
        return -target.log_density(z) / target.num_data

    if noisy:
        options |= _noise(path, key)  # unused: each particle's key is in its state
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


def _row(
    name: str,
    summary: str,
    reference: str,
    steps: int,
    *,
    rate: float | None = 1e-2,
    budget: Mapping[str, float] = MappingProxyType({}),
    path: str = "",
    read: str = "",
    quirks: Mapping[str, bool] = MappingProxyType({}),
    **row: Any,
) -> Algorithm:
    """A row; `rate` is the default learning rate, `steps` and `budget` are for its test."""
    path, shared = path or name, dict[str, Any](gradients=(1, 1))
    return Algorithm(
        name=f"optax_{name}",
        family=OPTIMIZE,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"optax.{path}",),
        step=partial(_step, path, read=read, **quirks),
        warmup=partial(_init, path, **quirks),
        defaults={} if rate is None else {"learning_rate": rate},
        test_budget={"num_steps": steps} | dict(budget),
        **(shared | row),
    )


# fmt: off
ROWS = (
    _row(
        "adabelief", "Adam with the variance around the predicted gradient",
        "Zhuang et al. 2020", 2000,
    ),
    _row(
        "adadelta", "Per-parameter learning rates from windows of gradients and updates",
        "Zeiler 2012", 4000,
        rate=1.0,
        budget={"learning_rate": 0.3, "eps": 0.001},
    ),
    _row(
        "adafactor", "Adam with factored second moments, to save memory",
        "Shazeer & Stern 2018", 4000,
    ),
    _row(
        "adagrad", "Learning rates that fall with the sum of squared gradients",
        "Duchi, Hazan & Singer 2011", 4000,
        rate=0.1,
        budget={"learning_rate": 0.5},
    ),
    _row("adam", "Adaptive moment estimation", "Kingma & Ba 2015", 2000),
    _row("adamax", "Adam with the maximum norm", "Kingma & Ba 2015", 2000),
    _row(
        "adamw", "Adam with decoupled weight decay", "Loshchilov & Hutter 2019", 2000,
        budget={"weight_decay": 0.0},
    ),
    _row(
        "amsgrad", "Adam with second moments that never fall", "Reddi, Kale & Kumar 2018", 4000,
        budget={"learning_rate": 0.05},
    ),
    _row(
        "fromage", "Steps relative to each layer's norm", "Bernstein et al. 2020", 6000,
        budget={"learning_rate": 0.002},
    ),
    _row(
        "lamb", "Adam with steps relative to each layer's norm, for large batches",
        "You et al. 2020", 4000,
        budget={"learning_rate": 0.002},
    ),
    _row(
        "lbfgs", "Limited-memory BFGS with a zoom line search", "Liu & Nocedal 1989", 50,
        rate=None,
        gradients=(2, float("inf")),  # the line search may take any number
    ),
    _row(
        "lion", "Steps in the direction of the momentum's sign", "Chen et al. 2023", 6000,
        rate=0.001,
        budget={"weight_decay": 0.0},
    ),
    _row(
        "muon", "Orthogonalized momentum for matrices, Adam for the rest",
        "Jordan et al. 2024", 2000,
        path="contrib.muon",
    ),
    _row("nadam", "Adam with Nesterov's momentum", "Dozat 2016", 2000),
    _row(
        "noisy_sgd", "Gradient descent with Gaussian noise that decays",
        "Neelakantan et al. 2014", 2000,
        budget={"learning_rate": 0.05},
        filled_by_row=("key", "seed"),
        quirks={"noisy": True},
    ),
    _row("novograd", "Adam with one second moment per layer", "Ginsburg et al. 2019", 4000),
    _row(
        "prodigy", "Adam that finds its own learning rate", "Mishchenko & Defazio 2024", 4000,
        path="contrib.prodigy",
        rate=None,
    ),
    _row("radam", "Adam with a rectified start", "Liu et al. 2020", 2000),
    _row(
        "rmsprop", "Gradients divided by their running root mean square",
        "Hinton 2012, lecture 6e", 4000,
        budget={"learning_rate": 0.002},
    ),
    _row(
        "schedule_free", "AdamW with averaging in place of a learning-rate schedule",
        "Defazio et al. 2024", 2000,
        path="contrib.schedule_free_adamw",
        budget={"learning_rate": 0.05},
        read="contrib.schedule_free_eval_params",
    ),
    _row(
        "sgd", "Gradient descent with optional momentum", "Robbins & Monro 1951", 2000,
        budget={"momentum": 0.9},
    ),
    _row(
        "sm3", "Adagrad with second moments per row and column, to save memory",
        "Anil et al. 2019", 4000,
        rate=0.1,
        budget={"learning_rate": 0.5},
        quirks={"scalars": False},  # Optax's SM3 fails on leaves without an axis
    ),
    _row(
        "sophia", "Clipped steps with an estimated diagonal of the Hessian",
        "Liu et al. 2024", 4000,
        path="contrib.sophia",
        rate=0.001,
        budget={"weight_decay": 0.0, "learning_rate": 0.005},
        gradients=(1, 3),  # some steps take a product with the Hessian
    ),
    _row("yogi", "Adam with second moments that change slowly", "Zaheer et al. 2018", 2000),
)
# fmt: on
