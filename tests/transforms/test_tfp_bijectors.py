"""TFP's bijectors as transforms."""

from types import SimpleNamespace

import jax
import jax.flatten_util
import jax.numpy as jnp
import pytest
from support.transforms import SIMPLEX, assert_sound

from crewel.transforms.transform import build

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow_probability")


@pytest.fixture(scope="module")
def tfp():
    """TFP's bijectors and distributions; the tests that need them are skipped without it."""
    pytest.importorskip("tensorflow_probability")
    from tensorflow_probability.substrates import jax as tfp

    return SimpleNamespace(tfb=tfp.bijectors, tfd=tfp.distributions)


@quiet
def test_tfp_bijector_of_one_array_goes_to_each_leaf(tfp):
    params = {"a": jnp.array([0.5, 2.0, 1.0]), "b": {"c": jnp.float32(0.1)}}
    for bijector in (tfp.tfb.Exp(), tfp.tfb.Softplus(), tfp.tfb.Chain([tfp.tfb.Exp()] * 1)):
        assert_sound(build(bijector, params), params)
    simplex = build(tfp.tfb.Chain([tfp.tfb.SoftmaxCentered()]), {"p": SIMPLEX})
    assert simplex.inverse({"p": SIMPLEX})["p"].shape == (2, 2)
    bijector = tfp.tfb.Sigmoid(low=0.0, high=3.0)
    one, two = build(bijector, params), build(bijector, params)
    assert jax.tree.structure(one) == jax.tree.structure(two)


@quiet
def test_tfp_joint_bijector_counts_each_leaf_once(tfp):
    joint = tfp.tfb.JointMap({"a": tfp.tfb.Exp(), "b": tfp.tfb.Softplus()})
    params = {"a": jnp.array([0.5, 2.0, 1.0]), "b": jnp.float32(0.1)}
    assert_sound(build(joint, params), params)


@quiet
def test_tfp_default_event_space_bijector_of_a_pinned_model(tfp):
    tfd = tfp.tfd
    model = tfd.JointDistributionNamed(
        {
            "s": tfd.HalfNormal(1.0),
            "w": lambda s: tfd.LogNormal(jnp.zeros(3), s),
            "v": lambda s: tfd.Sample(tfd.Uniform(s, s + 2), 2),
            "y": lambda s: tfd.Normal(0.0, s),
        }
    ).experimental_pin(y=1.0)
    params = {"s": jnp.float32(0.5), "w": jnp.array([0.5, 2.0, 1.0]), "v": jnp.array([0.6, 2.0])}
    assert_sound(build(model.experimental_default_event_space_bijector(), params), params)
