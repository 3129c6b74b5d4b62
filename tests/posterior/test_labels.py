"""Labels of classes, such as strings, from `wrap` to predictions, scores and plots."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.networks import posterior_of

import crewel as cw
from crewel import metrics
from crewel.core.labels import classes_of
from crewel.run import held_out

ROWS = 30
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
NAMES = np.array(["cat", "dog", "emu"])
NUMBERS = np.random.default_rng(1).integers(0, 3, ROWS)
NUMBERS[:3] = 0, 1, 2
PETS = NAMES[NUMBERS]


def model(y, likelihood="categorical", *outputs):
    return cw.wrap(
        lambda p, x: jnp.tensordot(x, p["w"], 1), X, y, likelihood=likelihood,
        example={"w": jnp.zeros((3, *outputs))},
    )  # fmt: skip


def as_pandas(dtype):
    pd = pytest.importorskip("pandas")
    return pd.Series(PETS, dtype=dtype)


FORMS = {
    "array": lambda: PETS,
    "objects": lambda: PETS.astype(object),
    "list": lambda: PETS.tolist(),
    "series": lambda: as_pandas(None),
    "series of objects": lambda: as_pandas(object),
    "series of strings": lambda: as_pandas("string"),
    "categorical": lambda: as_pandas("category"),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_become_the_numbers_of_sorted_classes(form):
    y = FORMS[form]()
    found = model(y, "categorical", 3)
    np.testing.assert_array_equal(found.data["y"], NUMBERS)
    assert found.predictive.classes.names == ("cat", "dog", "emu")
    plain = model(NUMBERS, "categorical", 3)
    assert plain.predictive.classes is None
    assert found.log_density(found.test_point) == plain.log_density(plain.test_point)


def test_predictions_and_scores_carry_the_labels():
    named = posterior_of(model(PETS, "categorical", 3), draws=5)
    plain = posterior_of(model(NUMBERS, "categorical", 3), draws=5)
    probability = named.predict(X)["predictions"]["probability"]
    assert probability.coords["probability_dim_1"].values.tolist() == ["cat", "dog", "emu"]
    numbers = plain.predict(X)["predictions"]["probability"]
    np.testing.assert_array_equal(probability.sel(probability_dim_1="dog"), numbers[..., 1])
    scores = named.metrics(X, PETS)
    assert scores == plain.metrics(X, NUMBERS) == named.metrics(X, NUMBERS)
    mean = probability.mean(("chain", "draw"))
    assert metrics.accuracy(mean, PETS) == scores["accuracy"]
    np.testing.assert_allclose(metrics.ece(mean, PETS.tolist()), scores["ece"], rtol=1e-4)
    np.testing.assert_array_equal(
        named.log_likelihood(X, PETS)["log_likelihood"]["y"],
        plain.log_likelihood()["log_likelihood"]["y"],
    )
    np.testing.assert_array_equal(
        named.report(X, PETS).cumulative_lppd, plain.report().cumulative_lppd
    )
    held, _ = held_out.find((X, PETS), named.model)
    np.testing.assert_array_equal(held.y, NUMBERS)
    assert "probability[0, emu]" in named.summary().index


def test_labels_that_are_not_known():
    post = posterior_of(model(PETS, "categorical", 3))
    wrong = PETS.copy()
    wrong[7] = "eel"
    with pytest.raises(ValueError, match=r"`y` in row 7 is .*'eel'.*'cat'`, `'dog'`, `'emu'"):
        post.metrics(X, wrong)
    missing = PETS.astype(object)
    missing[4] = None
    for use in (lambda: post.log_likelihood(X, missing), lambda: model(missing, "categorical", 3)):
        with pytest.raises(ValueError, match="row 4 is missing"):
            use()
    with pytest.raises(TypeError, match="holds strings"):  # the model was given numbers
        posterior_of(model(NUMBERS, "categorical", 3)).metrics(X, PETS)
    with pytest.raises(TypeError, match="does not name its classes"):
        metrics.accuracy(np.full((ROWS, 3), 1 / 3), PETS)


@pytest.mark.parametrize(
    ("likelihood", "outputs", "error", "words"),
    [
        ("gaussian", (), TypeError, "holds strings; pass numbers"),
        ("poisson", (), TypeError, "holds strings; pass numbers"),
        (lambda out, _: dist.Normal(out, 1.0), (), TypeError, "a Normal, is not over classes"),
        ("bernoulli", (), ValueError, "3 labels .*has 2 classes"),
        ("categorical", (4,), ValueError, "3 labels .*has 4 classes.*pandas.Categorical"),
    ],
)
def test_likelihoods_that_do_not_fit_the_labels(likelihood, outputs, error, words):
    with pytest.raises(error, match=words):
        model(PETS, likelihood, *outputs)


def test_the_categories_of_a_column_keep_their_order():
    """Also those that do not occur, which ordered classes need."""
    pd = pytest.importorskip("pandas")
    sizes = np.array(["small", "large"])[NUMBERS // 2]
    order = ["small", "medium", "large"]

    def ordered(outputs, latents):
        return dist.OrderedLogistic(outputs, jnp.array([-1.0, 1.0]))

    y = pd.Series(pd.Categorical(sizes, categories=order))
    found = model(y, ordered)
    np.testing.assert_array_equal(found.data["y"], np.where(sizes == "small", 0, 2))
    probability = posterior_of(found).predict(X)["predictions"]["probability"]
    assert probability.coords["probability_dim_1"].values.tolist() == order
    assert posterior_of(found).metrics(X, y)["accuracy"] >= 0
    with pytest.raises(ValueError, match="have an order, and strings have none"):
        model(PETS, ordered)
    years = model(pd.Series(2000 + NUMBERS, dtype="category"), "categorical", 3)
    np.testing.assert_array_equal(years.data["y"], NUMBERS)
    scores = posterior_of(years).metrics(X, 2000 + NUMBERS)  # the labels are numbers
    assert scores == posterior_of(years).metrics(X, pd.Series(2000 + NUMBERS, dtype="category"))


def test_booleans_are_classes_even_if_one_is_missing():
    y = np.ones(ROWS, bool)
    found = model(y, "bernoulli")
    np.testing.assert_array_equal(found.data["y"], 1)
    post = posterior_of(found)
    probability = post.predict(X)["predictions"]["probability"]
    assert probability.coords["probability_dim_1"].values.tolist() == [False, True]
    assert post.metrics(X, y) == post.metrics(X, y.astype(int))
    as_numbers = model(y, lambda out, _: dist.Normal(out, 1.0))
    assert as_numbers.predictive.classes is None
    assert classes_of(jnp.asarray(y)).names == (False, True)


def test_labels_of_a_sequence():
    y = np.stack([PETS, PETS[::-1]], 1)
    post = posterior_of(model(y, "categorical", 2, 3))
    probability = post.predict(X)["predictions"]["probability"]
    assert probability.sel(probability_dim_2="emu").shape == (2, 3, ROWS, 2)
    mean = probability.mean(("chain", "draw"))
    assert post.metrics(X, y)["accuracy"] == metrics.accuracy(mean, y)


def test_a_picture_names_the_classes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.pyplot import close

    from crewel import plots

    probability = posterior_of(model(PETS, "categorical", 3)).predict(X)["predictions"][
        "probability"
    ]
    predicted = NAMES[probability.mean(("chain", "draw")).values.argmax(-1)]
    wrong = [pair for pair in zip(PETS, predicted, strict=True) if pair[0] != pair[1]]
    pairs, number = np.unique(wrong, axis=0, return_counts=True)
    true, taken = pairs[number.argmax()]
    ax = plots.plot_class_probabilities(probability, PETS)
    words = [text.get_text() for text in ax.get_legend().get_texts()][1]
    assert words == f"wrong ({len(wrong)} rows), most often {true} taken for {taken}"
    close("all")
