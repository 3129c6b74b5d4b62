"""Written by `make stubs` from `ALGORITHMS` and the backends. Do not edit."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from crewel.checks.report import DebugReport
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Algorithm, Data, Family, Params, PyTree, Seed
from crewel.posterior.posterior import Posterior
from crewel.run.reduce import Reducer

Init = Posterior | str | PyTree | None
ChainMethod = Literal["auto", "parallel", "vectorized", "sequential"]

class _Bound:
    """An algorithm on one model."""

    model: ModelLike
    row: Algorithm
    def __init__(self, model: ModelLike, row: Algorithm) -> None: ...
    @property
    def name(self) -> str:
        """The algorithm's name."""

    @property
    def __signature__(self) -> inspect.Signature: ...
    def options(self) -> dict[str, Any]:
        """Every keyword that a call takes, with its default."""

    def description(self) -> str:
        """The text that `help` shows."""

    def debug(
        self,
        seed: Seed = 0,
        *,
        verbosity: int = 2,
        printer: Callable[..., Any] = ...,
        kwargs: Mapping[str, Any] | None = None,
        catch_exceptions: bool = True,
    ) -> DebugReport:
        """Check the model and the call that is about to be made."""

class Method(_Bound):
    """An algorithm of another package or your own, on one model."""

    def __call__(self, seed: Seed = 0, **kwargs: Any) -> Posterior: ...

class Namespace:
    """The algorithms of one family on one model."""

    def __init__(self, model: ModelLike, family: Family) -> None: ...
    def __call__(self, row: Algorithm) -> Method: ...
    def __iter__(self) -> Iterator[Method]: ...
    def __dir__(self) -> list[str]: ...

class _BlackjaxNuts(_Bound):
    """No-U-Turn sampler with Stan's window adaptation."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        is_mass_matrix_diagonal: Any = True,
        initial_inverse_mass_matrix: Any = None,
        imm_shrinkage_to_previous: Any = 0.0,
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        integrator: Any = ...,
        max_num_doublings: Any = 10,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """No-U-Turn sampler with Stan's window adaptation.

        Hoffman & Gelman 2014; Betancourt 2017; Phan, Pradhan & Jankowiak 2019
        """

class _BlackjaxHmc(_Bound):
    """Hamiltonian Monte Carlo with a fixed number of leapfrog steps."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        is_mass_matrix_diagonal: Any = True,
        initial_inverse_mass_matrix: Any = None,
        imm_shrinkage_to_previous: Any = 0.0,
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        integrator: Any = ...,
        num_integration_steps: Any = 16,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """Hamiltonian Monte Carlo with a fixed number of leapfrog steps.

        Duane et al. 1987; Neal 2011
        """

class _BlackjaxDynamicHmc(_Bound):
    """Hamiltonian Monte Carlo with a random number of leapfrog steps, 1 to 9 by default."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        is_mass_matrix_diagonal: Any = True,
        initial_inverse_mass_matrix: Any = None,
        imm_shrinkage_to_previous: Any = 0.0,
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        integrator: Any = ...,
        divergence_threshold: Any = 1000,
        integration_steps_fn: Any = ...,
        integration_steps_params: Any = (),
    ) -> Posterior:
        """Hamiltonian Monte Carlo with a random number of leapfrog steps, 1 to 9 by default.

        Mackenzie 1989; Neal 2011
        """

class _BlackjaxNutsLowRank(_Bound):
    """No-U-Turn sampler with a diagonal plus low-rank metric from draws and gradients."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        max_rank: Any = 10,
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        gamma: Any = 1e-05,
        cutoff: Any = 2.0,
        integrator: Any = ...,
        gradient_based_init: Any = False,
        schedule_fn: Any = ...,
        buffer_policy: Any = "reset",
        recompute_every: Any = 1,
        max_num_doublings: Any = 10,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """No-U-Turn sampler with a diagonal plus low-rank metric from draws and gradients.

        Seyboldt, Carlson & Carpenter 2026
        """

class _BlackjaxNutsPathfinder(_Bound):
    """No-U-Turn sampler that starts from Pathfinder and uses its dense metric."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_paths: Any = None,
        num_samples_per_path: Any = 200,
        psis_imm_n_samples: Any = 2000,
        imm_estimator: Any = "lbfgs_psis_mixture",
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        max_num_doublings: Any = 10,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """No-U-Turn sampler that starts from Pathfinder and uses its dense metric.

        Zhang, Carpenter, Gelman & Vehtari 2022
        """

class _BlackjaxHmcPathfinder(_Bound):
    """Hamiltonian Monte Carlo that starts from Pathfinder and uses its dense metric."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_paths: Any = None,
        num_samples_per_path: Any = 200,
        psis_imm_n_samples: Any = 2000,
        imm_estimator: Any = "lbfgs_psis_mixture",
        initial_step_size: Any = 1.0,
        target_acceptance_rate: Any = 0.8,
        num_integration_steps: Any = 16,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """Hamiltonian Monte Carlo that starts from Pathfinder and uses its dense metric.

        Zhang, Carpenter, Gelman & Vehtari 2022
        """

class _BlackjaxSgldCv(_Bound):
    """SGLD with control variates, centered on the mode that Adam finds in the warm-up."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        step_size: Any = "auto",
        temperature: Any = 1.0,
        learning_rate: Any = 0.01,
    ) -> Posterior:
        """SGLD with control variates, centered on the mode that Adam finds in the warm-up.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size.

        Baker, Fearnhead, Fox & Nemeth 2019
        """

class _BlackjaxCyclicalSgld(_Bound):
    """SGLD in cycles of long steps that explore and short steps that sample."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        step_size: Any = "auto",
        temperature: Any = 1.0,
        cycle_length: Any = 500,
        exploration: Any = 0.8,
    ) -> Posterior:
        """SGLD in cycles of long steps that explore and short steps that sample.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size.

        Zhang, Li, Zhang, Chen & Wilson 2020
        """

class _BlackjaxCyclicalSghmc(_Bound):
    """SGHMC in cycles of long steps that explore and short steps that sample."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        num_integration_steps: Any = 10,
        alpha: Any = 0.01,
        beta: Any = 0,
        step_size: Any = "auto",
        temperature: Any = 1.0,
        cycle_length: Any = 500,
        exploration: Any = 0.8,
    ) -> Posterior:
        """SGHMC in cycles of long steps that explore and short steps that sample.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size.

        Zhang, Li, Zhang, Chen & Wilson 2020
        """

class _BlackjaxCheesHmc(_Bound):
    """HMC with a trajectory length tuned across all chains; for many chains, on GPUs."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 32,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        jitter_generator: Any = None,
        jitter_amount: Any = 1.0,
        target_acceptance_rate: Any = 0.651,
        decay_rate: Any = 0.5,
        max_leapfrog_steps: Any = 1000,
        mass_matrix_estimation: Any = None,
        mass_matrix_window_fraction: Any = 0.5,
        step_size: Any = 0.1,
        optim: Any = None,
    ) -> Posterior:
        """HMC with a trajectory length tuned across all chains; for many chains, on GPUs.

        Hoffman, Radul & Sountsov 2021
        """

class _BlackjaxMeadsHmc(_Bound):
    """Generalized HMC in which folds of chains tune each other; for many chains, on GPUs."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 64,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        num_folds: Any = 4,
        step_size_multiplier: Any = 0.5,
        damping_slowdown: Any = 1.0,
        low_rank_rank: Any = None,
        low_rank_window_fraction: Any = 0.5,
    ) -> Posterior:
        """Generalized HMC in which folds of chains tune each other; for many chains, on GPUs.

        Hoffman & Sountsov 2022
        """

class _BlackjaxMala(_Bound):
    """Metropolis-adjusted Langevin algorithm with the same step size for every parameter."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.1,
        target: Any = 0.574,
        t0: Any = 10,
        gamma: Any = 0.05,
        kappa: Any = 0.75,
    ) -> Posterior:
        """Metropolis-adjusted Langevin algorithm with the same step size for every parameter.

        Roberts & Tweedie 1996; Roberts & Rosenthal 1998
        """

