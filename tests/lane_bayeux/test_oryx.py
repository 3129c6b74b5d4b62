"""Programs of Oryx: densities by hand, predictions by hand, and the tutorial's iris network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import oryx.distributions as bd
import pytest
from oryx.core import ppl
from sklearn.datasets import load_iris

import crewel as cw
from crewel.transforms.transform import build

QUICK = {"num_chains": 2, "num_warmup": 150, "num_draws": 150, "progress": False}


def dense(width, activation):
    def forward(key, x):
        w_key, b_key = jax.random.split(key)
        w = ppl.random_variable(bd.Sample(bd.Normal(0.0, 1.0), (x.shape[-1], width)), name="w")
        b = ppl.random_variable(bd.Sample(bd.Normal(0.0, 1.0), width), name="b")
        return activation(x @ w(w_key) + b(b_key))

    return forward


def network(widths, classes):
    def forward(key, x):
        *hidden, last = jax.random.split(key, len(widths) + 1)
        for i, (layer_key, width) in enumerate(zip(hidden, widths, strict=True)):
            x = ppl.nest(dense(width, jax.nn.relu), scope=f"layer_{i + 1}")(layer_key, x)
        return ppl.nest(dense(classes, lambda z: z), scope="head")(last, x)

    return forward


def classifier(widths, classes):
    """Labels of many rows: the network is written for one row and mapped."""

    def forward(key, rows):
        weights_key, label_key = jax.random.split(key)
        logits = jax.vmap(network(widths, classes), in_axes=(None, 0))(weights_key, rows)
        labels = bd.Independent(bd.Categorical(logits=logits), 1)
        return ppl.random_variable(labels, name="y")(label_key)

    return forward


def by_hand(params, x):
    """Logits of a network of two hidden layers."""
    for name in ("layer_1", "layer_2"):
        x = jax.nn.relu(x @ params[name]["w"] + params[name]["b"])
    return x @ params["head"]["w"] + params["head"]["b"]


def iris():
    x, y = load_iris(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    order = np.random.default_rng(0).permutation(150)
    return x[order[:100]], y[order[:100]], x[order[100:]], y[order[100:]]


PROGRAM = classifier([8, 6], 3)


@pytest.fixture(scope="module")
def model():
    x, y, _, _ = iris()
    return cw.Model.from_oryx(PROGRAM, x, observed={"y": y})


def test_parameters_are_nested_by_scope_and_drawn_by_joint_sample(model):
    shapes = {k: {n: v.shape for n, v in layer.items()} for k, layer in model.test_point.items()}
    assert shapes == {
        "layer_1": {"w": (4, 8), "b": (8,)},
        "layer_2": {"w": (8, 6), "b": (6,)},
        "head": {"w": (6, 3), "b": (3,)},
    }
    key = jax.random.key(3)
    own = ppl.joint_sample(PROGRAM)(key, iris()[0])
    drawn = model.initializers["prior"](key)
    np.testing.assert_allclose(drawn["layer_2"]["w"], own["layer_2"]["w"], rtol=1e-6)


def test_density_is_that_of_the_program(model):
    x, y, _, _ = iris()
    params = model.initializers["prior"](jax.random.key(1))
    prior = sum(dist.Normal().log_prob(leaf).sum() for leaf in jax.tree.leaves(params))
    likelihood = dist.Categorical(logits=by_hand(params, x)).log_prob(y).sum()
    target = model.target()
    np.testing.assert_allclose(model.log_density(params), prior + likelihood, rtol=1e-5)
    np.testing.assert_allclose(target.log_prior(params), prior, rtol=1e-5)
    np.testing.assert_allclose(target.log_likelihood(params), [likelihood], rtol=1e-5)

    def unmapped(key, rows):
        weights_key, label_key = jax.random.split(key)
        labels = bd.Independent(bd.Categorical(logits=network([8, 6], 3)(weights_key, rows)), 1)
        return ppl.random_variable(labels, name="y")(label_key)

    own = ppl.joint_log_prob(unmapped)({**params, "y": y}, x)
    np.testing.assert_allclose(model.log_density(params), own, rtol=1e-5)


def test_the_tutorials_network_runs_and_predicts(model):
    _, _, x, y = iris()
    ensemble = model.optimize.optax_adam(seed=0, num_particles=128, num_steps=300, progress=False)
    assert ensemble.draws["layer_1"]["w"].shape == (128, 1, 4, 8)
    votes = ensemble.predict(x)["predictions"]["y"].values[:, 0]
    share = (votes[..., None] == np.arange(3)).mean(0)
    assert (share.argmax(-1) == y).mean() > 0.9
    post = model.mcmc.numpyro_nuts(seed=0, init=ensemble, max_tree_depth=6, **QUICK)
    assert post.stats["diverging"].mean() < 0.05
    names = list(post.to_datatree()["posterior"].data_vars)
    assert names == ["head.b", "head.w", "layer_1.b", "layer_1.w", "layer_2.b", "layer_2.w"]
    made = post.predict(x)["predictions"]
    labels = made["y"].values
    np.testing.assert_array_equal(labels, made["output"].values)
    probabilities = np.asarray(
        jax.vmap(jax.vmap(lambda p: jax.nn.softmax(by_hand(p, x))))(post.draws)
    )
    share = (labels[..., None] == np.arange(3)).mean((0, 1))
    # A mean of 300 Bernoulli draws whose probabilities are known, all rows and classes together.
    error = np.sqrt((probabilities * (1 - probabilities)).sum((0, 1))) / 300
    off = np.abs(share - probabilities.mean((0, 1)))
    assert (off < 5 * error + 1 / 300).all()
    assert np.sqrt((off**2).sum()) < 2 * np.sqrt((error**2).sum())
    assert (probabilities.mean((0, 1)).argmax(-1) == y).mean() > 0.9


def test_new_data_compile_nothing():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    x, y, _, _ = iris()
    program = classifier([3], 3)

    def all_of(rows, seed):
        made = cw.Model.from_oryx(program, x[rows], observed={"y": y[rows]})
        post = made.mcmc.numpyro_nuts(
            seed=seed, num_chains=1, num_warmup=5, num_draws=5, progress=False
        )
        return post.predict(x[:4])

    all_of(slice(0, 20), 0)
    assert compiled
    compiled.clear()
    all_of(slice(20, 40), 1)
    assert compiled == []


def scaled(key, x):
    """A positive latent, and an observed value in a scope of its own."""
    scale_key, y_key = jax.random.split(key)
    scale = ppl.random_variable(bd.HalfNormal(2.0), name="scale")(scale_key)
    observe = ppl.random_variable(bd.Independent(bd.Normal(x, scale), 1), name="y")
    return ppl.nest(observe, scope="data")(y_key)


def test_supports_are_given_and_scopes_observed():
    x, y = np.zeros(3, np.float32), np.array([0.5, -1.0, 2.0], np.float32)
    model = cw.Model.from_oryx(
        scaled, x, observed={"data": {"y": y}}, transform_fn=dist.constraints.positive
    )
    assert list(model.test_point) == ["scale"]
    u = {"scale": jnp.asarray(0.3)}
    scale = np.exp(0.3)
    own = dist.HalfNormal(2.0).log_prob(scale) + dist.Normal(0.0, scale).log_prob(y).sum() + 0.3
    np.testing.assert_allclose(model.target().log_density(u), own, rtol=1e-5)
    post = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    assert (post.draws["scale"] > 0).all()
    made = post.predict(np.full(2, 100.0, np.float32))["predictions"]
    assert made["data.y"].shape == (2, 150, 2)
    assert abs(made["data.y"].values.mean() - 100) < 1


def test_weights_under_vmap_keep_their_prior_and_plates_their_density():
    """Oryx 0.2.9 alone drops both on JAX 0.5."""
    from jax.interpreters import batching

    x = jnp.arange(12.0).reshape(4, 3) / 6
    before = dict(batching.fancy_primitive_batchers)

    def plate(key, rows):
        scale_key, key = jax.random.split(key)
        scale = ppl.random_variable(bd.HalfNormal(1.0), name="scale")(scale_key)

        def one(key, row):
            return ppl.random_variable(bd.Normal(row.sum(), scale), name="z")(key)

        return jax.vmap(one)(jax.random.split(key, rows.shape[0]), rows)

    model = cw.Model.from_oryx(plate, x, observed={}, transform_fn={"scale":
                               dist.constraints.positive, "z": None})  # fmt: skip
    params = {"scale": jnp.asarray(0.7), "z": jnp.arange(4.0)}
    own = dist.HalfNormal(1.0).log_prob(0.7)
    own += dist.Normal(x.sum(1), 0.7).log_prob(params["z"]).sum()
    np.testing.assert_allclose(model.log_density(params), own, rtol=1e-5)
    assert batching.fancy_primitive_batchers == before


def test_errors(model):
    x, y, _, _ = iris()
    with pytest.raises(ValueError, match="`labels`, which the program does not name.*`layer_1.b`"):
        cw.Model.from_oryx(PROGRAM, x, observed={"labels": y})
    for value in (jax.random.normal, lambda key: jnp.zeros(())):
        with pytest.raises(ValueError, match="names 1 values, `z`, .* the density of 0 of them"):
            cw.Model.from_oryx(lambda k, v=value: ppl.random_variable(v, name="z")(k), observed={})
    post = model.optimize.optax_adam(seed=0, num_particles=1, num_steps=1, progress=False)
    with pytest.raises(TypeError, match="takes no keywords, got rows"):
        post.predict(rows=x)
    with pytest.raises(ValueError, match="log likelihood of all data at once"):
        post.log_likelihood()


def test_softplus_is_inverted_after_oryx_is_imported():
    """Oryx puts `jax.nn.softplus` into a call of its own."""
    transform = build(jax.nn.softplus, jnp.array(2.0))
    np.testing.assert_allclose(transform.inverse(jnp.array(2.0)), np.log(np.expm1(2.0)), rtol=1e-6)
    np.testing.assert_allclose(transform.log_det(jnp.array(-80.0)), -80.0, rtol=1e-6)
