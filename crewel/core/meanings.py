"""What the numeric options of backends mean, so that a value that makes no sense is refused.

Backends take a step size of -1 or NaN, and fail later with an error of their own, or not at all.
Only options whose meaning is the same wherever they occur are here.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from crewel.core.text import count


class Meaning(NamedTuple):
    """The values that an option can have.

    Attributes:
        text: the values in words, after "must be".
        low: the least value, which itself is allowed only if `whole`.
        high: the greatest value, also allowed only if `whole`.
        whole: whether it is an integer.
    """

    text: str
    low: float
    high: float
    whole: bool = False

    def fits(self, value: Any) -> bool:
        """Whether every number in `value` fits."""
        array = np.asarray(value)
        if self.whole:
            whole = array.dtype.kind in "iu"
            return whole and bool(((array >= self.low) & (array <= self.high)).all())
        if array.dtype.kind not in "iuf":
            return False
        return bool(((array > self.low) & (array < self.high)).all())


POSITIVE = Meaning("a positive, finite number", 0.0, float("inf"))
PROBABILITY = Meaning("a number between 0 and 1", 0.0, 1.0)
COUNT = Meaning("an integer of at least 1", 1, float("inf"), whole=True)
DEPTH = Meaning("an integer from 1 to 15: a tree has up to 2**depth - 1 steps", 1, 15, True)

MEANINGS: Mapping[str, Meaning] = {
    **dict.fromkeys(
        (
            *("step_size", "initial_step_size", "hmc_step_size", "mala_step_size"),
            *("step_size_stoch", "learning_rate", "trajectory_length", "init_scale"),
            *("desired_energy_var", "divergence_threshold", "energy_gap"),
            *("desired_energy_var_start", "desired_energy_var_end", "decoherence_steps"),
        ),
        POSITIVE,
    ),
    **dict.fromkeys(
        ("target_accept_prob", "target_acceptance_rate", "target_accept", "target", "target_ess"),
        PROBABILITY,
    ),
    **dict.fromkeys(
        (
            *("num_integration_steps", "num_leapfrog_steps", "hmc_n_leapfrog", "num_particles"),
            *("num_samples", "sample_size", "num_mcmc_steps", "num_blocks", "num_folds"),
            *("num_flows", "rank", "max_rank", "history_length", "history_size", "memory_size"),
            *("n_epochs", "n_layers", "n_hidden", "num_partitions", "max_leapfrog_steps"),
            *("num_steps", "num_inner_steps", "num_delete", "ns_steps"),
        ),
        COUNT,
    ),
    **dict.fromkeys(("max_tree_depth", "max_num_doublings", "maxdepth"), DEPTH),
}

# What other libraries call our settings.
FOREIGN: Mapping[str, str] = {
    **dict.fromkeys(("num_samples", "draws", "samples", "num_results", "n_samples"), "num_draws"),
    **dict.fromkeys(("n_chains", "chains", "nchains"), "num_chains"),
    **dict.fromkeys(
        ("tune", "burn_in", "burnin", "warmup", "warmup_steps", "num_burnin_steps", "n_tune"),
        "num_warmup",
    ),
    **dict.fromkeys(("thin", "num_steps_between_results"), "thinning"),
    **dict.fromkeys(("n_steps", "num_iters", "max_steps", "iterations", "epochs"), "num_steps"),
    **dict.fromkeys(("n_particles", "ensemble_size", "n_members"), "num_particles"),
    **dict.fromkeys(("init_params", "initial_state", "initvals", "initial_position"), "init"),
    **dict.fromkeys(("progress_bar", "progressbar"), "progress"),
    **dict.fromkeys(("random_state", "random_seed", "rng_key", "key"), "seed"),
}


def is_integer(value: Any) -> bool:
    """Whether it counts something: an integer of any library, but not a boolean.

    Examples:
        >>> is_integer(3), is_integer(3.0), is_integer(True)
        (True, False, False)
    """
    return hasattr(value, "__index__") and not isinstance(value, bool | np.bool_)


def check_index(**indices: tuple[int, int]) -> None:
    """Refuse indices that are out of range; JAX would take the nearest instead.

    Args:
        indices: each index of a posterior by name, with the number that there are.

    Raises:
        IndexError: one is out of range.
    """
    for name, (index, number) in indices.items():
        if not -number <= index < number:
            raise IndexError(f"`{name}` is {index}, but the posterior has {count(number, name)}.")


def check(options: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Refuse options whose values make no sense.

    Values that are not numbers or arrays of them (schedules, `None`) are left to the row.

    Args:
        options: the options of a call.
        defaults: the row's own defaults; where one is a word such as `"auto"`, it is allowed.

    Raises:
        TypeError: a string where a number belongs.
        ValueError: a number that makes no sense; says which would.
    """
    for name, value in options.items():
        meaning = MEANINGS.get(name)
        if meaning is None or value is None or callable(value):
            continue
        word = defaults.get(name)
        if isinstance(value, str) and value == word:
            continue
        text = meaning.text + (f", a schedule or {word!r}" if isinstance(word, str) else "")
        if isinstance(value, str | bool | np.bool_):
            raise TypeError(f"`{name}` must be {text}, got {value!r}.")
        leaves = jax.tree.leaves(value)
        if not all(
            isinstance(leaf, int | float | np.number | np.ndarray | jax.Array) for leaf in leaves
        ):
            continue
        if not all(meaning.fits(leaf) for leaf in leaves):
            raise ValueError(f"`{name}` must be {text}, got {value!r}.")


RATES = ("learning_rate", "lr")  # where they are not options, an optimizer is


def hint(name: str, known: Iterable[str]) -> str:
    """What an unknown keyword was probably meant to be; begins with a space, or is empty.

    Examples:
        >>> hint("num_samples", ["num_draws", "num_warmup"])
        ' Did you mean `num_draws`?'
    """
    known = list(known)
    for optimizer in ("optim", "optimizer"):
        if name in RATES and optimizer in known:
            return (
                f" The learning rate belongs to the optimizer: `{optimizer}=optax.adam(1e-3)`, for "
                "example."
            )
    meant = FOREIGN.get(name)
    if meant in known or meant == "seed":
        return f" Did you mean `{meant}`?"
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""


def require_arguments_of(debug: Callable[..., Any], kwargs: Mapping[str, Any], name: str) -> None:
    """Refuse keywords that `debug` does not have: those of a call go into its `kwargs`.

    Args:
        debug: the function.
        kwargs: the keywords.
        name: the algorithm, for the message.

    Raises:
        TypeError: there is another keyword.
    """
    own = inspect.signature(debug).parameters
    if others := {key: value for key, value in kwargs.items() if key not in own}:
        raise TypeError(
            f"`debug` has no argument `{next(iter(others))}`. The keywords of a call go into "
            f"`kwargs`: `{name}.debug(seed, kwargs={others!r})`."
        )
