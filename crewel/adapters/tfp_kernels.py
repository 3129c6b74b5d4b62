"""TFP's transition kernels as the rows of `crewel.adapters.tfp` need them: each adapts itself.

Dual averaging tunes the step size; windows of doubling length estimate the mass matrix. All
numbers that the adaptation needs are in a kernel's results, so a kernel can be rebuilt anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import Options

ADAPTATION = ("target_accept_prob", "exploration_shrinkage", "step_count_smoothing", "decay_rate")
DIVERGENT = 1000.0  # error in the energy, as in TFP's NUTS

Density = Callable[[jax.Array], jax.Array]


class Engine(NamedTuple):
    """How a row's kernel is made.

    Attributes:
        make: `(density, z, num_warmup, options) -> kernel`.
        stats: kernel results to statistics.
        restart: `(results, z, length, estimates) -> results`, at the start of a window, or `None`
            where the kernel's adaptation has no windows.
        chains: whether `z` is `(chain, dim)`, all chains at once, rather than `(dim,)`.
        vary: `(results, key, options) -> results` before each transition, or `None`.
    """

    make: Callable[..., Any]
    stats: Callable[[Any], dict[str, jax.Array]]
    restart: Callable[..., Any] | None = None
    chains: bool = False
    vary: Callable[..., Any] | None = None


def seed(key: jax.Array) -> jax.Array:
    """A key of JAX's default kind, the kind that TFP uses."""
    shape = jax.random.key_data(jax.random.key(0)).shape
    return jax.random.wrap_key_data(jax.random.bits(key, shape, "uint32"))


def windows(num_warmup: int) -> np.ndarray:
    """Ends of a warm-up's windows, in steps.

    The first tenth only finds the typical set. Windows of doubling length follow, each with its
    own estimate of the variances. The last fifth adapts the step size alone.

    Examples:
        >>> windows(1000).tolist()
        [100, 200, 400, 800, 1000]
    """
    ends = (num_warmup * np.array([0.1, 0.2, 0.4, 0.8, 1.0])).astype(int)
    return np.unique(ends[ends > 0])


