"""How a network predicts: its outputs, the distribution of `y`, and what scores need of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.tree_util import Partial
from jax.typing import ArrayLike

from crewel.core.labels import Classes
from crewel.core.labels import read as read_labels
from crewel.core.model_like import ModelLike
from crewel.core.model_like import Predictive as Predictive
from crewel.core.protocol import Array, Data, Key, Params, PyTree
from crewel.core.row_format import RowFormat
from crewel.core.trees import named_leaves
from crewel.likelihoods import CLASSES
from crewel.posterior.arviz import prediction_dims
from crewel.posterior.distribution import class_probabilities, mean_of, row_log_prob
from crewel.posterior.over_draws import over_draws


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["apply", "likelihood", "rebuild"],
    meta_fields=["kind", "rows", "classes", "together"],
)
@dataclass(frozen=True)
class NetworkPredictive:
    """How a network predicts; its functions are `jax.tree_util.Partial`.

    Attributes:
        apply: `(params, x) -> outputs`, leading axis of rows.
        likelihood: `(params, outputs, x) -> NumPyro distribution over y`.
        rebuild: `params ->` the network's library's own object, or `None`.
        kind: what `y` is: `"classes"`, `"counts"`, `"angles"` or `"values"`.
        rows: the format of a row of `x`, with which new rows are compared; `None`: they are not,
            as where `x` is one object.
        classes: the labels of the classes, if `y` was given as labels.
        together: the settings, in words, under which the density sees the rows of a batch
            together, as the user chose; empty if each row stands alone.
    """

    apply: Callable[[Params, PyTree], PyTree]
    likelihood: Callable[[Params, PyTree, PyTree], dist.Distribution]
    rebuild: Callable[[Params], Any] | None = None
    kind: str = "values"
    rows: RowFormat | None = None
    classes: Classes | None = None
    together: str = ""

    def read(self, x: PyTree, params: Params) -> PyTree:
        """New rows as arrays, the columns of a data frame in the order of the training frame.

        Args:
            x: the rows.
            params: any parameters of the model, or their shapes.

        Raises:
            TypeError: they are not numbers.
            ValueError: they are not rows like those of the training data, see `RowFormat.read`,
                or the network fails on them.
        """
        if self.rows is None:
            return x
        x = self.rows.read(x)
        shapes = tuple(jnp.shape(leaf)[1:] for leaf in jax.tree.leaves(x))
        if shapes != self.rows.shapes:  # a network may take rows of any length
            try:
                jax.eval_shape(self.apply, params, x)
            except Exception as error:
                found = shapes[0] if len(shapes) == 1 else shapes
                raise ValueError(
                    f"A row of `x` has shape {found}, but the model was wrapped with rows of shape "
                    f"{self.rows.row_shapes}, and the network fails on it: {error}"
                ) from error
        return x

    def read_pair(self, x: PyTree, y: Array, params: Params) -> Data:
        """New rows and their targets, `{"x": ..., "y": ...}`.

        Raises:
            TypeError: as `read`.
            ValueError: as `read`; or `y` does not fit `x`, or holds NaN.
        """
        if self.rows is None:
            return {"x": x, "y": y if self.classes is None else read_labels(y, self.classes)}
        y = self.rows.read_y(x, y, self.classes)
        return {"x": self.read(x, params), "y": y}

    def at(self, params: Params, x: PyTree) -> tuple[PyTree, dist.Distribution]:
        """The network's outputs, and the distribution of `y` that they parametrize."""
        outputs = self.apply(params, x)
        try:
            return outputs, self.likelihood(params, outputs, x)
        except Exception as error:
            error.add_note(
                "crewel: while calling the likelihood. If it closes over an array with a value for "
                "each row, that array fits the training rows only. Make it a leaf of `x`, which "
                "`(outputs, latents, batch) -> distribution` reads as `batch['x']`."
            )
            raise

    def point(self, params: Params, x: PyTree) -> dict[str, PyTree]:
        """The predictions that need no random numbers: class `probability`, or `outputs`."""
        if self.kind == CLASSES:
            return {"probability": class_probabilities(self.at(params, x)[1])}
        return {"outputs": self.apply(params, x)}

    def pointwise(self, params: Params, x: PyTree, y: Array) -> jax.Array:
        """Log likelihood of each row, `(N,)`."""
        return row_log_prob(self.at(params, x)[1], y)

    def predict(
        self,
        draws: Params,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        key: Key,
        batch_size: int | None,
    ) -> dict[str, np.ndarray]:
        """`outputs`, `y`, and `probability` for classes."""
        x = self.read(_inputs(*args, **kwargs), _one_of(draws))
        made = over_draws(_draws, self, draws, x, key=key, batch_size=batch_size)
        return variables(made.pop("outputs"), "outputs") | made

    def log_likelihood(
        self, draws: Params, data: Data, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """The log likelihood of `y`, `(chain, draw, row)`."""
        x, y = _rows(*args, **kwargs)
        if (x is None) != (y is None):
            given, missing = ("x", "y") if y is None else ("y", "x")
            raise ValueError(
                f"`{given}` was given without `{missing}`. Give both, or neither for the training "
                "data."
            )
        rows = data if y is None else self.read_pair(x, y, _one_of(draws))
        return {"y": over_draws(_pointwise, self, draws, rows)}

    def dims(self, made: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """Names of the axes; the first is that of the rows."""
        return prediction_dims(made)

    def coords(self, made: Mapping[str, Array]) -> dict[str, list[Any]]:
        """The labels of the classes, along the last axis of `probability`."""
        if self.classes is None or "probability" not in made:
            return {}
        return {prediction_dims(made)["probability"][-1]: list(self.classes.names)}


def _one_of(draws: Params) -> Params:
    """The shapes of the parameters of one draw."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype), draws)


def _inputs(x: PyTree) -> PyTree:
    """The single argument of a network's `predict`."""
    return x


def _rows(x: PyTree = None, y: Array | None = None) -> tuple[PyTree, Array | None]:
    """The arguments of a network's `log_likelihood`."""
    return x, y


# Their names in Python's own errors, where an argument is missing or unknown.
_inputs.__qualname__, _rows.__qualname__ = "predict", "log_likelihood"


def variables(outputs: PyTree, name: str) -> dict[str, Array]:
    """Leaves as named variables: `name` itself, or `name.leaf` if there are several."""
    named = named_leaves(outputs)
    if list(named) == ["value"]:
        return {name: named["value"]}
    return {f"{name}.{leaf}": value for leaf, value in named.items()}


# Functions for `over_draws`: `(None, predictive, params, keys, batch)`; leaves have a draw axis.


def points(_: None, predictive: NetworkPredictive, params: Params, keys: Key, x: PyTree) -> PyTree:
    """`NetworkPredictive.point` under every draw."""
    return jax.vmap(lambda p: predictive.point(p, x))(params)


def _draws(_: None, predictive: NetworkPredictive, params: Params, keys: Key, x: PyTree) -> PyTree:
    def one(p: Params, key: Key) -> dict[str, PyTree]:
        outputs, distribution = predictive.at(p, x)
        made = {"outputs": outputs, "y": distribution.sample(key)}
        if predictive.kind == CLASSES:
            made["probability"] = class_probabilities(distribution)
        return made

    return jax.vmap(one)(params, keys)


def scores(_: None, predictive: NetworkPredictive, params: Params, keys: Key, rows: Data) -> PyTree:
    """What scores need: the log likelihood, and class probabilities or means and draws."""

    def one(p: Params, key: Key) -> dict[str, ArrayLike | None]:
        distribution = predictive.at(p, rows["x"])[1]
        found: dict[str, ArrayLike | None] = {
            "log_likelihood": row_log_prob(distribution, rows["y"])
        }
        if predictive.kind == CLASSES:
            return found | {"probabilities": class_probabilities(distribution)}
        return found | {"mean": mean_of(distribution), "y": distribution.sample(key)}

    return jax.vmap(one)(params, keys)


def _pointwise(
    _: None, predictive: NetworkPredictive, params: Params, keys: Key, rows: Data
) -> PyTree:
    return jax.vmap(lambda p: predictive.pointwise(p, rows["x"], rows["y"]))(params)


def require_network(predictive: Predictive | None, what: str) -> NetworkPredictive:
    """The model's predictive, if it predicts `y` from rows of `x`.

    Args:
        predictive: how the model predicts.
        what: what needs it, for the message.

    Raises:
        ValueError: the model was not built from a network.
    """
    if not isinstance(predictive, NetworkPredictive):
        raise ValueError(
            f"{what} needs a model that predicts `y` from rows of `x`, built by "
            "`crewel.wrap(network, x, y, ...)`. For any other model, evaluate a function of your "
            "own on `post.draws`."
        )
    return predictive


def require_predictive(predictive: Predictive | None) -> Predictive:
    """The model's way to predict.

    Raises:
        ValueError: it has none.
    """
    if predictive is None:
        raise ValueError(
            "This model was built from a log density alone and cannot predict. Build it with "
            "`crewel.wrap(network, x, y, ...)` or from a program, or evaluate a function of your "
            "own on `post.draws`."
        )
    return predictive


def _collected(predictive: NetworkPredictive, x: PyTree, params: Params) -> PyTree:
    (found,) = predictive.point(params, x).values()
    return found


def predictions(model: ModelLike, x: PyTree) -> Partial:
    """A function for `collect=`: keep predictions at `x` in place of the parameters.

    Args:
        model: a model of a network.
        x: inputs, `(N, ...)`.

    Returns:
        A function of the parameters: class probabilities `(N, K)`, or the network's outputs if
        `y` is not a class. `x` is data to it, so other inputs of the same shape compile nothing.

    Raises:
        ValueError: the model was not built from a network.

    Examples:
        >>> import crewel as cw, jax.numpy as jnp
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> model = cw.wrap(lambda p, x: x @ p["w"], x, x[:, 0], likelihood="gaussian",
        ...                 example={"w": jnp.zeros((1, 1))})
        >>> predictions(model, x)(model.test_point).shape
        (20, 1)
    """
    predictive = require_network(model.predictive, "`predictions`")
    x = predictive.read(x, model.test_point)
    return Partial(_collected, predictive, jax.tree.map(jnp.asarray, x))
