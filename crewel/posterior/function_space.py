"""Convergence of a network's posterior, judged by its predictions.

The hidden units of a network can be permuted (and their signs or scales exchanged) without changing
its function, so two chains can agree on every prediction and on no weight: R-hat of the weights
says nothing about convergence. R-hat, ESS and MCSE of the *predictions* at chosen inputs do.

Notation: `f` holds the network's outputs at M chosen inputs (several outputs per input flattened),
with shape (C, D, M) for C chains of D draws. The statistics are ArviZ's.
"""

import numpy as np
from numpy.typing import ArrayLike


def function_rhat(f: ArrayLike) -> np.ndarray:
    """Rank-normalized split R-hat of the prediction at each input. Best is 1.

    ArviZ's estimate of Vehtari et al. 2021, "Rank-normalization, folding, and localization: an
    improved R-hat for assessing convergence of MCMC".

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,). NaN where it is not defined: one chain, fewer than 4 draws, or a prediction that
        never changes or is not finite.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 100, 2))
        >>> f[3, :, 1] += 5.0  # chain 3 found another function
        >>> function_space.function_rhat(f) > 1.1
        array([False,  True])
    """
    return _statistic("rhat", f)


def within_chain_rhat(f: ArrayLike) -> np.ndarray:
    """R-hat between the two halves of each chain: high if the chain still drifts.

    The halves of each chain are passed to `function_rhat` as two chains. The result is near 1 for
    chains that are steady in different modes, where `function_rhat` is far from 1, which is the
    usual case for networks (chain-wise R-hat of Sommer et al. 2024, "Connecting the dots: is
    mode-connectedness the key to feasible sample-based inference in Bayesian neural networks?").

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (C, M). NaN with fewer than 8 draws, and as in `function_rhat`.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(2, 400, 1))
        >>> f[1, :, 0] += np.linspace(0.0, 9.0, 400)
        >>> function_space.within_chain_rhat(f) > 1.1
        array([[False],
               [ True]])
    """
    f = as_predictions(f)
    half = f.shape[1] // 2
    if half == 0:
        return np.full((f.shape[0], f.shape[2]), np.nan)
    return np.stack([function_rhat(np.stack([chain[:half], chain[-half:]])) for chain in f])


def function_ess(f: ArrayLike) -> np.ndarray:
    """Bulk effective sample size of the prediction at each input, over all chains.

    ArviZ's estimate of Vehtari et al. 2021.

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,), in draws. NaN with fewer than 4 draws or values that are not finite; a
        prediction that never changes counts as C D independent draws.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 100, 1))
        >>> f = np.repeat(f, 10, axis=1)  # every draw ten times
        >>> function_space.function_ess(f) < 1000  # of 4000 draws
        array([ True])
    """
    return _statistic("ess", f)


def function_mcse(f: ArrayLike) -> np.ndarray:
    """Monte Carlo standard error of the mean prediction at each input.

    ArviZ's estimate, `sd / sqrt(ESS of the mean)`.

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,), in units of `f`. NaN with fewer than 4 draws or values that are not finite.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 2500, 1))
        >>> function_space.function_mcse(f).round(2)  # 1 / sqrt(10000)
        array([0.01])
    """
    return _statistic("mcse", f)


def _statistic(name: str, f: ArrayLike) -> np.ndarray:
    # Imported here: ArviZ takes seconds to import, and `import crewel` must not.
    from arviz_stats.base import array_stats  # pyright: ignore[reportPrivateImportUsage]

    with np.errstate(all="ignore"):  # predictions that never change, or are not finite
        return np.asarray(getattr(array_stats, name)(as_predictions(f), chain_axis=0, draw_axis=1))


def as_predictions(f: ArrayLike) -> np.ndarray:
    """Predictions `(C, D, M)` in float64, or an error that says how to reshape them."""
    f = np.asarray(f)
    if f.ndim != 3 or f.size == 0:
        raise ValueError(
            f"`f` has shape {f.shape} but must be (chains, draws, inputs) with no empty axis. "
            "Flatten the axes after draws, `f.reshape(*f.shape[:2], -1)`."
        )
    return f.astype(np.float64)
