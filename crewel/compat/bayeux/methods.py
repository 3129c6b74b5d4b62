"""bayeux's methods: its names, keywords and defaults, translated to Crewel's algorithms."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax

from crewel.adapters import ALGORITHMS
from crewel.compat.bayeux import debug as debugging
from crewel.compat.bayeux import initialization
from crewel.compat.bayeux.dialects import NAMES, Dialect
from crewel.core.backends import resolve
from crewel.core.keys import as_key
from crewel.core.options import backend_options, settings_of
from crewel.core.protocol import Algorithm, Key, Params, Seed, State, Target
from crewel.posterior import arviz
from crewel.run import driver


class OptimizerResults(NamedTuple):
    """The result of an optimizer, which unpacks into three parts.

    Attributes:
        params: leaves `(particle, ...)`.
        state: the optimizer's own state.
        loss: `(particle, step)`.
    """

    params: Any
    state: Any
    loss: Any


@dataclass(repr=False)
class Method:
    """One method on one model: `model.mcmc.numpyro_nuts(seed=jax.random.key(0))`."""

    log_density: Any
    test_point: Any
    transform_fn: Any
    inverse_transform_fn: Any
    inverse_log_det_jacobian: Any
    initial_state: Any
    made: Any = field(repr=False, default=None)  # apply_transform -> crewel.Model

    name: ClassVar[str] = ""
    row: ClassVar[Algorithm]
    dialect: ClassVar[Dialect] = Dialect({}, {})

    @property
    def target(self) -> Target:
        """The unconstrained density that this method works on."""
        return self.made(True).target(jacobian=not isinstance(self, Optimizer))

    def constrained_log_density(self) -> Any:
        """The log density as a function of an unconstrained point."""
        return self.target.log_density

    def get_initial_state(self, key: Any, num_chains: int = 8) -> Any:
        """Constrained points, leaves `(num_chains, ...)`."""
        if self.initial_state is not None:
            return self.initial_state
        transform = self.target.transform
        return initialization.uniform(
            test_point=self.test_point,
            inverse_transform_fn=transform.inverse,
            transform_fn=transform.forward,
            num_points=num_chains,
            key=key,
        )

    def get_kwargs(self, **kwargs: Any) -> dict[Any, dict[str, Any]]:
        """The keywords of a call, by the callable that takes them: defaults updated by `kwargs`."""
        given = self._known(kwargs)
        defaults = {**self.row.defaults, **self.dialect.defaults, **given}
        found: dict[Any, dict[str, Any]] = {}
        for dotted in filter(None, (*self.row.option_sources, self.dialect.sizes_of)):
            function = resolve(dotted)
            parameters = inspect.signature(function).parameters.values()
            found[function] = {
                p.name: defaults.get(p.name, p.default)
                for p in parameters
                if p.name not in self.row.filled_by_row
                and (p.default is not p.empty or p.name in defaults)
            }
        shown = {name for part in found.values() for name in part}
        found["extra_parameters"] = {k: v for k, v in defaults.items() if k not in shown}
        return found

    def debug(
        self,
        seed: Seed,
        verbosity: int = 2,
        catch_exceptions: bool = True,
        printer: Any = print,
        kwargs: Mapping[str, Any] | None = None,
    ) -> bool:
        """Run bayeux's nine steps and return whether all of them passed."""
        return debugging.debug(self, seed, verbosity, printer, kwargs, catch_exceptions)

    def _known(self, kwargs: Mapping[str, Any], stacklevel: int = 3) -> dict[str, Any]:
        """Return the keywords that this method uses; warn about each of the others."""
        names = {
            *self.dialect.defaults,
            *self.dialect.renamed,
            *settings_of(self.row),
            *backend_options(self.row),
        }
        for name in kwargs.keys() - names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            warnings.warn(f"`{self.name}` does not use `{name}`.{hint}", stacklevel=stacklevel)
        return {name: value for name, value in kwargs.items() if name in names}

    def _call(self, seed: Seed, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Run the call; return the posterior and the keywords that only bayeux has."""
        known = {**self.dialect.defaults, **self._known(kwargs, stacklevel=5)}
        own = {k: known.pop(k) for k in ("return_pytree", "apply_transform") if k in known}
        known = self.dialect.counted(known)
        accepted = {*settings_of(self.row), *backend_options(self.row)}
        call = {self.dialect.renamed.get(name, name): value for name, value in known.items()}
        call = {name: value for name, value in call.items() if name in accepted}
        model = self.made(own.get("apply_transform", True))
        return driver.run(model, self.row, seed, **{"progress": False, **call}), own


class Sampler(Method):
    """A method of `model.mcmc`."""

    def __call__(self, seed: Seed, **kwargs: Any) -> Any:
        """Draw samples, as an ArviZ object or (`return_pytree=True`) as a pytree of parameters.

        Leaves of the pytree are `(chain, draw, ...)`, but `(draw, chain, ...)` for the `tfp_`
        methods, as in bayeux.
        """
        post, own = self._call(seed, kwargs)
        if own["return_pytree"]:
            if self.name.startswith("tfp_"):
                return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), post.draws)
            return post.draws
        groups = arviz.posterior_groups(post.draws, post.stats)
        if list(groups["posterior"]) == ["value"]:
            groups["posterior"] = {"var0": groups["posterior"]["value"]}
        return arviz.to_datatree(groups, dims={})


class Optimizer(Method):
    """A method of `model.optimize`."""

    def __call__(self, seed: Seed, **kwargs: Any) -> OptimizerResults:
        """Return the particles, the optimizer's state and the loss of every step."""
        post, _ = self._call(seed, kwargs)
        params = jax.tree.map(lambda leaf: leaf[:, 0], post.draws)
        return OptimizerResults(params, post.state, post.losses)


class Surrogate:
    """A fitted distribution to sample from, with a batch axis of independent fits."""

    def __init__(self, post: Any, row: Algorithm):
        """Store the fits."""
        self._post, self._row = post, row
        self.batch_shape = (post.num_chains,)

    def sample(self, sample_shape: int | tuple[int, ...] = (), seed: Seed = 0) -> Any:
        """Constrained draws, leaves `(*sample_shape, fit, ...)`."""
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        post, target = self._post, self._post.call.target
        options = post.call.options

        def draw(key: Key, state: State) -> Params:
            position = self._row.step(target, key, state, **options)[1]  # type: ignore[misc]
            return target.constrain(position)

        keys = jax.random.split(as_key(seed), (math.prod(shape), post.num_chains))
        made = jax.vmap(jax.vmap(draw), in_axes=(0, None))(keys, post.state)
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), made)


class Fit(Method):
    """A method of `model.vi`."""

    def __call__(self, seed: Seed, **kwargs: Any) -> tuple[Any, Any]:
        """Return the fitted distribution, with a batch axis of fits, and the loss `(fit, step)`."""
        post, _ = self._call(seed, kwargs)
        return Surrogate(post, self.row), post.losses


def _methods(family: str, base: type[Method]) -> dict[str, type[Method]]:
    """The classes of a family whose backend is installed, by bayeux's class names."""
    found: dict[str, type[Method]] = {}
    for name, (class_name, dialect) in NAMES[family].items():
        row = ALGORITHMS[name] if name in ALGORITHMS else None
        if row is not None and importlib.util.find_spec(row.backend.package) is not None:
            found[class_name] = type(
                class_name, (base,), {"name": name, "row": row, "dialect": dialect}
            )
    return found


METHODS = {
    "mcmc": _methods("mcmc", Sampler),
    "optimize": _methods("optimize", Optimizer),
    "vi": _methods("vi", Fit),
}