class _BlackjaxBarker(_Bound):
    """Barker proposal, skewed by the gradient, robust to a poor step size."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.1,
        target: Any = 0.57,
        t0: Any = 10,
        gamma: Any = 0.05,
        kappa: Any = 0.75,
    ) -> Posterior:
        """Barker proposal, skewed by the gradient, robust to a poor step size.

        Livingstone & Zanella 2022; Vogrinc, Livingstone & Zanella 2023
        """

class _BlackjaxGhmc(_Bound):
    """Generalized HMC: one leapfrog step with a partial refreshment of the momentum."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.1,
        alpha: Any = 0.4,
        delta: Any = 0.2,
        divergence_threshold: Any = 1000,
        noise_fn: Any = ...,
        target: Any = 0.9,
        t0: Any = 10,
        gamma: Any = 0.05,
        kappa: Any = 0.75,
    ) -> Posterior:
        """Generalized HMC: one leapfrog step with a partial refreshment of the momentum.

        Horowitz 1991; Neal 2020; Hoffman & Sountsov 2022
        """

class _BlackjaxMclmc(_Bound):
    """Unadjusted microcanonical Langevin Monte Carlo, two gradients per step."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        frac_tune1: Any = 0.3,
        frac_tune2: Any = 0.3,
        frac_tune3: Any = 0.3,
        desired_energy_var: Any = 0.0005,
        trust_in_estimate: Any = 1.5,
        num_effective_samples: Any = 150,
        diagonal_preconditioning: Any = True,
        l_factor: Any = 0.4,
    ) -> Posterior:
        """Unadjusted microcanonical Langevin Monte Carlo, two gradients per step.

        No accept step: the step size leaves a bias, kept small by tuning the energy error.

        Robnik, De Luca, Silverstein & Seljak 2023
        """

class _BlackjaxAdjustedMclmc(_Bound):
    """Microcanonical Hamiltonian Monte Carlo with an accept step and random lengths."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        target: Any = 0.65,
        frac_tune1: Any = 0.4,
        frac_tune2: Any = 0.2,
        frac_tune3: Any = 0.0,
        diagonal_preconditioning: Any = True,
        max: Any = "avg",
        num_windows: Any = 1,
        tuning_factor: Any = 1.3,
        target_num_integration_steps: Any = 2.0,
        divergence_threshold: Any = 1000,
    ) -> Posterior:
        """Microcanonical Hamiltonian Monte Carlo with an accept step and random lengths.

        Robnik, Cohn-Gordon & Seljak 2025
        """

class _BlackjaxNestedSlice(_Bound):
    """Nested slice sampling for multimodal posteriors; estimates the evidence."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 500,
        num_draws: int = 1,
        thinning: int = 1,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init: Init = "prior",
        num_inner_steps: Any = None,
        num_delete: Any = None,
        max_steps: Any = 10,
        max_shrinkage: Any = 100,
        proposal: Any = ...,
        inner_kernel_params: Any = None,
        update_strategy: Any = ...,
    ) -> Posterior:
        """Nested slice sampling for multimodal posteriors; estimates the evidence.

        Skilling 2006; Yallup, Kroupa & Handley 2026
        """

class _BlackjaxSgld(_Bound):
    """Stochastic-gradient Langevin dynamics."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        step_size: Any = "auto",
        temperature: Any = 1.0,
    ) -> Posterior:
        """Stochastic-gradient Langevin dynamics.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size.

        Welling & Teh 2011
        """

class _BlackjaxSghmc(_Bound):
    """Stochastic-gradient Hamiltonian Monte Carlo with a new momentum at each step."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        num_integration_steps: Any = 10,
        alpha: Any = 0.01,
        beta: Any = 0,
        step_size: Any = "auto",
        temperature: Any = 1.0,
    ) -> Posterior:
        """Stochastic-gradient Hamiltonian Monte Carlo with a new momentum at each step.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size.

        Chen, Fox & Guestrin 2014
        """

class _BlackjaxSgnht(_Bound):
    """Stochastic-gradient Nosé-Hoover thermostat."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        alpha: Any = 0.01,
        beta: Any = 0.0,
        step_size: Any = "auto",
        temperature: Any = 1.0,
    ) -> Posterior:
        """Stochastic-gradient Nosé-Hoover thermostat.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size; directions with different noise settle at different temperatures.

        Ding et al. 2014
        """

class _BlackjaxCsgld(_Bound):
    """Contour SGLD: flattens the density to cross between modes; draws have a `log_weight`."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        zeta: Any = 1.0,
        num_partitions: Any = 512,
        energy_gap: Any = 100.0,
        min_energy: Any = 0.0,
        step_size: Any = "auto",
        temperature: Any = 1.0,
        step_size_stoch: Any = 0.001,
    ) -> Posterior:
        """Contour SGLD: flattens the density to cross between modes; draws have a `log_weight`.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size; draws come from the flattened density, see `Posterior.resampled`.

        Deng, Lin & Liang 2020
        """

class _BlackjaxSlice(_Bound):
    """Slice sampling of one coordinate after another, without gradients or tuning."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        max_expansions: Any = 10,
        initial_widths: Any = 1.0,
        interval: Any = ...,
        coordinate_order: Any = ...,
        axis_proposal: Any = ...,
        max_shrinkage: Any = 100,
    ) -> Posterior:
        """Slice sampling of one coordinate after another, without gradients or tuning.

        Neal 2003
        """

class _BlackjaxEllipticalSlice(_Bound):
    """Elliptical slice sampling under a Gaussian prior, without gradients or tuning."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
    ) -> Posterior:
        """Elliptical slice sampling under a Gaussian prior, without gradients or tuning.

        Murray, Adams & MacKay 2010
        """

class _BlackjaxTemperedSmc(_Bound):
    """Sequential Monte Carlo for multimodal posteriors; estimates the evidence."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 1000,
        num_draws: int = 1,
        thinning: int = 1,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init: Init = "prior",
        resampling_fn: Any = None,
        target_ess: Any = 0.9,
        root_solver: Any = ...,
        num_mcmc_steps: Any = 5,
        batch_size: Any = 0,
        step_size: Any = 0.3,
        num_integration_steps: Any = 5,
    ) -> Posterior:
        """Sequential Monte Carlo for multimodal posteriors; estimates the evidence.

        Del Moral, Doucet & Jasra 2006; Buchholz, Chopin & Jacob 2021
        """

class _BlackjaxMeanfieldVi(_Bound):
    """Mean-field Gaussian, fitted by the sticking-the-landing gradient of the ELBO."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        optimizer: Any = None,
        num_samples: Any = 100,
        objective: Any = ...,
        stl_estimator: Any = True,
    ) -> Posterior:
        """Mean-field Gaussian, fitted by the sticking-the-landing gradient of the ELBO.

        A Gaussian without correlations is too narrow where the posterior is correlated.

        Kucukelbir et al. 2017; Roeder, Wu & Duvenaud 2017
        """

class _BlackjaxFullrankVi(_Bound):
    """Full-rank Gaussian, fitted by the sticking-the-landing gradient of the ELBO."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        optimizer: Any = None,
        num_samples: Any = 20,
        objective: Any = ...,
        stl_estimator: Any = True,
    ) -> Posterior:
        """Full-rank Gaussian, fitted by the sticking-the-landing gradient of the ELBO.

        A Gaussian has light tails and no skewness.

        Kucukelbir et al. 2017; Roeder, Wu & Duvenaud 2017
        """