def _split(options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    """The kernel's options and those of dual averaging."""
    kernel = {k: v for k, v in options.items() if k not in ADAPTATION}
    return kernel, {k: v for k, v in options.items() if k in ADAPTATION}


def _averaging(kernel: Any, num_warmup: int, options: Options) -> Any:
    from tensorflow_probability.substrates.jax import mcmc

    return mcmc.DualAveragingStepSizeAdaptation(kernel, num_adaptation_steps=num_warmup, **options)


def _variance(z: jax.Array) -> Any:
    """A running variance with Stan's prior: five draws at `z` with a variance of 1e-3."""
    from tensorflow_probability.substrates.jax.experimental import stats

    count = jnp.asarray(5.0, z.dtype)
    return stats.RunningVariance.from_stats(count, z, jnp.full_like(z, 1e-3))


def _preconditioned(
    kind: str, density: Density, z: jax.Array, num_warmup: int, options: Options
) -> Any:
    from tensorflow_probability.substrates.jax.experimental import mcmc

    own, adaptation = _split(options)
    own["step_size"] = jnp.asarray(own["step_size"], z.dtype)
    kernel = _averaging(getattr(mcmc, kind)(density, **own), num_warmup, adaptation)
    return mcmc.DiagonalMassMatrixAdaptation(kernel, _variance(z), num_estimation_steps=-1)


def nuts(density: Density, z: jax.Array, num_warmup: int, options: Options) -> Any:
    """NUTS with a diagonal mass matrix."""
    return _preconditioned("PreconditionedNoUTurnSampler", density, z, num_warmup, options)


def hmc(density: Density, z: jax.Array, num_warmup: int, options: Options) -> Any:
    """HMC with a diagonal mass matrix."""
    return _preconditioned("PreconditionedHamiltonianMonteCarlo", density, z, num_warmup, options)


def lengths(mean: int) -> tuple[int, int]:
    """The least and the greatest number of leapfrog steps of a trajectory of varying length."""
    return mean - mean // 2, mean + mean // 2


def _vary_length(results: Any, key: jax.Array, options: Options) -> Any:
    """Results of `hmc` with another number of leapfrog steps for the next transition.

    With a fixed number, a trajectory may be a whole number of periods, and the chain returns to
    where it was (Neal 2011, section 3.2).
    """
    least, most = lengths(options["num_leapfrog_steps"])
    averaging = results.inner_results
    metropolis = averaging.inner_results
    accepted = metropolis.accepted_results
    steps = jax.random.randint(key, (), least, most + 1, accepted.num_leapfrog_steps.dtype)
    metropolis = metropolis._replace(accepted_results=accepted._replace(num_leapfrog_steps=steps))
    return results._replace(inner_results=averaging._replace(inner_results=metropolis))


def restart(results: Any, z: jax.Array, length: jax.Array, estimates: jax.Array) -> Any:
    """Results of a preconditioned kernel at the start of a window of `length` steps.

    `estimates` says whether the window's variances become the mass matrix at its end.
    """
    averaging = results.inner_results
    averaging = averaging._replace(
        error_sum=jax.tree.map(jnp.zeros_like, averaging.error_sum),
        log_averaging_step=jax.tree.map(jnp.zeros_like, averaging.log_averaging_step),
        log_shrinkage_target=[jnp.log(10 * averaging.new_step_size)],  # as TFP does at first
        num_adaptation_steps=length,
        step=jnp.zeros_like(averaging.step),
    )
    return results._replace(
        inner_results=averaging,
        running_variance=[_variance(z)],
        num_estimation_steps=jnp.where(estimates, length, -1),
        step=jnp.zeros_like(results.step),
    )


class _LangevinResults(NamedTuple):
    """Results of `_Langevin`: TFP's, and two step sizes that TFP does not keep.

    Attributes:
        inner_results: TFP's results.
        step_size: the step size of the next step, where dual averaging reads and sets it.
        of_drift: the step size that TFP's stored drift was computed with.
    """

    inner_results: Any
    step_size: jax.Array
    of_drift: jax.Array


class _Langevin(NamedTuple):
    """TFP's MALA as a kernel whose step size can change between steps."""

    density: Density
    step_size: jax.Array
    options: Options

    def kernel(self, step_size: jax.Array) -> Any:
        """TFP's kernel."""
        from tensorflow_probability.substrates.jax import mcmc

        return mcmc.MetropolisAdjustedLangevinAlgorithm(self.density, step_size, **self.options)

    def bootstrap_results(self, z: jax.Array) -> _LangevinResults:
        """Results before the first step."""
        inner = self.kernel(self.step_size).bootstrap_results(z)
        return _LangevinResults(inner, self.step_size, self.step_size)

    def one_step(self, z: jax.Array, results: _LangevinResults, seed: jax.Array) -> Any:
        """One step with the step size that `results` hold."""
        step_size, scale = results.step_size, results.step_size / results.of_drift
        accepted = results.inner_results.accepted_results
        drift = jax.tree.map(lambda leaf: scale * leaf, accepted.diffusion_drift)
        accepted = accepted._replace(diffusion_drift=drift)
        inner = results.inner_results._replace(accepted_results=accepted)
        z, inner = self.kernel(step_size).one_step(z, inner, seed=seed)
        return z, _LangevinResults(inner, step_size, step_size)


def mala(density: Density, z: jax.Array, num_warmup: int, options: Options) -> Any:
    """MALA."""
    own, adaptation = _split(options)
    step_size = jnp.asarray(own.pop("step_size"), z.dtype)
    return _averaging(_Langevin(density, step_size, own), num_warmup, adaptation)


def snaper(density: Density, z: jax.Array, num_warmup: int, options: Options) -> Any:
    """SNAPER-HMC; `z` is `(chain, dim)`."""
    from tensorflow_probability.substrates.jax.experimental import mcmc

    own, adaptation = _split(options)
    own["step_size"] = jnp.asarray(own["step_size"], z.dtype)
    kernel = mcmc.SNAPERHamiltonianMonteCarlo(density, num_adaptation_steps=num_warmup, **own)
    return _averaging(kernel, num_warmup, adaptation)


def replicas(density: Density, z: jax.Array, num_warmup: int, options: Options) -> Any:
    """Replica exchange of HMC chains, with a separate step size for each temperature."""
    from tensorflow_probability.substrates.jax import mcmc

    own, adaptation = _split(options)
    ladder = jnp.asarray(own.pop("inverse_temperatures"), z.dtype)
    step_size = own.pop("step_size") / jnp.sqrt(ladder)[:, None]
    steps = own.pop("num_leapfrog_steps")

    def make(tempered: Density) -> Any:
        kernel = mcmc.HamiltonianMonteCarlo(tempered, step_size, steps)
        return _averaging(kernel, num_warmup, adaptation)

    return mcmc.ReplicaExchangeMC(density, ladder, make, **own)


def _acceptance(log_ratio: jax.Array) -> jax.Array:
    return jnp.exp(jnp.minimum(log_ratio, 0.0))


def _stats_of_hmc(results: Any) -> dict[str, jax.Array]:
    accepted = results.accepted_results
    return {
        "lp": accepted.target_log_prob,
        "acceptance_rate": _acceptance(results.log_accept_ratio),
        "step_size": accepted.step_size,
        "n_steps": results.proposed_results.num_leapfrog_steps,
        "diverging": ~(results.log_accept_ratio > -DIVERGENT),
    }


def _hmc_stats(results: Any) -> dict[str, jax.Array]:
    return _stats_of_hmc(results.inner_results.inner_results)


def _nuts_stats(results: Any) -> dict[str, jax.Array]:
    inner = results.inner_results.inner_results
    return {
        "lp": inner.target_log_prob,
        "energy": -inner.energy,
        "acceptance_rate": _acceptance(inner.log_accept_ratio),
        "step_size": inner.step_size,
        "n_steps": inner.leapfrogs_taken,
        "diverging": inner.has_divergence,
    }


def _mala_stats(results: Any) -> dict[str, jax.Array]:
    inner = results.inner_results.inner_results
    return {
        "lp": inner.accepted_results.target_log_prob,
        "acceptance_rate": _acceptance(inner.log_accept_ratio),
        "step_size": results.inner_results.step_size,
    }


def _snaper_stats(results: Any) -> dict[str, jax.Array]:
    stats = _stats_of_hmc(results.inner_results.inner_results.inner_results)
    return {k: jnp.broadcast_to(v, stats["lp"].shape) for k, v in stats.items()}  # the same for all


def _replica_stats(results: Any) -> dict[str, jax.Array]:
    # The statistics of the replica at temperature one; the swap may change its log density.
    stats = _stats_of_hmc(results.pre_swap_replica_results.inner_results)
    stats["step_size"] = stats["step_size"][:, 0]
    stats["n_steps"] = jnp.broadcast_to(stats["n_steps"], stats["lp"].shape)
    swapped = results.post_swap_replica_results.inner_results.accepted_results.target_log_prob
    return {k: v[0] for k, v in stats.items()} | {"lp": swapped[0]}


NUTS = Engine(nuts, _nuts_stats, restart)
HMC = Engine(hmc, _hmc_stats, restart, vary=_vary_length)
MALA = Engine(mala, _mala_stats)
SNAPER = Engine(snaper, _snaper_stats, chains=True)
REPLICAS = Engine(replicas, _replica_stats)
