"""`Posterior`: the one result of every family. It holds data; other modules convert it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from crewel.core.keys import as_key
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Array, Draws, PyTree, Seed
from crewel.posterior import arviz, diagnostics, one_draw, weights
from crewel.posterior import uncertainty as parts
from crewel.posterior.function_report import FunctionReport
from crewel.posterior.predict import require_predictive
from crewel.posterior.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from xarray import Dataset, DataTree

    from crewel.run.call import Call


@dataclass(frozen=True, repr=False, eq=False)
class Posterior(Result):
    """Draws of the parameters, how they were made, and everything needed to go on from there.

    Attributes:
        draws: pytree in the structure of the model's test point, leaves `(chain, draw, *event)`;
            or what `collect=` returned. An optimizer has one chain per particle, with one draw.
        stats: leaves `(chain, draw)`, under ArviZ's names.
        losses: `(chain, step)` if there are any, otherwise `None`.
        state: the backend's state, leaves with a leading chain axis.
        starts: `(chain,)`, the index of each chain's next draw.
        keys: `(chain,)`, the PRNG key that each chain's draws come from.
        timing: seconds for `compile`, `warmup`, `sampling` and in `total`.
        surplus: draws that some chains of an interrupted run have beyond these, or `None`;
            `extend` uses them first.
        call: the call that made it.
        model: the model.
        verdict: what was checked at the end of the run, and what is wrong; truthy if nothing is.
    """

    @classmethod
    def of(cls, model: ModelLike, call: Call, made: Draws) -> Posterior:
        """A posterior from what a run returned."""
        return cls(**made._asdict(), call=call, model=model)

    def resampled(self, seed: Seed = 0) -> Posterior:
        """Draws of equal weight, for a sampler whose draws carry a `log_weight`.

        Each chain's draws are resampled with replacement, in proportion to their weights
        (sampling importance resampling, Rubin 1988).

        Args:
            seed: an integer or a PRNG key, for the resampling.

        Returns:
            A posterior with as many draws, without `log_weight`; it cannot be extended. A
            posterior without weights is returned as it is.

        Examples:
            >>> import crewel as cw, jax.numpy as jnp
            >>> x = jnp.linspace(-1, 1, 20)[:, None]
            >>> model = cw.wrap(lambda p, x: x @ p["w"], x, 2 * x[:, 0], likelihood="gaussian",
            ...                 example={"w": jnp.zeros((1, 1))})
            >>> post = model.sgmcmc.blackjax_csgld(seed=0, num_draws=100, progress=False)
            >>> post.resampled().draws["w"].shape
            (4, 100, 1, 1)
        """
        return weights.resampled(self, seed)

    def extend(self, num_draws: int, *, progress: bool = True) -> Posterior:
        """Go on from where every chain stopped: no warm-up, the same options, no compilation.

        The result has all the draws; 500 draws extended by 500 equal 1,000, bit for bit.

        Args:
            num_draws: additional draws per chain.
            progress: whether to show a progress bar.

        Raises:
            ValueError: `num_draws` is not positive, or a run of this algorithm cannot be extended.
        """
        from crewel.run import driver

        return driver.extend(self, num_draws, progress=progress)

    def to_datatree(self) -> DataTree:
        """The draws and statistics as an ArviZ `DataTree`.

        Parameters become variables with dotted names (`Dense_0.kernel`), with named dims and
        coordinates; statistics are the group `sample_stats`, training targets `observed_data`.
        Warns where draws carry weights: ArviZ averages over them as if they were equal.
        """
        weights.warn_of(self)
        return arviz.of_run(self.draws, self.stats, self.model.data)

    def summary(
        self, *, space: Literal["functions", "weights"] | None = None, **kwargs: Any
    ) -> pd.DataFrame:
        """ArviZ's table of means, intervals, ESS and R-hat.

        Args:
            space: `"functions"` (the default for networks) summarizes the outputs at ten training
                inputs and the latents outside the network; `"weights"` (the default otherwise)
                the parameters themselves. R-hat of a network's weights says little: exchanging
                hidden units changes the weights but not the function.
            kwargs: passed to `arviz_stats.summary`.

        Returns:
            A `pandas.DataFrame`.
        """
        return diagnostics.summary(self, space=space, **kwargs)

    def report(self, x: PyTree = None, y: Array | None = None) -> FunctionReport:
        """Convergence judged on predictions: R-hat, ESS, MCSE, each chain's LPPD, dead chains.

        A model without predictions is judged on its parameters, on 200 of them if it has more.
        The verdict includes what else is wrong with the run, for example divergences.

        Args:
            x: inputs to evaluate at (default: up to 200 training inputs). At most 2,000 of the
                predictions there are judged.
            y: held-out targets at `x`, for the LPPD (default: training data).

        Returns:
            A `crewel.posterior.function_report.FunctionReport`, which prints as a table with a
            verdict.
        """
        return diagnostics.report(self, x, y)

    def predict(
        self, *args: Any, batch_size: int | None = None, seed: Seed = 0, **kwargs: Any
    ) -> DataTree:
        """The posterior predictive at new inputs.

        Args:
            args: for a network, `x`, `(N, ...)`, a data frame with its columns in any order; for
                a program, its arguments without observations (default: the data are replicated).
            batch_size: draws to evaluate at once; chosen by memory if `None`.
            seed: an integer or a PRNG key, for the draws of `y`.
            kwargs: keyword arguments of a program.

        Returns:
            An ArviZ `DataTree` with the group `predictions`, variables `(chain, draw, row, ...)`:
            the network's `outputs`; the `probability` of each class if `y` is a class, with labels
            as coordinates if it had labels; and `y`, one draw of the target (a class number) for
            each draw of the parameters. For a program, every site that is not a parameter.

        Raises:
            ValueError: the model cannot predict, or `x` is not like the training inputs.

        Examples:
            >>> import crewel as cw, jax.numpy as jnp
            >>> x = jnp.linspace(-1, 1, 20)[:, None]
            >>> model = cw.wrap(lambda p, x: x @ p["w"], x, 2 * x[:, 0], likelihood="gaussian",
            ...                 example={"w": jnp.zeros((1, 1))})
            >>> post = model.mcmc.numpyro_nuts(seed=0, num_draws=200, progress=False)
            >>> post.predict(x)["predictions"]["y"].shape
            (4, 200, 20)
        """
        predictive = require_predictive(self.model.predictive)
        made = predictive.predict(
            self.params, args, kwargs, key=as_key(seed), batch_size=batch_size
        )
        dims, coords = predictive.dims(made), predictive.coords(made)
        return arviz.to_datatree({"predictions": made}, dims=dims, coords=coords)

    def uncertainty(
        self,
        x: PyTree,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        batch_size: int | None = None,
        seed: Seed = 0,
    ) -> Dataset:
        """How uncertain predictions are, and how much of that more data could remove.

        The parts are those of Depeweg et al. 2018: `aleatoric` is the noise that every draw of the
        network expects, `epistemic` the disagreement of the draws, and `total` their sum. They are
        variances, in squared units of `y`; for classes they are entropies, in nats, and `epistemic`
        is the mutual information of class and parameters.

        Args:
            x: inputs, `(N, ...)`.
            quantiles: probabilities of the quantiles of `y`; not for classes.
            batch_size: draws to evaluate at once; chosen by memory if `None`.
            seed: an integer or a PRNG key, for the draws of `y` whose quantiles are taken.

        Returns:
            A dataset of `total`, `aleatoric` and `epistemic`, `(row, ...)`; for classes also of
            `probability`, `(row, ..., class)`, otherwise of `mean`, `(row, ...)`, and `y_quantile`,
            `(row, ..., quantile)`. Where NumPyro has no variance of the likelihood, `total` is the
            only part, from draws of `y`.

        Raises:
            ValueError: the model is not one of a network, `y` is an angle, or a quantile does not
                lie between 0 and 1.

        Examples:
            >>> import crewel as cw, jax.numpy as jnp
            >>> x = jnp.linspace(-1, 1, 20)[:, None]
            >>> model = cw.wrap(lambda p, x: x @ p["w"], x, 2 * x[:, 0], likelihood="gaussian",
            ...                 example={"w": jnp.zeros((1, 1))})
            >>> post = model.mcmc.numpyro_nuts(seed=0, num_draws=200, progress=False)
            >>> post.uncertainty(x)["epistemic"].shape
            (20,)
        """
        return parts.uncertainty(
            self, x, quantiles=quantiles, key=as_key(seed), batch_size=batch_size
        )

    def network(self, chain: int = 0, draw: int = -1) -> Any:
        """One draw as the network library's own object, which predicts the same as `predict`.

        Args:
            chain: index of the chain or particle.
            draw: index of the draw; the last one by default.

        Returns:
            The variables for `module.apply` for Flax linen, a module for NNX and Equinox,
            `params` (or `(params, state)`) for Haiku, the parameters for a plain function, and a
            dict of these for several networks.

        Raises:
            IndexError: there is no such chain or draw.
            ValueError: the model was built from a log density alone.
        """
        return one_draw.network(self.model.predictive, self.points, chain, draw)

    def log_likelihood(self, *args: Any, **kwargs: Any) -> DataTree:
        """Pointwise log likelihood, for LOO and model comparison; neither scaled nor weighted.

        Args:
            args: for a network, inputs `x` and targets `y` (default: the training data). For a
                program of a model language, its arguments with observations (default: its own).
            kwargs: the same by keyword.

        Returns:
            The `DataTree` of `to_datatree` with the group `log_likelihood`, whose variable `y`
            is `(chain, draw, row)`; for a program, one variable per observed site.
            `arviz_stats.loo` accepts it.

        Raises:
            ValueError: only one of `x` and `y` is given, or they do not fit.
        """
        predictive = require_predictive(self.model.predictive)
        values = predictive.log_likelihood(self.params, self.model.data, args, kwargs)
        group = arviz.to_datatree({"log_likelihood": values}, dims=predictive.dims(values))
        tree = arviz.of_run(self.draws, self.stats, self.model.data)
        tree["log_likelihood"] = group["log_likelihood"]
        return tree

    def metrics(self, x: PyTree, y: Array, *, seed: Seed = 0) -> dict[str, float]:
        """Scores of the posterior predictive on held-out rows.

        Args:
            x: inputs, `(N, ...)`.
            y: targets, `(N, ...)`; each entry of a row counts.
            seed: an integer or a PRNG key, for the draws of `y` that intervals need.

        Returns:
            `lppd` (nats per row) and, for classes, `accuracy`, `brier` and `ece`; otherwise
            `rmse`, `crps`, and `coverage` and `interval_width` of the central 90 % interval, see
            `crewel.metrics`. Masked rows are left out; censored values count in `lppd` only.
        """
        return diagnostics.held_out_scores(self, x, y, seed=seed)