class _BlackjaxPathfinder(_Bound):
    """Pathfinder: the Gaussian with the highest ELBO along an L-BFGS path."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        num_samples: Any = 200,
        maxiter: Any = 30,
        maxcor: Any = 10,
        maxls: Any = 1000,
        gtol: Any = 1e-08,
        ftol: Any = 1e-05,
    ) -> Posterior:
        """Pathfinder: the Gaussian with the highest ELBO along an L-BFGS path.

        A Gaussian whose covariance is L-BFGS's estimate after a few steps.

        Zhang, Carpenter, Gelman & Vehtari 2022
        """

class _BlackjaxMultipathfinder(_Bound):
    """Pathfinder with one path per chain; draws are resampled by importance (PSIS)."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 8,
        num_draws: int = 1000,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        num_samples: Any = 200,
        maxiter: Any = 30,
        maxcor: Any = 10,
        maxls: Any = 1000,
        gtol: Any = 1e-08,
        ftol: Any = 1e-05,
    ) -> Posterior:
        """Pathfinder with one path per chain; draws are resampled by importance (PSIS).

        A finite pool of draws, `num_samples` per path, resampled with replacement.

        Zhang, Carpenter, Gelman & Vehtari 2022
        """

class _BlackjaxSvgd(_Bound):
    """Stein variational gradient descent: chains are particles that repel each other."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 100,
        num_steps: int = 2000,
        num_draws: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        optimizer: Any = None,
        kernel: Any = ...,
        update_kernel_parameters: Any = ...,
    ) -> Posterior:
        """Stein variational gradient descent: chains are particles that repel each other.

        A finite set of particles, whose spread is too small in high dimensions.

        Liu & Wang 2016
        """

class _CrewelPsgld(_Bound):
    """SGLD with RMSprop's preconditioner: a separate step size for each parameter."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        decay: Any = 0.99,
        damping: Any = 1e-05,
        step_size: Any = "auto",
        temperature: Any = 1.0,
    ) -> Posterior:
        """SGLD with RMSprop's preconditioner: a separate step size for each parameter.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size; the term for the changing preconditioner is omitted, as in the paper.

        Li, Chen, Carlson & Carin 2016
        """

class _CrewelAdjustedMclmc(_Bound):
    """Microcanonical Monte Carlo with an accept step and the same robust warm-up."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        target_acceptance_rate: Any = 0.9,
        diagonal_preconditioning: Any = True,
    ) -> Posterior:
        """Microcanonical Monte Carlo with an accept step and the same robust warm-up.

        Robnik, Cohn-Gordon & Seljak 2025
        """

class _CrewelMclmc(_Bound):
    """Microcanonical Langevin Monte Carlo with a robust warm-up, two gradients per step."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        desired_energy_var_start: Any = 0.5,
        desired_energy_var_end: Any = 0.1,
        diagonal_preconditioning: Any = False,
    ) -> Posterior:
        """Microcanonical Langevin Monte Carlo with a robust warm-up, two gradients per step.

        No accept step: on Gaussians of equal scales, variances are 2 % too small at an energy variance of 5e-4 and 10 % at 0.1; of unequal scales, the narrowest are too large.

        Robnik, De Luca, Silverstein & Seljak 2023; Sommer et al. 2025
        """

class _CrewelSgmclmc(_Bound):
    """Stochastic-gradient microcanonical Langevin, scaled by the gradient's noise."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        replacement: bool = False,
        batches: Iterable[Data] | None = None,
        num_data: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        damping: Any = 0.01,
        step_size: Any = "auto",
        temperature: Any = 1.0,
        decoherence_steps: Any = 10.0,
    ) -> Posterior:
        """Stochastic-gradient microcanonical Langevin, scaled by the gradient's noise.

        No accept step, and a noisy gradient: both leave a bias that vanishes with the step size; noise that is not the same in all directions heats some of them.

        Sommer, Diao, Robnik, Seljak & Rügamer 2025
        """

class _FlowmcRqsplineHmc(_Bound):
    """Global jumps proposed by a spline flow, local steps by HMC."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 20,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_local_steps: Any = 50,
        n_global_steps: Any = 50,
        n_epochs: Any = 30,
        hmc_step_size: Any = 0.1,
        hmc_n_leapfrog: Any = 10,
        condition_matrix: Any = 1,
        adapt_step_size: Any = True,
        adapt_step_size_per_dim: Any = True,
        rq_spline_hidden_units: Any = (32, 32),
        rq_spline_n_bins: Any = 8,
        rq_spline_n_layers: Any = 4,
        n_NFproposal_batch_size: Any = 10000,
        learning_rate: Any = 0.01,
        batch_size: Any = 10000,
        n_max_examples: Any = 10000,
        history_window: Any = 100,
        chain_batch_size: Any = 0,
        early_stopping: Any = False,
        early_stopping_tolerance: Any = 0.05,
        early_stopping_patience: Any = 3,
        early_stopping_min_acceptance: Any = 0.1,
    ) -> Posterior:
        """Global jumps proposed by a spline flow, local steps by HMC.

        Gabrié, Rotskoff & Vanden-Eijnden 2022; Wong, Gabrié & Foreman-Mackey 2023
        """

class _FlowmcRqsplineMala(_Bound):
    """Global jumps proposed by a spline flow, local steps by MALA."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 20,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_local_steps: Any = 50,
        n_global_steps: Any = 50,
        n_epochs: Any = 30,
        mala_step_size: Any = 0.1,
        adapt_step_size: Any = True,
        adapt_step_size_per_dim: Any = True,
        rq_spline_hidden_units: Any = (32, 32),
        rq_spline_n_bins: Any = 8,
        rq_spline_n_layers: Any = 4,
        n_NFproposal_batch_size: Any = 10000,
        learning_rate: Any = 0.01,
        batch_size: Any = 10000,
        n_max_examples: Any = 10000,
        history_window: Any = 100,
        chain_batch_size: Any = 0,
        early_stopping: Any = False,
        early_stopping_tolerance: Any = 0.05,
        early_stopping_patience: Any = 3,
        early_stopping_min_acceptance: Any = 0.1,
    ) -> Posterior:
        """Global jumps proposed by a spline flow, local steps by MALA.

        Gabrié, Rotskoff & Vanden-Eijnden 2022; Wong, Gabrié & Foreman-Mackey 2023
        """

class _FlowmcRealnvpHmc(_Bound):
    """Global jumps proposed by RealNVP, local steps by HMC."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 20,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_local_steps: Any = 50,
        n_global_steps: Any = 50,
        n_epochs: Any = 30,
        hmc_step_size: Any = 0.1,
        hmc_n_leapfrog: Any = 10,
        condition_matrix: Any = 1,
        adapt_step_size: Any = True,
        adapt_step_size_per_dim: Any = True,
        n_NFproposal_batch_size: Any = 10000,
        learning_rate: Any = 0.01,
        batch_size: Any = 10000,
        n_max_examples: Any = 10000,
        history_window: Any = 100,
        chain_batch_size: Any = 0,
        early_stopping: Any = False,
        early_stopping_tolerance: Any = 0.05,
        early_stopping_patience: Any = 3,
        early_stopping_min_acceptance: Any = 0.1,
        n_layers: Any = 10,
        n_hidden: Any = 100,
    ) -> Posterior:
        """Global jumps proposed by RealNVP, local steps by HMC.

        Gabrié, Rotskoff & Vanden-Eijnden 2022; Wong, Gabrié & Foreman-Mackey 2023
        """

