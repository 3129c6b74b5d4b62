"""How bayeux spells its calls: names of methods, keywords and defaults, by backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


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
NAMES: dict[str, dict[str, tuple[str, Dialect]]] = {
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
