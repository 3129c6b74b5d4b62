"""bayeux's methods: its names, keywords and defaults, translated to Crewel's algorithms."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax

from crewel.adapters import ALGORITHMS
from crewel.compat.bayeux import debug as debugging
from crewel.compat.bayeux import initialization
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


@dataclass(frozen=True)
class Dialect:
    """How bayeux names and presets the keywords of a backend.

    Attributes:
        renamed: our setting or the backend's option for each keyword of bayeux's that differs.
        defaults: bayeux's defaults, by bayeux's keywords.
        sizes_of: the callable under which `get_kwargs` lists numbers of chains and draws; if
            empty, they are extra parameters.
        counted: converts the keywords of a call that count in other units than ours.
    """

    renamed: Mapping[str, str]
    defaults: Mapping[str, Any]
    sizes_of: str = ""
    counted: Callable[[dict[str, Any]], dict[str, Any]] = dict


def _thinned(known: dict[str, Any]) -> dict[str, Any]:
    """NumPyro counts the samples that it then thins."""
    return known | {"num_samples": known["num_samples"] // known["thinning"]}


def _loops(known: dict[str, Any]) -> dict[str, Any]:
    """FlowMC counts loops of local and global steps, each of which is a draw."""
    length = known["n_local_steps"] + known["n_global_steps"]
    return known | {name: known[name] * length for name in ("n_loop_training", "n_loop_production")}


_SAMPLER = {"num_chains": 8, "return_pytree": False}
_BLACKJAX = Dialect(
    {"num_adapt_draws": "num_warmup", "progress_bar": "progress"},
    _SAMPLER
    | {"num_draws": 500, "num_adapt_draws": 500, "chain_method": "vectorized"}
    | {"progress_bar": False},
)
_FLOWMC = Dialect(
    {"n_chains": "num_chains", "n_loop_training": "num_warmup", "n_loop_production": "num_draws"},
    {"n_chains": 20, "n_loop_training": 5, "n_loop_production": 5}
    | {"n_local_steps": 50, "n_global_steps": 50, "return_pytree": False},
    counted=_loops,
)
_NUMPYRO = Dialect(
    {"num_samples": "num_draws", "progress_bar": "progress"},
    _SAMPLER
    | {"num_warmup": 500, "num_samples": 1000, "thinning": 1}
    | {"chain_method": "vectorized", "progress_bar": True},
    sizes_of="numpyro.infer.MCMC",
    counted=_thinned,
)
_NUTPIE = Dialect(
    {"draws": "num_draws", "tune": "num_warmup", "chains": "num_chains"}
    | {"progress_bar": "progress"},
    {"draws": 1000, "tune": 300, "chains": 8, "progress_bar": True, "return_pytree": False},
)
_SNAPER = Dialect(
    {"num_results": "num_draws", "num_burnin_steps": "num_warmup"},
    _SAMPLER | {"num_results": 1000, "num_burnin_steps": 1000},
)


def _tfp(**defaults: Any) -> Dialect:
    sizes = {"num_draws": 1000, "num_adaptation_steps": 500, "step_size": 0.5}
    return Dialect({"num_adaptation_steps": "num_warmup"}, _SAMPLER | sizes | defaults)


def _optimizer(*, steps: str = "num_iters", num_steps: int = 1000, **defaults: Any) -> Dialect:
    sizes = {"num_particles": 8, "chain_method": "vectorized", "apply_transform": True}
    return Dialect({steps: "num_steps"}, sizes | {steps: num_steps} | defaults)


_OPTIMISTIX = _optimizer(steps="max_steps", num_steps=256, rtol=1e-5, atol=1e-5)
_JAXOPT, _QUICK, _SLOW = (
    _optimizer(),
    _optimizer(learning_rate=0.1),
    _optimizer(learning_rate=1e-4),
)
_VI = Dialect(
    {"batch_size": "num_chains"},
    {"batch_size": 16, "num_steps": 2000, "chain_method": "vectorized"},
)

# Names of methods and of their classes, in bayeux's order.
_NAMES: dict[str, dict[str, tuple[str, Dialect]]] = {
    "mcmc": {
        "tfp_hmc": ("HMC_TFP", _tfp(num_leapfrog_steps=8, target_accept_prob=0.6)),
        "tfp_nuts": ("NUTS_TFP", _tfp(target_accept_prob=0.8)),
        "tfp_snaper_hmc": ("SNAPER_HMC_TFP", _SNAPER),
        "blackjax_hmc": ("HMCblackjax", _BLACKJAX),
        "blackjax_chees_hmc": ("CheesHMCblackjax", _BLACKJAX),
        "blackjax_meads_hmc": ("MeadsHMCblackjax", _BLACKJAX),
        "blackjax_nuts": ("NUTSblackjax", _BLACKJAX),
        "blackjax_hmc_pathfinder": ("HMC_Pathfinder_blackjax", _BLACKJAX),
        "blackjax_nuts_pathfinder": ("NUTS_Pathfinder_blackjax", _BLACKJAX),
        "flowmc_rqspline_hmc": ("MaskedCouplingRQSplineHMCflowmc", _FLOWMC),
        "flowmc_rqspline_mala": ("MaskedCouplingRQSplineMALAflowmc", _FLOWMC),
        "flowmc_realnvp_hmc": ("RealNVPHMCflowmc", _FLOWMC),
        "flowmc_realnvp_mala": ("RealNVPMALAflowmc", _FLOWMC),
        "numpyro_hmc": ("HMCnumpyro", _NUMPYRO),
        "numpyro_nuts": ("NUTSnumpyro", _NUMPYRO),
        "nutpie": ("NutpieSampler", _NUTPIE),
    },
    "optimize": {
        "jaxopt_bfgs": ("BFGS", _JAXOPT),
        "jaxopt_gradient_descent": ("GradientDescent", _JAXOPT),
        "jaxopt_lbfgs": ("LBFGS", _JAXOPT),
        "jaxopt_nonlinear_cg": ("NonlinearCG", _JAXOPT),
        "optax_schedule_free": ("ScheduleFree", _QUICK),
        "optax_adabelief": ("AdaBelief", _QUICK),
        "optax_adafactor": ("Adafactor", _optimizer(learning_rate=1e-4, decay_rate=0.9)),
        "optax_adagrad": ("Adagrad", _QUICK),
        "optax_adam": ("Adam", _QUICK),
        "optax_adamw": ("Adamw", _QUICK),
        "optax_adamax": ("Adamax", _QUICK),
        "optax_amsgrad": ("Amsgrad", _QUICK),
        "optax_fromage": ("Fromage", _SLOW),
        "optax_lamb": ("Lamb", _SLOW),
        "optax_lion": ("Lion", _SLOW),
        "optax_noisy_sgd": ("NoisySgd", _SLOW),
        "optax_novograd": ("Novograd", _SLOW),
        "optax_radam": ("Radam", _SLOW),
        "optax_rmsprop": ("Rmsprop", _SLOW),
        "optax_sgd": ("Sgd", _SLOW),
        "optax_sm3": ("Sm3", _QUICK),
        "optax_yogi": ("Yogi", _QUICK),
        "optimistix_bfgs": ("optimistix_BFGS", _OPTIMISTIX),
        "optimistix_nelder_mead": ("NelderMead", _OPTIMISTIX),
        "optimistix_nonlinear_cg": ("optimistix_NonlinearCG", _OPTIMISTIX),
    },
    "vi": {"tfp_factored_surrogate_posterior": ("TFPFactored", _VI)},
}


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
    for name, (class_name, dialect) in _NAMES[family].items():
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