class _FlowmcRealnvpMala(_Bound):
    """Global jumps proposed by RealNVP, local steps by MALA."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 20,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        n_local_steps: Any = 50,
        n_global_steps: Any = 50,
        n_epochs: Any = 30,
        mala_step_size: Any = 0.1,
        adapt_step_size: Any = True,
        adapt_step_size_per_dim: Any = True,
        n_NFproposal_batch_size: Any = 10000,
        learning_rate: Any = 0.01,
        batch_size: Any = 10000,
        n_max_examples: Any = 10000,
        history_window: Any = 100,
        chain_batch_size: Any = 0,
        early_stopping: Any = False,
        early_stopping_tolerance: Any = 0.05,
        early_stopping_patience: Any = 3,
        early_stopping_min_acceptance: Any = 0.1,
        n_layers: Any = 10,
        n_hidden: Any = 100,
    ) -> Posterior:
        """Global jumps proposed by RealNVP, local steps by MALA.

        Gabrié, Rotskoff & Vanden-Eijnden 2022; Wong, Gabrié & Foreman-Mackey 2023
        """

class _JaxoptBfgs(_Bound):
    """BFGS with a dense inverse Hessian and a zoom line search."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        tol: Any = 0.001,
        stepsize: Any = 0.0,
        linesearch: Any = "zoom",
        linesearch_init: Any = "increase",
        condition: Any = None,
        maxls: Any = 30,
        decrease_factor: Any = None,
        increase_factor: Any = 1.5,
        max_stepsize: Any = 1.0,
        min_stepsize: Any = 1e-06,
    ) -> Posterior:
        """BFGS with a dense inverse Hessian and a zoom line search.

        Nocedal & Wright 2006, chapter 6
        """

class _JaxoptGradientDescent(_Bound):
    """Accelerated gradient descent with a line search."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        prox: Any = ...,
        stepsize: Any = 0.0,
        maxls: Any = 15,
        tol: Any = 0.001,
        acceleration: Any = True,
        decrease_factor: Any = 0.5,
    ) -> Posterior:
        """Accelerated gradient descent with a line search.

        Beck & Teboulle 2009
        """

class _JaxoptLbfgs(_Bound):
    """Limited-memory BFGS with a zoom line search."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        tol: Any = 0.001,
        stepsize: Any = 0.0,
        linesearch: Any = "zoom",
        linesearch_init: Any = "increase",
        stop_if_linesearch_fails: Any = False,
        condition: Any = None,
        maxls: Any = 30,
        decrease_factor: Any = None,
        increase_factor: Any = 1.5,
        max_stepsize: Any = 1.0,
        min_stepsize: Any = 1e-06,
        history_size: Any = 10,
        use_gamma: Any = True,
    ) -> Posterior:
        """Limited-memory BFGS with a zoom line search.

        Liu & Nocedal 1989
        """

class _JaxoptNonlinearCg(_Bound):
    """Conjugate gradients with a zoom line search."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        tol: Any = 0.001,
        method: Any = "polak-ribiere",
        linesearch: Any = "zoom",
        linesearch_init: Any = "increase",
        condition: Any = None,
        maxls: Any = 30,
        decrease_factor: Any = None,
        increase_factor: Any = 1.2,
        max_stepsize: Any = 1.0,
        min_stepsize: Any = 1e-06,
    ) -> Posterior:
        """Conjugate gradients with a zoom line search.

        Nocedal & Wright 2006, chapter 5
        """

class _NumpyroNuts(_Bound):
    """No-U-Turn sampler with iterative trees and a diagonal or dense mass matrix."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: Any = True,
        adapt_mass_matrix: Any = True,
        dense_mass: Any = False,
        target_accept_prob: Any = 0.8,
        trajectory_length: Any = None,
        max_tree_depth: Any = 10,
        find_heuristic_step_size: Any = False,
        forward_mode_differentiation: Any = False,
        regularize_mass_matrix: Any = True,
    ) -> Posterior:
        """No-U-Turn sampler with iterative trees and a diagonal or dense mass matrix.

        Hoffman & Gelman 2014; Phan, Pradhan & Jankowiak 2019
        """

class _NumpyroHmc(_Bound):
    """Hamiltonian Monte Carlo with a fixed trajectory length."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: Any = True,
        adapt_mass_matrix: Any = True,
        dense_mass: Any = False,
        target_accept_prob: Any = 0.8,
        num_steps: Any = None,
        trajectory_length: Any = 6.283185307179586,
        find_heuristic_step_size: Any = False,
        forward_mode_differentiation: Any = False,
        regularize_mass_matrix: Any = True,
    ) -> Posterior:
        """Hamiltonian Monte Carlo with a fixed trajectory length.

        Duane et al. 1987; Neal 2011
        """

class _NumpyroBarker(_Bound):
    """Barker proposal, skewed by the gradient, robust to a poor step size."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 1.0,
        adapt_step_size: Any = True,
        adapt_mass_matrix: Any = True,
        dense_mass: Any = False,
        target_accept_prob: Any = 0.4,
    ) -> Posterior:
        """Barker proposal, skewed by the gradient, robust to a poor step size.

        Livingstone & Zanella 2022
        """

class _NumpyroSa(_Bound):
    """Sample-adaptive MCMC, without gradients, for few parameters."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        adapt_state_size: Any = None,
        dense_mass: Any = True,
    ) -> Posterior:
        """Sample-adaptive MCMC, without gradients, for few parameters.

        Zhu 2019
        """

class _NumpyroAies(_Bound):
    """Affine-invariant ensemble of chains, without gradients, for few parameters."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 64,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        randomize_split: Any = False,
        moves: Any = None,
    ) -> Posterior:
        """Affine-invariant ensemble of chains, without gradients, for few parameters.

        Goodman & Weare 2010; ter Braak 2006; Foreman-Mackey et al. 2013
        """

class _NumpyroEss(_Bound):
    """Ensemble slice sampler, without gradients, for few parameters."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 64,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        randomize_split: Any = False,
        moves: Any = None,
        max_steps: Any = 10000,
        max_iter: Any = 10000,
        init_mu: Any = 1.0,
        tune_mu: Any = True,
    ) -> Posterior:
        """Ensemble slice sampler, without gradients, for few parameters.

        Karamanis & Beutler 2021
        """

class _NumpyroHmcecs(_Bound):
    """HMC on a batch whose blocks are resampled with an accept step."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        batch_size: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        reduce: Reducer | Literal["mean"] | None = None,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        num_blocks: Any = 1,
        degree: Any = 2,
        step_size: Any = 1.0,
        inverse_mass_matrix: Any = None,
        adapt_step_size: Any = True,
        adapt_mass_matrix: Any = True,
        dense_mass: Any = False,
        target_accept_prob: Any = 0.8,
        num_steps: Any = None,
        trajectory_length: Any = 1.5,
        find_heuristic_step_size: Any = False,
        forward_mode_differentiation: Any = False,
        regularize_mass_matrix: Any = True,
    ) -> Posterior:
        """HMC on a batch whose blocks are resampled with an accept step.

        The batch's estimate of the likelihood is unbiased only where the remainder of the Taylor expansion is normally distributed.

        Dang, Quiroz, Kohn, Tran & Villani 2019
        """

class _NumpyroAutoNormal(_Bound):
    """Mean-field Gaussian, fitted by the evidence lower bound (ADVI)."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init_scale: Any = 0.1,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Mean-field Gaussian, fitted by the evidence lower bound (ADVI).

        A Gaussian without correlations is too narrow where the posterior is correlated.

        Kucukelbir, Tran, Ranganath, Gelman & Blei 2017
        """

class _NumpyroAutoDiagonal(_Bound):
    """Mean-field Gaussian over the whole position as one vector."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init_scale: Any = 0.1,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Mean-field Gaussian over the whole position as one vector.

        A Gaussian without correlations is too narrow where the posterior is correlated.

        Kucukelbir, Tran, Ranganath, Gelman & Blei 2017
        """

class _NumpyroAutoMultivariate(_Bound):
    """Full-rank Gaussian, fitted by the evidence lower bound (full-rank ADVI)."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init_scale: Any = 1.0,
        optim: Any = None,
        num_particles: Any = 10,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Full-rank Gaussian, fitted by the evidence lower bound (full-rank ADVI).

        A Gaussian has light tails and no skewness.

        Kucukelbir, Tran, Ranganath, Gelman & Blei 2017
        """

class _NumpyroAutoLowRank(_Bound):
    """Gaussian with a diagonal plus low-rank covariance (rank: square root of the dimension)."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        init_scale: Any = 0.1,
        rank: Any = None,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Gaussian with a diagonal plus low-rank covariance (rank: square root of the dimension).

        A Gaussian that misses all correlations beyond its rank.

        Miller, Foti & Adams 2017; Ong, Nott & Smith 2018
        """

