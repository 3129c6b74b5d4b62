"""Options of backends that make no sense are refused, and other libraries' words translated."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.core import meanings
from crewel.core.options import REQUIRED, backend_options, settings_of

NAN = float("nan")


def needed(name):
    """A row whose backend is installed and new enough."""
    try:
        backend_options(cw.ALGORITHMS[name])
    except ImportError as error:
        pytest.skip(str(error))
    return cw.ALGORITHMS[name]


@pytest.fixture(scope="module")
def model():
    return support.small()


@pytest.mark.parametrize("value", [-1, 0, NAN, np.inf, np.array([0.1, -0.1]), jnp.zeros(())])
@pytest.mark.parametrize(
    ("family", "row", "name"),
    [
        ("mcmc", "numpyro_nuts", "step_size"),
        ("mcmc", "blackjax_nuts", "initial_step_size"),
        ("optimize", "optax_adam", "learning_rate"),
    ],
)
def test_a_rate_is_positive_and_finite(model, family, row, name, value):
    needed(row)
    with pytest.raises(ValueError, match=f"`{name}` must be a positive, finite number, got"):
        getattr(getattr(model, family), row)(seed=0, **{name: value})


@pytest.mark.parametrize("value", [2, -1, 0, 1, NAN])
def test_a_probability_is_between_0_and_1(model, value):
    with pytest.raises(ValueError, match="`target_accept_prob` must be a number between 0 and 1"):
        model.mcmc.numpyro_nuts(seed=0, target_accept_prob=value)


@pytest.mark.parametrize("value", [-1, 0, 16, 2.5, 10.0, (10, 0)])
def test_a_tree_has_a_depth_from_1_to_15(model, value):
    with pytest.raises(ValueError, match="`max_tree_depth` must be an integer from 1 to 15"):
        model.mcmc.numpyro_nuts(seed=0, max_tree_depth=value)


@pytest.mark.parametrize("value", [0, -3, 2.5])
def test_a_count_is_at_least_1(model, value):
    needed("blackjax_hmc")
    with pytest.raises(ValueError, match="`num_integration_steps` must be an integer of at least"):
        model.mcmc.blackjax_hmc(seed=0, num_integration_steps=value)


@pytest.mark.parametrize("value", ["x", True, np.True_])
def test_a_number_is_not_a_string_or_a_boolean(model, value):
    with pytest.raises(TypeError, match="`step_size` must be a positive, finite number, got"):
        model.mcmc.numpyro_nuts(seed=0, step_size=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step_size", None),
        ("step_size", np.array([0.1, 0.2])),
        ("step_size", np.float32(1e-9)),
        ("learning_rate", lambda step: 0.1 / step),
        ("max_tree_depth", (10, 5)),
        ("max_tree_depth", np.int64(15)),
        ("target_accept_prob", 0.8),
        ("rank", 1),
        ("unknown", -1),
    ],
)
def test_what_makes_sense_is_left_alone(name, value):
    meanings.check({name: value})


def test_a_word_is_allowed_where_it_is_the_default(model):
    meanings.check({"step_size": "auto"}, {"step_size": "auto"})
    with pytest.raises(TypeError, match="number, a schedule or 'auto', got 'large'"):
        meanings.check({"step_size": "large"}, {"step_size": "auto"})
    with pytest.raises(
        TypeError, match="`step_size` must be a positive, finite number, got 'auto'"
    ):
        model.mcmc.numpyro_nuts(seed=0, step_size="auto")


def _defaults():
    """Row, option and default of every algorithm whose backend is here."""
    for row in cw.ALGORITHMS:
        try:
            options = backend_options(row)
        except ImportError:
            continue
        yield from ((row, name, value) for name, value in options.items())


def test_no_default_is_refused():
    checked = 0
    for row, name, value in _defaults():
        if value is not REQUIRED:
            meanings.check({name: value}, row.defaults)
            checked += name in meanings.MEANINGS
    assert checked > 50


def test_an_option_means_the_same_in_every_row():
    """Defaults of fractions are fractions, and those of counts are integers, in every backend."""
    kinds: dict[str, set[str]] = {}
    for _, name, value in _defaults():
        if name in meanings.MEANINGS and isinstance(value, int | float):
            kinds.setdefault(name, set()).add(type(value).__name__)
    # `target` was a rate of acceptance in every row when this was written, `target_ess` a share of
    # the particles; an effective number of draws, or a function, would show here.
    fractions = {"target", "target_ess", "target_acceptance_rate", "target_accept_prob"}
    assert all(kinds[name] == {"float"} for name in fractions & kinds.keys())
    counts = {name for name in kinds if meanings.MEANINGS[name].whole}
    assert all(kinds[name] == {"int"} for name in counts), {n: kinds[n] for n in counts}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("num_samples", "num_draws"),
        ("draws", "num_draws"),
        ("samples", "num_draws"),
        ("n_chains", "num_chains"),
        ("chains", "num_chains"),
        ("tune", "num_warmup"),
        ("burn_in", "num_warmup"),
        ("warmup_steps", "num_warmup"),
        ("thin", "thinning"),
        ("init_params", "init"),
        ("progress_bar", "progress"),
        ("random_seed", "seed"),
        ("max_tree_dept", "max_tree_depth"),
    ],
)
def test_words_of_other_libraries_are_translated(model, word, meant):
    with pytest.raises(TypeError, match=f"no option `{word}`. Did you mean `{meant}`\\?"):
        model.mcmc.numpyro_nuts(seed=0, **{word: 10})


@pytest.mark.parametrize(
    ("row", "option"), [("numpyro_auto_normal", "optim"), ("blackjax_meanfield_vi", "optimizer")]
)
def test_the_learning_rate_of_a_fit_belongs_to_its_optimizer(model, row, option):
    needed(row)
    with pytest.raises(TypeError, match=f"belongs to the optimizer: `{option}=optax.adam"):
        getattr(model.vi, row)(seed=0, learning_rate=0.1)


def test_a_word_of_another_library_that_is_an_option_is_an_option():
    row = needed("blackjax_pathfinder")
    names = {*settings_of(row), *backend_options(row)}
    assert "num_samples" in names and "num_draws" in names


def test_keywords_of_a_call_go_into_kwargs_of_debug(model):
    with pytest.raises(TypeError, match=r"numpyro_nuts.debug\(seed, kwargs=\{'num_draws': 3\}\)"):
        model.mcmc.numpyro_nuts.debug(0, num_draws=3)
    with pytest.raises(TypeError, match=r"numpyro_nuts.debug\(seed, kwargs=\{'num_draws': 3\}\)"):
        model.debug(0, num_draws=3)


@pytest.mark.parametrize("seed", [2**32, 2**64, 2**70, -(2**31) - 1, np.uint64(2**40)])
def test_a_seed_has_32_bits(model, seed):
    with pytest.raises(ValueError, match="a seed has 32 bits"):
        model.mcmc.numpyro_nuts(seed=seed)


def test_the_greatest_seed_is_not_the_least():
    last, first = cw.core.keys.as_key(2**32 - 1), cw.core.keys.as_key(0)
    assert last != first
