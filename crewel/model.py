"""`Model`: a log density over a pytree of parameters; bridges make it and algorithms run on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
from jax.typing import ArrayLike

from crewel.core import inputs, meanings
from crewel.core.model_like import Predictive
from crewel.core.protocol import Data, Key, Params, Position, PyTree, Seed, Target
from crewel.core.text import count
from crewel.core.trees import as_partial
from crewel.methods import Families
from crewel.transforms.assemble import assemble

if TYPE_CHECKING:
    from crewel.checks.report import DebugReport


class Model(Families):
    """A log density, the shape of its parameters, and how they map to an unconstrained space.

    Every algorithm is a method: `model.mcmc.numpyro_nuts(seed=0)`,
    `model.optimize.optax_adam(seed=0)`; `dir(model.mcmc)` lists them, installed or not.

    Args:
        log_density: `params -> scalar`, or `(params, data) -> scalar` if `data` is given. It may
            be unnormalized. `None` if `log_prior`, `log_likelihood` and `data` are given.
        test_point: a pytree of floats with the structure, shapes and dtypes of the parameters,
            inside their support.
        transform_fn: from the unconstrained space to the parameters: a function of the whole
            pytree, a NumPyro constraint or transform, a pytree of those, or a TFP bijector. It
            sees one sample, never a batch.
        inverse_transform_fn: its inverse; found automatically for functions that act elementwise.
        inverse_log_det_jacobian: log-determinant of the inverse, as a function of the parameters;
            found automatically for the same functions.
        initial_state: where chains start: a pytree like `test_point`, with or without a leading
            chain axis, or the name of one of `initializers`, or `"uniform"`.
        data: pytree of arrays with a leading axis of N rows. It is an argument of the compiled
            programs, so models over other data of the same shape share them.
        log_prior: `params -> scalar`, for algorithms that need the prior and the likelihood
            separately.
        log_likelihood: `(params, batch) -> (n,)`, one value per row.
        gaussian_prior: `(location, scale)` of an independent normal prior, each a pytree like
            `test_point`, for algorithms that require one; `log_prior` must be the same prior.
        initializers: functions `key -> params` that draw an initial state, by the name that
            selects them in `init=`. The first one is the default.
        predictive: how to predict, see `crewel.posterior.predict.Predictive`.
        priors: the table of priors, for display.
        latents: names of the parameters that are not weights of a network, and so have no
            symmetries.

    Raises:
        TypeError: a leaf of `test_point` is not a float.
        ValueError: the transform cannot be inverted, or leaves of `data` differ in their number
            of rows.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> model = Model(lambda p: -p["tau"] ** 2, {"tau": 1.0}, dist.constraints.positive)
        >>> post = model.mcmc.numpyro_nuts(seed=0, num_draws=500, progress=False)
        >>> post.draws["tau"].shape
        (4, 500)
    """

    def __init__(
        self,
        log_density: Callable[..., ArrayLike] | None,
        test_point: Params,
        transform_fn: PyTree = None,
        *,
        inverse_transform_fn: Callable[[Params], Position] | None = None,
        inverse_log_det_jacobian: Callable[[Params], ArrayLike] | None = None,
        initial_state: Params | str | None = None,
        data: Data = None,
        log_prior: Callable[[Params], ArrayLike] | None = None,
        log_likelihood: Callable[[Params, Any], ArrayLike] | None = None,
        gaussian_prior: tuple[Params, Params] | None = None,
        initializers: Mapping[str, Callable[[Key], Params]] | None = None,
        predictive: Predictive | None = None,
        priors: Mapping[str, Any] | None = None,
        latents: tuple[str, ...] = (),
    ):
        """See the class."""
        self.test_point = inputs.float_leaves(test_point)
        self.weak = inputs.weak_leaves(test_point)
        self.initial_state = initial_state
        named = {name: as_partial(fn) for name, fn in (initializers or {}).items()}
        self.initializers: Mapping[str, Callable[[Key], Params]] = inputs.arrays(named)
        self.predictive: Predictive | None = inputs.arrays(predictive)
        self.priors = priors
        self.latents = latents
        self.data = None if data is None else inputs.arrays(data)
        self._target = assemble(
            log_density,
            self.test_point,
            transform_fn,
            inverse_transform_fn=inverse_transform_fn,
            inverse_log_det_jacobian=inverse_log_det_jacobian,
            data=self.data,
            log_prior=log_prior,
            log_likelihood=log_likelihood,
            gaussian_prior=gaussian_prior,
        )

    @classmethod
    def from_numpyro(
        cls,
        fn: Callable[..., Any],
        *args: Any,
        initial_state: Params | str | None = None,
        **kwargs: Any,
    ) -> Model:
        """Make a `Model` from a NumPyro model; its latent sites are the parameters.

        Observed and deterministic sites are not parameters. NumPyro itself gives the plates, the
        shapes and the supports, including those that depend on other latents, and handles the
        networks of `numpyro.contrib.module`. `numpyro.param` sites keep their first value, as
        under NumPyro's own MCMC.

        Args:
            fn: a function of NumPyro statements.
            args: its arguments. Arrays are inputs of the compiled programs, so a model over other
                data of the same shape compiles nothing; everything else is part of the program.
            initial_state: where chains start, as in `Model` (default: `"uniform"`, within
                (-2, 2) in the unconstrained space; `"prior"` is another choice).
            kwargs: its keyword arguments.

        Returns:
            A `Model`. `post.predict(*args, **kwargs)` runs `fn` on other arguments under each
            draw and returns all that it generates; without arguments it replicates the data.

        Raises:
            TypeError: `fn` is not a function, or needs the value of an array to decide on a shape.
            ValueError: there is no latent site, a discrete one, or a plate that draws subsamples.

        Examples:
            >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
            >>> def line(x, y=None):
            ...     slope = numpyro.sample("slope", dist.Normal(0, 1))
            ...     numpyro.sample("y", dist.Normal(slope * x, 0.1), obs=y)
            >>> x = jnp.linspace(-1, 1, 20)
            >>> model = Model.from_numpyro(line, x, y=0.5 * x)
            >>> post = model.mcmc.numpyro_nuts(seed=0, num_draws=500, progress=False)
            >>> post.predict(jnp.array([2.0]))["predictions"]["y"].shape
            (4, 500, 1)
        """
        from crewel.bridges.models import numpyro

        return numpyro.model(fn, args, kwargs, initial_state)

    @classmethod
    def from_tfp(cls, pinned: Any, *, initial_state: Params | str | None = None) -> Model:
        """Make a `Model` from a pinned joint distribution of TensorFlow Probability (JAX).

        Its unpinned parts are the parameters, in its own structure; its default event space
        bijector is the transform. Pinned values are inputs of the compiled programs, so the same
        joint distribution pinned to other data of the same shape compiles nothing.

        Args:
            pinned: `joint.experimental_pin(...)`.
            initial_state: where chains start, as in `Model` (default: `"uniform"`).

        Returns:
            A `Model`. `post.predict()` draws the pinned parts anew.

        Raises:
            TypeError: `pinned` is not a pinned joint distribution.

        Examples:
            >>> from tensorflow_probability.substrates.jax import distributions as tfd
            >>> joint = tfd.JointDistributionNamed(
            ...     {"scale": tfd.HalfNormal(1.0), "y": lambda scale: tfd.Normal(0.0, scale)}
            ... )
            >>> Model.from_tfp(joint.experimental_pin(y=0.5))
            <crewel.Model: 1 parameter in 1 leaf>
        """
        from crewel.bridges.models import tfp

        return tfp.model(pinned, initial_state)

    @classmethod
    def from_pymc(cls, pm_model: Any, *, initial_state: Params | str | None = None) -> Model:
        """Make a `Model` from a PyMC model; its free variables are the parameters.

        The density is computed in JAX's own precision; set `jax_enable_x64` for PyMC's usual
        float64. `pymc.Data` keeps the values that it has at the time of the call.

        Args:
            pm_model: a `pymc.Model`.
            initial_state: where chains start, as in `Model` (default: `"uniform"`).

        Returns:
            A `Model`. For predictions, give `post.to_datatree()` to
            `pymc.sample_posterior_predictive`.

        Raises:
            TypeError: `pm_model` is not a PyMC model.
            ValueError: a free variable is discrete.
            NotImplementedError: PyTensor has no JAX version of an operation in the model.
        """
        from crewel.bridges.models import pymc

        return pymc.model(pm_model, initial_state)

    @classmethod
    def from_oryx(
        cls,
        program: Callable[..., Any],
        *args: Any,
        observed: Mapping[str, Any],
        transform_fn: Any = None,
        initial_state: Params | str | None = None,
    ) -> Model:
        """Make a `Model` of the named random values of a program of Oryx (JAX up to 0.5).

        Args:
            program: `(key, *args) -> value`, with `oryx.core.ppl.random_variable` and `nest`.
            args: its arguments after the key; arrays are inputs of the compiled programs.
            observed: values of the observed random variables by name, nested by scope.
            transform_fn: supports of the others, as in `Model`; Oryx does not know them
                (default: all are unconstrained).
            initial_state: where chains start, as in `Model` (default: `"prior"`).

        Returns:
            A `Model` whose parameters are nested by scope. `post.predict(*args)` runs the
            program with the draws substituted; `output` is what it returns.

        Raises:
            ImportError: Oryx is missing, or JAX is newer than 0.5.
            ValueError: `observed` has a name that the program does not have.
        """
        from crewel.bridges.models import oryx

        return oryx.model(program, args, observed, transform_fn, initial_state)

    @classmethod
    def from_bayeux(cls, bx_model: Any, *, initial_state: Params | str | None = None) -> Model:
        """Make a `Model` with density, transform and test point of a `bayeux.Model` (JAX <= 0.5).

        Args:
            bx_model: the `bayeux.Model`.
            initial_state: where chains start, as in `Model` (default: that of `bx_model`).

        Raises:
            TypeError: `bx_model` is not a `bayeux.Model`.
        """
        from crewel.bridges.models import bayeux

        return bayeux.from_bayeux(bx_model, initial_state)

    def to_bayeux(self, *, initial_state: Params | str | None = None) -> Any:
        """Make a `bayeux.Model` with this density, transform and test point (JAX up to 0.5).

        Args:
            initial_state: constrained parameters with a leading chain axis (default: the model's
                own if it has them, otherwise bayeux's, uniform within (-2, 2)).

        Raises:
            ImportError: bayeux is missing, or JAX is newer than 0.5.
            ValueError: the model's initial state has no chain axis.
        """
        from crewel.bridges.models import bayeux

        return bayeux.to_bayeux(self, initial_state)

    def target(self, *, jacobian: bool = True) -> Target:
        """The density on the unconstrained space, as adapters see it."""
        return replace(self._target, jacobian=jacobian)

    def log_density(self, params: Params) -> jax.Array:
        """The log density at constrained parameters, without any Jacobian: a scalar."""
        return self._target.joint(params)

    def debug(self, seed: Seed = 0, **kwargs: Any) -> DebugReport:
        """Check the model: shapes, finiteness, initial states, gradients per leaf.

        Args:
            seed: integer or PRNG key.
            kwargs: see `crewel.checks.debug.debug`.

        Returns:
            A `crewel.checks.debug.DebugReport`, truthy if every check passed.
        """
        from crewel.checks import debug

        meanings.require_arguments_of(debug.debug, kwargs, "model.mcmc.numpyro_nuts")
        return debug.debug(self, seed, **kwargs)

    def __repr__(self) -> str:
        """Return the size of the parameters and of the data."""
        leaves = [leaf.size for leaf in jax.tree.leaves(self.test_point)]
        text = f"{count(sum(leaves), 'parameter')} in {count(len(leaves), 'leaf')}"
        if self.data is not None:
            text += f", {count(self._target.num_data, 'row')} of data"
        return f"<crewel.Model: {text}>"