class _NumpyroAutoLaplace(_Bound):
    """Gaussian at the mode of the unconstrained density, with the curvature there."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        hessian_fn: Any = None,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Gaussian at the mode of the unconstrained density, with the curvature there.

        The curvature at the mode ignores both the mass around the mode and other modes.

        Tierney & Kadane 1986; MacKay 1992
        """

class _NumpyroAutoIaf(_Bound):
    """Inverse autoregressive flow."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        num_flows: Any = 3,
        hidden_dims: Any = None,
        skip_connections: Any = False,
        nonlinearity: Any = ...,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Inverse autoregressive flow.

        A flow of finite depth whose fit is a local optimum; tails stay Gaussian.

        Kingma, Salimans, Jozefowicz, Chen, Sutskever & Welling 2016
        """

class _NumpyroAutoBnaf(_Bound):
    """Block neural autoregressive flow."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        num_flows: Any = 1,
        hidden_factors: Any = ...,
        optim: Any = None,
        num_particles: Any = 1,
        vectorize_particles: Any = True,
    ) -> Posterior:
        """Block neural autoregressive flow.

        A flow of finite depth whose fit is a local optimum.

        De Cao, Titov & Aziz 2019
        """

class _Nutpie(_Bound):
    """No-U-Turn sampler in Rust, with a mass matrix from draws and gradients."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        low_rank_modified_mass_matrix: Any = False,
        transform_adapt: Any = False,
        target_accept: Any = 0.8,
        maxdepth: Any = 10,
    ) -> Posterior:
        """No-U-Turn sampler in Rust, with a mass matrix from draws and gradients.

        Hoffman & Gelman 2014; Seyboldt, Carlson & Carpenter 2026
        """

class _OptaxAdabelief(_Bound):
    """Adam with the variance around the predicted gradient."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-16,
        eps_root: Any = 1e-16,
        nesterov: Any = False,
    ) -> Posterior:
        """Adam with the variance around the predicted gradient.

        Zhuang et al. 2020
        """

class _OptaxAdadelta(_Bound):
    """Per-parameter learning rates from windows of gradients and updates."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 1.0,
        rho: Any = 0.9,
        eps: Any = 1e-06,
        weight_decay: Any = 0.0,
        weight_decay_mask: Any = None,
    ) -> Posterior:
        """Per-parameter learning rates from windows of gradients and updates.

        Zeiler 2012
        """

class _OptaxAdafactor(_Bound):
    """Adam with factored second moments, to save memory."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        min_dim_size_to_factor: Any = 128,
        decay_rate: Any = 0.8,
        decay_offset: Any = 0,
        multiply_by_parameter_scale: Any = True,
        clipping_threshold: Any = 1.0,
        momentum: Any = None,
        dtype_momentum: Any = ...,
        weight_decay_rate: Any = None,
        eps: Any = 1e-30,
        factored: Any = True,
        weight_decay_mask: Any = None,
    ) -> Posterior:
        """Adam with factored second moments, to save memory.

        Shazeer & Stern 2018
        """

class _OptaxAdagrad(_Bound):
    """Learning rates that fall with the sum of squared gradients."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.1,
        initial_accumulator_value: Any = 0.1,
        eps: Any = 1e-07,
    ) -> Posterior:
        """Learning rates that fall with the sum of squared gradients.

        Duchi, Hazan & Singer 2011
        """

class _OptaxAdam(_Bound):
    """Adaptive moment estimation."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        eps_root: Any = 0.0,
        mu_dtype: Any = None,
        nesterov: Any = False,
    ) -> Posterior:
        """Adaptive moment estimation.

        Kingma & Ba 2015
        """

class _OptaxAdamax(_Bound):
    """Adam with the maximum norm."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
    ) -> Posterior:
        """Adam with the maximum norm.

        Kingma & Ba 2015
        """

class _OptaxAdamw(_Bound):
    """Adam with decoupled weight decay."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        eps_root: Any = 0.0,
        mu_dtype: Any = None,
        weight_decay: Any = 0.0001,
        mask: Any = None,
        nesterov: Any = False,
    ) -> Posterior:
        """Adam with decoupled weight decay.

        Loshchilov & Hutter 2019
        """

class _OptaxAmsgrad(_Bound):
    """Adam with second moments that never fall."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        eps_root: Any = 0.0,
        mu_dtype: Any = None,
        bias_correction_mu: Any = True,
        bias_correction_nu: Any = True,
    ) -> Posterior:
        """Adam with second moments that never fall.

        Reddi, Kale & Kumar 2018
        """

class _OptaxFromage(_Bound):
    """Steps relative to each layer's norm."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        min_norm: Any = 1e-06,
    ) -> Posterior:
        """Steps relative to each layer's norm.

        Bernstein et al. 2020
        """

class _OptaxLamb(_Bound):
    """Adam with steps relative to each layer's norm, for large batches."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-06,
        eps_root: Any = 0.0,
        weight_decay: Any = 0.0,
        mask: Any = None,
    ) -> Posterior:
        """Adam with steps relative to each layer's norm, for large batches.

        You et al. 2020
        """

class _OptaxLbfgs(_Bound):
    """Limited-memory BFGS with a zoom line search."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = None,
        memory_size: Any = 10,
        scale_init_precond: Any = True,
        linesearch: Any = ...,
    ) -> Posterior:
        """Limited-memory BFGS with a zoom line search.

        Liu & Nocedal 1989
        """

class _OptaxLion(_Bound):
    """Steps in the direction of the momentum's sign."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.001,
        b1: Any = 0.9,
        b2: Any = 0.99,
        mu_dtype: Any = None,
        weight_decay: Any = 0.001,
        mask: Any = None,
    ) -> Posterior:
        """Steps in the direction of the momentum's sign.

        Chen et al. 2023
        """

class _OptaxMuon(_Bound):
    """Orthogonalized momentum for matrices, Adam for the rest."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        ns_coeffs: Any = (3.4445, -4.775, 2.0315),
        ns_steps: Any = 5,
        beta: Any = 0.95,
        eps: Any = 1e-08,
        weight_decay: Any = 0.0,
        weight_decay_mask: Any = None,
        mu_dtype: Any = None,
        nesterov: Any = True,
        adaptive: Any = False,
        preconditioning: Any = "frobenius",
        adam_b1: Any = 0.9,
        adam_b2: Any = 0.999,
        adam_eps_root: Any = 0.0,
        adam_weight_decay: Any = 0.0,
        adam_learning_rate: Any = None,
        muon_weight_dimension_numbers: Any = None,
        consistent_rms: Any = None,
    ) -> Posterior:
        """Orthogonalized momentum for matrices, Adam for the rest.

        Jordan et al. 2024
        """

class _OptaxNadam(_Bound):
    """Adam with Nesterov's momentum."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        eps_root: Any = 0.0,
        mu_dtype: Any = None,
        nesterov: Any = True,
    ) -> Posterior:
        """Adam with Nesterov's momentum.

        Dozat 2016
        """

class _OptaxNoisySgd(_Bound):
    """Gradient descent with Gaussian noise that decays."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        eta: Any = 0.01,
        gamma: Any = 0.55,
    ) -> Posterior:
        """Gradient descent with Gaussian noise that decays.

        Neelakantan et al. 2014
        """

class _OptaxNovograd(_Bound):
    """Adam with one second moment per layer."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.25,
        eps: Any = 1e-06,
        eps_root: Any = 0.0,
        weight_decay: Any = 0.0,
    ) -> Posterior:
        """Adam with one second moment per layer.

        Ginsburg et al. 2019
        """

