"""bayeux's debugger: its nine steps, texts and marks, with checks that work."""

from __future__ import annotations

import pprint
import random
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_SIZES = ("num_chains", "num_particles", "batch_size", "chains")


class _Marks:
    """The mark of a step that passed or failed; drawn at random if `engaged`."""

    def __init__(self):
        """Start with the plain marks."""
        self.engaged = False
        self._marks = {True: "✓👍🐶🌈🚀💪🎉🙌", False: "×❌👎💀"}

    def __call__(self, passed: bool) -> str:
        """The mark for one outcome."""
        marks = self._marks[passed]
        return random.choice(marks) if self.engaged else marks[0]


FunMode = _Marks()


def _finite(tree: Any) -> bool:
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(tree))


def _nan(tree: Any) -> bool:
    return any(bool(np.isnan(np.asarray(leaf)).any()) for leaf in jax.tree.leaves(tree))


class _State:
    """The values that the steps check, computed on first use."""

    def __init__(self, method: Any, seed: Any, kwargs: Mapping[str, Any], verbosity: int):
        """Store the arguments."""
        self.method, self.seed, self.verbosity = method, seed, verbosity
        self.given = kwargs

    def shown(self, tree: Any, name: str) -> str:
        """The shapes of a tree, or its values at verbosity 4 and above."""
        if self.verbosity == 3:
            return f"{name} has shape\n{jax.tree.map(jnp.shape, tree)!r}"
        return f"{name} is\n{tree!r}"

    @cached_property
    def kwargs(self) -> Any:
        """The keywords of the call, by callable."""
        return self.method.get_kwargs(**self.given)

    @property
    def number(self) -> int:
        """The number of chains, particles or fits."""
        sizes = [part[name] for part in self.kwargs.values() for name in _SIZES if name in part]
        return next(iter(sizes), 8)

    @cached_property
    def test_density(self) -> Any:
        """The log density at the test point."""
        return jnp.asarray(self.method.log_density(self.method.test_point))

    @cached_property
    def start(self) -> Any:
        """Initial states, constrained."""
        return self.method.get_initial_state(self.seed, num_chains=self.number)

    @cached_property
    def start_density(self) -> Any:
        """The log density at the initial states."""
        return jax.vmap(self.method.log_density)(self.start)

    @cached_property
    def position(self) -> Any:
        """Initial states, unconstrained."""
        return jax.vmap(self.method.target.transform.inverse)(self.start)

    @cached_property
    def position_density(self) -> Any:
        """The unconstrained density at the initial states."""
        return jax.vmap(self.method.target.log_density)(self.position)

    @cached_property
    def gradient(self) -> Any:
        """The gradient of that density, at the initial states."""
        return jax.vmap(jax.grad(self.method.target.log_density))(self.position)


def _test_point(state: _State) -> tuple[bool, str]:
    return True, state.shown(state.method.test_point, "Test point")


def _test_density(state: _State) -> tuple[bool, str]:
    value = state.test_density
    return value.shape == () and _finite(value), f"Test point has log density\n{value!r}"


def _kwargs(state: _State) -> tuple[bool, str]:
    return True, f"Keyword arguments are\n{pprint.pformat(state.kwargs)}"


def _start(state: _State) -> tuple[bool, str]:
    return True, state.shown(state.start, "Initial state")


def _start_nan(state: _State) -> tuple[bool, str]:
    if _nan(state.start):
        return False, state.shown(state.start, "Initial state has nans!")
    return True, "No nans detected!"


def _start_density(state: _State) -> tuple[bool, str]:
    value = state.start_density
    if value.shape == (state.number,) and _finite(value):
        return True, state.shown(value, "Initial state log density")
    return False, f"Initial state has log density\n{value!r}"


def _position(state: _State) -> tuple[bool, str]:
    if _nan(state.position):
        return False, (
            "Some points are NaN. Check `model.inverse_transform_fn`, which is automatically "
            "generated where it is not given, and should map from the support of the log density "
            "to R^n. Maybe the opposite direction transform was provided?"
        )
    return True, state.shown(state.position, "Transformed state")


def _position_density(state: _State) -> tuple[bool, str]:
    value = state.position_density
    passed = value.shape == (state.number,) and _finite(value)
    return passed, state.shown(value, "Transformed state log density")


def _gradient(state: _State) -> tuple[bool, str]:
    if _finite(state.gradient):
        return True, state.shown(state.gradient, "Initial gradient")
    shown = state.shown(state.gradient, "Initial gradients")
    return False, f"The gradient contains NaNs! {shown}"


_STEPS: tuple[tuple[str, Callable[[_State], tuple[bool, str]]], ...] = (
    ("Checking test_point shape", _test_point),
    ("Computing test point log density", _test_density),
    ("Loading keyword arguments...", _kwargs),
    ("Checking it is possible to compute an initial state", _start),
    ("Checking initial state is has no NaN", _start_nan),
    ("Computing initial state log density", _start_density),
    ("Transforming model to R^n", _position),
    ("Computing transformed state log density shape", _position_density),
    ("Computing gradients of transformed log density", _gradient),
)


class _Writer:
    """Prints marks, lines or messages, depending on the verbosity."""

    def __init__(self, printer: Callable[..., Any], verbosity: int):
        """Store the printer and the verbosity."""
        self.printer, self.verbosity = printer, verbosity

    def begin(self, description: str) -> None:
        """Print what the step does."""
        if self.verbosity >= 2:
            self.printer(description, end=" ", sep=" ")

    def mark(self, passed: bool, text: str = "") -> None:
        """Print whether the step passed."""
        if self.verbosity >= 3:
            self.printer(FunMode(passed), text, end="\n", sep=" ")
        elif self.verbosity > 0:
            self.printer(FunMode(passed), "", end=" ", sep="")

    def note(self, text: str) -> None:
        """Print what the step found."""
        if self.verbosity >= 3:
            self.printer(text, end="\n", sep=" ")

    def end(self, passed: bool) -> None:
        """Print the separator after a step."""
        if self.verbosity == 2:
            self.printer("", end="\n", sep=" ")
        elif self.verbosity >= 3:
            self.printer("".join(FunMode(passed) for _ in range(10)) + "\n", end="\n", sep=" ")


def debug(
    method: Any,
    seed: Any,
    verbosity: int,
    printer: Callable[..., Any],
    kwargs: Mapping[str, Any] | None,
    catch_exceptions: bool,
) -> bool:
    """Run all nine steps and return whether all of them passed."""
    state, writer = _State(method, seed, kwargs or {}, verbosity), _Writer(printer, verbosity)
    results = []
    for description, step in _STEPS:
        writer.begin(description)
        try:
            passed, message = step(state)
        except Exception as error:  # a user's function may raise anything
            passed = False
            writer.mark(False, f"Unexpected error!\n{error!r}")
            if not catch_exceptions:
                raise
            writer.note("Run with `catch_exceptions=False` to raise the full exception")
        else:
            writer.mark(passed)
            writer.note(message)
        writer.end(passed)
        results.append(passed)
    return all(results)