class _OptaxProdigy(_Bound):
    """Adam that finds its own learning rate."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 1.0,
        betas: Any = (0.9, 0.999),
        beta3: Any = None,
        eps: Any = 1e-08,
        estim_lr0: Any = 1e-06,
        estim_lr_coef: Any = 1.0,
        weight_decay: Any = 0.0,
        safeguard_warmup: Any = False,
    ) -> Posterior:
        """Adam that finds its own learning rate.

        Mishchenko & Defazio 2024
        """

class _OptaxRadam(_Bound):
    """Adam with a rectified start."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        eps_root: Any = 0.0,
        threshold: Any = 5.0,
        nesterov: Any = False,
    ) -> Posterior:
        """Adam with a rectified start.

        Liu et al. 2020
        """

class _OptaxRmsprop(_Bound):
    """Gradients divided by their running root mean square."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        decay: Any = 0.9,
        eps: Any = 1e-08,
        initial_scale: Any = 0.0,
        eps_in_sqrt: Any = True,
        centered: Any = False,
        momentum: Any = None,
        nesterov: Any = False,
        bias_correction: Any = False,
    ) -> Posterior:
        """Gradients divided by their running root mean square.

        Hinton 2012, lecture 6e
        """

class _OptaxScheduleFree(_Bound):
    """AdamW with averaging in place of a learning-rate schedule."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        warmup_steps: Any = None,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 1e-08,
        weight_decay: Any = 0.0,
        weight_lr_power: Any = 2.0,
        state_dtype: Any = None,
    ) -> Posterior:
        """AdamW with averaging in place of a learning-rate schedule.

        Defazio et al. 2024
        """

class _OptaxSgd(_Bound):
    """Gradient descent with optional momentum."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        momentum: Any = None,
        nesterov: Any = False,
        accumulator_dtype: Any = None,
    ) -> Posterior:
        """Gradient descent with optional momentum.

        Robbins & Monro 1951
        """

class _OptaxSm3(_Bound):
    """Adagrad with second moments per row and column, to save memory."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.1,
        momentum: Any = 0.9,
    ) -> Posterior:
        """Adagrad with second moments per row and column, to save memory.

        Anil et al. 2019
        """

class _OptaxSophia(_Bound):
    """Clipped steps with an estimated diagonal of the Hessian."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.001,
        b1: Any = 0.965,
        b2: Any = 0.99,
        eps: Any = 1e-08,
        weight_decay: Any = 0.0001,
        weight_decay_mask: Any = None,
        gamma: Any = 0.01,
        clip_threshold: Any = 1.0,
        update_interval: Any = 10,
        hessian_diagonal_fn: Any = ...,
        mu_dtype: Any = None,
        verbose: Any = False,
        print_win_rate_every_n_steps: Any = 0,
    ) -> Posterior:
        """Clipped steps with an estimated diagonal of the Hessian.

        Liu et al. 2024
        """

class _OptaxYogi(_Bound):
    """Adam with second moments that change slowly."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        learning_rate: Any = 0.01,
        b1: Any = 0.9,
        b2: Any = 0.999,
        eps: Any = 0.001,
    ) -> Posterior:
        """Adam with second moments that change slowly.

        Zaheer et al. 2018
        """

class _OptimistixBfgs(_Bound):
    """BFGS with a dense inverse Hessian and backtracking."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        rtol: Any = 1e-05,
        atol: Any = 1e-05,
        norm: Any = ...,
        use_inverse: Any = True,
        verbose: Any = False,
    ) -> Posterior:
        """BFGS with a dense inverse Hessian and backtracking.

        Nocedal & Wright 2006, chapter 6
        """

class _OptimistixLbfgs(_Bound):
    """Limited-memory BFGS with backtracking."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        rtol: Any = 1e-05,
        atol: Any = 1e-05,
        norm: Any = ...,
        use_inverse: Any = True,
        history_length: Any = 10,
        verbose: Any = False,
    ) -> Posterior:
        """Limited-memory BFGS with backtracking.

        Liu & Nocedal 1989
        """

class _OptimistixLevenbergMarquardt(_Bound):
    """Damped Gauss-Newton, for log densities given by squared `residuals`."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        rtol: Any = 1e-05,
        atol: Any = 1e-05,
        norm: Any = ...,
        linear_solver: Any = ...,
        verbose: Any = False,
        residuals: Any,
    ) -> Posterior:
        """Damped Gauss-Newton, for log densities given by squared `residuals`.

        Levenberg 1944; Marquardt 1963
        """

class _OptimistixNonlinearCg(_Bound):
    """Conjugate gradients with backtracking."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_particles: int = 8,
        num_steps: int = 1000,
        batch_size: int | None = None,
        replacement: bool = False,
        evaluate: tuple[PyTree, PyTree] | tuple[PyTree, PyTree, int] | None = None,
        patience: int | None = None,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        rtol: Any = 1e-05,
        atol: Any = 1e-05,
        norm: Any = ...,
        method: Any = ...,
        search: Any = ...,
    ) -> Posterior:
        """Conjugate gradients with backtracking.

        Shewchuk 1994
        """

class _TfpNuts(_Bound):
    """No-U-Turn sampler with unrolled trees and a diagonal mass matrix."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.1,
        max_tree_depth: Any = 10,
        max_energy_diff: Any = 1000.0,
        unrolled_leapfrog_steps: Any = 1,
        parallel_iterations: Any = 10,
        target_accept_prob: Any = 0.8,
        exploration_shrinkage: Any = 0.05,
        step_count_smoothing: Any = 10,
        decay_rate: Any = 0.75,
    ) -> Posterior:
        """No-U-Turn sampler with unrolled trees and a diagonal mass matrix.

        Hoffman & Gelman 2014; Lao & Dillon 2019
        """

class _TfpHmc(_Bound):
    """Hamiltonian Monte Carlo; the number of leapfrog steps varies about its mean."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.1,
        num_leapfrog_steps: Any = 8,
        target_accept_prob: Any = 0.75,
        exploration_shrinkage: Any = 0.05,
        step_count_smoothing: Any = 10,
        decay_rate: Any = 0.75,
    ) -> Posterior:
        """Hamiltonian Monte Carlo; the number of leapfrog steps varies about its mean.

        Duane et al. 1987; Neal 2011
        """

class _TfpMala(_Bound):
    """Metropolis-adjusted Langevin algorithm; the step size is a variance."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.01,
        volatility_fn: Any = None,
        parallel_iterations: Any = 10,
        target_accept_prob: Any = 0.574,
        exploration_shrinkage: Any = 0.05,
        step_count_smoothing: Any = 10,
        decay_rate: Any = 0.75,
    ) -> Posterior:
        """Metropolis-adjusted Langevin algorithm; the step size is a variance.

        Roberts & Tweedie 1996; Roberts & Rosenthal 1998
        """

class _TfpSnaperHmc(_Bound):
    """SNAPER-HMC: trajectory length, mass matrix and step size tuned across chains."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 16,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        step_size: Any = 0.01,
        num_mala_steps: Any = 100,
        max_leapfrog_steps: Any = 1000,
        trajectory_length_adaptation_rate: Any = 0.05,
        principal_component_ema_factor: Any = 8,
        state_ema_factor: Any = 8,
        preconditioned_hamiltonian_monte_carlo_kwargs: Any = None,
        gradient_based_trajectory_length_adaptation_kwargs: Any = None,
        target_accept_prob: Any = 0.8,
        exploration_shrinkage: Any = 0.05,
        step_count_smoothing: Any = 10,
        decay_rate: Any = 0.75,
    ) -> Posterior:
        """SNAPER-HMC: trajectory length, mass matrix and step size tuned across chains.

        Sountsov & Hoffman 2021
        """

class _TfpReplicaExchange(_Bound):
    """Replica exchange: each chain swaps with HMC replicas at higher temperatures."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_warmup: int = 1000,
        num_draws: int = 1000,
        thinning: int = 1,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        inverse_temperatures: Any = (1.0, 0.5, 0.25, 0.125),
        swap_proposal_fn: Any = ...,
        step_size: Any = 0.1,
        num_leapfrog_steps: Any = 8,
        target_accept_prob: Any = 0.75,
        exploration_shrinkage: Any = 0.05,
        step_count_smoothing: Any = 10,
        decay_rate: Any = 0.75,
    ) -> Posterior:
        """Replica exchange: each chain swaps with HMC replicas at higher temperatures.

        Swendsen & Wang 1986; Earl & Deem 2005
        """

class _TfpFactoredSurrogatePosterior(_Bound):
    """Mean-field Gaussian, fitted by the evidence lower bound (ADVI)."""

    def __call__(
        self,
        seed: Seed = 0,
        *,
        num_chains: int = 4,
        num_steps: int = 2000,
        num_draws: int = 1000,
        init: Init = None,
        chain_method: ChainMethod = "auto",
        progress: bool = True,
        collect: Callable[[Params], PyTree] | None = None,
        base_distribution_cls: Any = ...,
        initial_parameters: Any = ...,
        sample_size: Any = 1,
        importance_sample_size: Any = 1,
        discrepancy_fn: Any = ...,
        gradient_estimator: Any = None,
        optimizer: Any = None,
    ) -> Posterior:
        """Mean-field Gaussian, fitted by the evidence lower bound (ADVI).

        A Gaussian without correlations is too narrow where the posterior is correlated.

        Kucukelbir, Tran, Ranganath, Gelman & Blei 2017
        """

class _Mcmc(Namespace):
    """Markov chain Monte Carlo."""

    @property
    def blackjax_nuts(self) -> _BlackjaxNuts:
        """No-U-Turn sampler with Stan's window adaptation."""

    @property
    def blackjax_hmc(self) -> _BlackjaxHmc:
        """Hamiltonian Monte Carlo with a fixed number of leapfrog steps."""

    @property
    def blackjax_dynamic_hmc(self) -> _BlackjaxDynamicHmc:
        """Hamiltonian Monte Carlo with a random number of leapfrog steps, 1 to 9 by default."""

    @property
    def blackjax_nuts_low_rank(self) -> _BlackjaxNutsLowRank:
        """No-U-Turn sampler with a diagonal plus low-rank metric from draws and gradients."""

    @property
    def blackjax_nuts_pathfinder(self) -> _BlackjaxNutsPathfinder:
        """No-U-Turn sampler that starts from Pathfinder and uses its dense metric."""

    @property
    def blackjax_hmc_pathfinder(self) -> _BlackjaxHmcPathfinder:
        """Hamiltonian Monte Carlo that starts from Pathfinder and uses its dense metric."""

    @property
    def blackjax_chees_hmc(self) -> _BlackjaxCheesHmc:
        """HMC with a trajectory length tuned across all chains; for many chains, on GPUs."""

    @property
    def blackjax_meads_hmc(self) -> _BlackjaxMeadsHmc:
        """Generalized HMC in which folds of chains tune each other; for many chains, on GPUs."""

    @property
    def blackjax_mala(self) -> _BlackjaxMala:
        """Metropolis-adjusted Langevin algorithm with the same step size for every parameter."""

    @property
    def blackjax_barker(self) -> _BlackjaxBarker:
        """Barker proposal, skewed by the gradient, robust to a poor step size."""

    @property
    def blackjax_ghmc(self) -> _BlackjaxGhmc:
        """Generalized HMC: one leapfrog step with a partial refreshment of the momentum."""

    @property
    def blackjax_mclmc(self) -> _BlackjaxMclmc:
        """Unadjusted microcanonical Langevin Monte Carlo, two gradients per step."""

    @property
    def blackjax_adjusted_mclmc(self) -> _BlackjaxAdjustedMclmc:
        """Microcanonical Hamiltonian Monte Carlo with an accept step and random lengths."""

    @property
    def blackjax_nested_slice(self) -> _BlackjaxNestedSlice:
        """Nested slice sampling for multimodal posteriors; estimates the evidence."""

    @property
    def blackjax_slice(self) -> _BlackjaxSlice:
        """Slice sampling of one coordinate after another, without gradients or tuning."""

    @property
    def blackjax_elliptical_slice(self) -> _BlackjaxEllipticalSlice:
        """Elliptical slice sampling under a Gaussian prior, without gradients or tuning."""

    @property
    def blackjax_tempered_smc(self) -> _BlackjaxTemperedSmc:
        """Sequential Monte Carlo for multimodal posteriors; estimates the evidence."""

    @property
    def crewel_adjusted_mclmc(self) -> _CrewelAdjustedMclmc:
        """Microcanonical Monte Carlo with an accept step and the same robust warm-up."""

    @property
    def crewel_mclmc(self) -> _CrewelMclmc:
        """Microcanonical Langevin Monte Carlo with a robust warm-up, two gradients per step."""

    @property
    def flowmc_rqspline_hmc(self) -> _FlowmcRqsplineHmc:
        """Global jumps proposed by a spline flow, local steps by HMC."""

    @property
    def flowmc_rqspline_mala(self) -> _FlowmcRqsplineMala:
        """Global jumps proposed by a spline flow, local steps by MALA."""

    @property
    def flowmc_realnvp_hmc(self) -> _FlowmcRealnvpHmc:
        """Global jumps proposed by RealNVP, local steps by HMC."""

    @property
    def flowmc_realnvp_mala(self) -> _FlowmcRealnvpMala:
        """Global jumps proposed by RealNVP, local steps by MALA."""

    @property
    def numpyro_nuts(self) -> _NumpyroNuts:
        """No-U-Turn sampler with iterative trees and a diagonal or dense mass matrix."""

    @property
    def numpyro_hmc(self) -> _NumpyroHmc:
        """Hamiltonian Monte Carlo with a fixed trajectory length."""

    @property
    def numpyro_barker(self) -> _NumpyroBarker:
        """Barker proposal, skewed by the gradient, robust to a poor step size."""

    @property
    def numpyro_sa(self) -> _NumpyroSa:
        """Sample-adaptive MCMC, without gradients, for few parameters."""

    @property
    def numpyro_aies(self) -> _NumpyroAies:
        """Affine-invariant ensemble of chains, without gradients, for few parameters."""

    @property
    def numpyro_ess(self) -> _NumpyroEss:
        """Ensemble slice sampler, without gradients, for few parameters."""

    @property
    def nutpie(self) -> _Nutpie:
        """No-U-Turn sampler in Rust, with a mass matrix from draws and gradients."""

    @property
    def tfp_nuts(self) -> _TfpNuts:
        """No-U-Turn sampler with unrolled trees and a diagonal mass matrix."""

    @property
    def tfp_hmc(self) -> _TfpHmc:
        """Hamiltonian Monte Carlo; the number of leapfrog steps varies about its mean."""

    @property
    def tfp_mala(self) -> _TfpMala:
        """Metropolis-adjusted Langevin algorithm; the step size is a variance."""

    @property
    def tfp_snaper_hmc(self) -> _TfpSnaperHmc:
        """SNAPER-HMC: trajectory length, mass matrix and step size tuned across chains."""

    @property
    def tfp_replica_exchange(self) -> _TfpReplicaExchange:
        """Replica exchange: each chain swaps with HMC replicas at higher temperatures."""

class _Sgmcmc(Namespace):
    """Stochastic-gradient MCMC on minibatches."""

    @property
    def blackjax_sgld_cv(self) -> _BlackjaxSgldCv:
        """SGLD with control variates, centered on the mode that Adam finds in the warm-up."""

    @property
    def blackjax_cyclical_sgld(self) -> _BlackjaxCyclicalSgld:
        """SGLD in cycles of long steps that explore and short steps that sample."""

    @property
    def blackjax_cyclical_sghmc(self) -> _BlackjaxCyclicalSghmc:
        """SGHMC in cycles of long steps that explore and short steps that sample."""

    @property
    def blackjax_sgld(self) -> _BlackjaxSgld:
        """Stochastic-gradient Langevin dynamics."""

    @property
    def blackjax_sghmc(self) -> _BlackjaxSghmc:
        """Stochastic-gradient Hamiltonian Monte Carlo with a new momentum at each step."""

    @property
    def blackjax_sgnht(self) -> _BlackjaxSgnht:
        """Stochastic-gradient Nosé-Hoover thermostat."""

    @property
    def blackjax_csgld(self) -> _BlackjaxCsgld:
        """Contour SGLD: flattens the density to cross between modes; draws have a `log_weight`."""

    @property
    def crewel_psgld(self) -> _CrewelPsgld:
        """SGLD with RMSprop's preconditioner: a separate step size for each parameter."""

    @property
    def crewel_sgmclmc(self) -> _CrewelSgmclmc:
        """Stochastic-gradient microcanonical Langevin, scaled by the gradient's noise."""

    @property
    def numpyro_hmcecs(self) -> _NumpyroHmcecs:
        """HMC on a batch whose blocks are resampled with an accept step."""

class _Optimize(Namespace):
    """Optimizers: modes and deep ensembles."""

    @property
    def jaxopt_bfgs(self) -> _JaxoptBfgs:
        """BFGS with a dense inverse Hessian and a zoom line search."""

    @property
    def jaxopt_gradient_descent(self) -> _JaxoptGradientDescent:
        """Accelerated gradient descent with a line search."""

    @property
    def jaxopt_lbfgs(self) -> _JaxoptLbfgs:
        """Limited-memory BFGS with a zoom line search."""

    @property
    def jaxopt_nonlinear_cg(self) -> _JaxoptNonlinearCg:
        """Conjugate gradients with a zoom line search."""

    @property
    def optax_adabelief(self) -> _OptaxAdabelief:
        """Adam with the variance around the predicted gradient."""

    @property
    def optax_adadelta(self) -> _OptaxAdadelta:
        """Per-parameter learning rates from windows of gradients and updates."""

    @property
    def optax_adafactor(self) -> _OptaxAdafactor:
        """Adam with factored second moments, to save memory."""

    @property
    def optax_adagrad(self) -> _OptaxAdagrad:
        """Learning rates that fall with the sum of squared gradients."""

    @property
    def optax_adam(self) -> _OptaxAdam:
        """Adaptive moment estimation."""

    @property
    def optax_adamax(self) -> _OptaxAdamax:
        """Adam with the maximum norm."""

    @property
    def optax_adamw(self) -> _OptaxAdamw:
        """Adam with decoupled weight decay."""

    @property
    def optax_amsgrad(self) -> _OptaxAmsgrad:
        """Adam with second moments that never fall."""

    @property
    def optax_fromage(self) -> _OptaxFromage:
        """Steps relative to each layer's norm."""

    @property
    def optax_lamb(self) -> _OptaxLamb:
        """Adam with steps relative to each layer's norm, for large batches."""

    @property
    def optax_lbfgs(self) -> _OptaxLbfgs:
        """Limited-memory BFGS with a zoom line search."""

    @property
    def optax_lion(self) -> _OptaxLion:
        """Steps in the direction of the momentum's sign."""

    @property
    def optax_muon(self) -> _OptaxMuon:
        """Orthogonalized momentum for matrices, Adam for the rest."""

    @property
    def optax_nadam(self) -> _OptaxNadam:
        """Adam with Nesterov's momentum."""

    @property
    def optax_noisy_sgd(self) -> _OptaxNoisySgd:
        """Gradient descent with Gaussian noise that decays."""

    @property
    def optax_novograd(self) -> _OptaxNovograd:
        """Adam with one second moment per layer."""

    @property
    def optax_prodigy(self) -> _OptaxProdigy:
        """Adam that finds its own learning rate."""

    @property
    def optax_radam(self) -> _OptaxRadam:
        """Adam with a rectified start."""

    @property
    def optax_rmsprop(self) -> _OptaxRmsprop:
        """Gradients divided by their running root mean square."""

    @property
    def optax_schedule_free(self) -> _OptaxScheduleFree:
        """AdamW with averaging in place of a learning-rate schedule."""

    @property
    def optax_sgd(self) -> _OptaxSgd:
        """Gradient descent with optional momentum."""

    @property
    def optax_sm3(self) -> _OptaxSm3:
        """Adagrad with second moments per row and column, to save memory."""

    @property
    def optax_sophia(self) -> _OptaxSophia:
        """Clipped steps with an estimated diagonal of the Hessian."""

    @property
    def optax_yogi(self) -> _OptaxYogi:
        """Adam with second moments that change slowly."""

    @property
    def optimistix_bfgs(self) -> _OptimistixBfgs:
        """BFGS with a dense inverse Hessian and backtracking."""

    @property
    def optimistix_lbfgs(self) -> _OptimistixLbfgs:
        """Limited-memory BFGS with backtracking."""

    @property
    def optimistix_levenberg_marquardt(self) -> _OptimistixLevenbergMarquardt:
        """Damped Gauss-Newton, for log densities given by squared `residuals`."""

    @property
    def optimistix_nonlinear_cg(self) -> _OptimistixNonlinearCg:
        """Conjugate gradients with backtracking."""

class _Vi(Namespace):
    """Variational inference."""

    @property
    def blackjax_meanfield_vi(self) -> _BlackjaxMeanfieldVi:
        """Mean-field Gaussian, fitted by the sticking-the-landing gradient of the ELBO."""

    @property
    def blackjax_fullrank_vi(self) -> _BlackjaxFullrankVi:
        """Full-rank Gaussian, fitted by the sticking-the-landing gradient of the ELBO."""

    @property
    def blackjax_pathfinder(self) -> _BlackjaxPathfinder:
        """Pathfinder: the Gaussian with the highest ELBO along an L-BFGS path."""

    @property
    def blackjax_multipathfinder(self) -> _BlackjaxMultipathfinder:
        """Pathfinder with one path per chain; draws are resampled by importance (PSIS)."""

    @property
    def blackjax_svgd(self) -> _BlackjaxSvgd:
        """Stein variational gradient descent: chains are particles that repel each other."""

    @property
    def numpyro_auto_normal(self) -> _NumpyroAutoNormal:
        """Mean-field Gaussian, fitted by the evidence lower bound (ADVI)."""

    @property
    def numpyro_auto_diagonal(self) -> _NumpyroAutoDiagonal:
        """Mean-field Gaussian over the whole position as one vector."""

    @property
    def numpyro_auto_multivariate(self) -> _NumpyroAutoMultivariate:
        """Full-rank Gaussian, fitted by the evidence lower bound (full-rank ADVI)."""

    @property
    def numpyro_auto_low_rank(self) -> _NumpyroAutoLowRank:
        """Gaussian with a diagonal plus low-rank covariance (rank: square root of the dimension)."""

    @property
    def numpyro_auto_laplace(self) -> _NumpyroAutoLaplace:
        """Gaussian at the mode of the unconstrained density, with the curvature there."""

    @property
    def numpyro_auto_iaf(self) -> _NumpyroAutoIaf:
        """Inverse autoregressive flow."""

    @property
    def numpyro_auto_bnaf(self) -> _NumpyroAutoBnaf:
        """Block neural autoregressive flow."""

    @property
    def tfp_factored_surrogate_posterior(self) -> _TfpFactoredSurrogatePosterior:
        """Mean-field Gaussian, fitted by the evidence lower bound (ADVI)."""

class _Laplace(Namespace):
    """Laplace approximations."""

class Families:
    """The namespaces of a model, one per family."""

    @cached_property
    def mcmc(self) -> _Mcmc:
        """Markov chain Monte Carlo."""

    @cached_property
    def sgmcmc(self) -> _Sgmcmc:
        """Stochastic-gradient MCMC on minibatches."""

    @cached_property
    def optimize(self) -> _Optimize:
        """Optimizers: modes and deep ensembles."""

    @cached_property
    def vi(self) -> _Vi:
        """Variational inference."""

    @cached_property
    def laplace(self) -> _Laplace:
        """Laplace approximations."""
