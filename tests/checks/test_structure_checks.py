"""Checks of structure: dtypes, shapes, a scalar log density."""

import jax.numpy as jnp
import pytest
from support.checks import GOOD, W, X, Y, check, exp, log_likelihood, normal

import crewel as cw


@pytest.mark.parametrize("leaf", [jnp.ones(2, jnp.int32), jnp.ones(2, bool)])
def test_integers_and_booleans_are_no_parameters(leaf):
    with pytest.raises(TypeError, match=r"`w` is of type (int32|bool); gradients need parameters"):
        cw.Model(normal, {"w": leaf})
    model = cw.Model(normal, {"w": jnp.ones(2)})
    model.test_point = {"w": leaf}  # as a bridge might
    found = check("test point", model)
    assert found.status == "failed"
    assert f"`w` is of type {leaf.dtype}" in found.message


def test_mixed_and_low_precision_are_named_and_python_numbers_said():
    mixed = cw.Model(normal, {"a": jnp.ones(2, jnp.float16), "b": 1.0})
    found = check("test point", mixed)
    assert found.status == "warned"
    assert "float16: `a`; float32: `b`. Python numbers, `b`, take JAX's default" in found.message
    low = check("test point", cw.Model(normal, {"a": jnp.ones(2, jnp.bfloat16)}))
    assert low.status == "warned" and "All leaves are bfloat16" in low.message
    fine = check("test point", cw.Model(normal, {"a": 1.0, "b": jnp.ones(3)}))
    assert fine.status == "passed"
    assert fine.message == "4 parameters in 2 leaves, float32; Python numbers: `a`."


def test_structure_notices_a_changed_type():
    def narrowed(u):
        return {"w": jnp.exp(u["w"]).astype(jnp.float16)}

    model = cw.Model(
        normal,
        {"w": jnp.ones(2)},
        narrowed,
        inverse_transform_fn=lambda p: {"w": jnp.log(p["w"]).astype(jnp.float32)},
        inverse_log_det_jacobian=lambda p: -jnp.log(p["w"]).sum(),
    )
    found = check("structure", model)
    assert found.status == "failed"
    assert "`w` is float32 in the test point, but float16 after the transform" in found.message
    assert check("structure", cw.Model(normal, W, exp)).status == "passed"


def test_structure_notices_other_trees_and_shapes():
    model = cw.Model(normal, W, exp)
    transform = model._target.transform

    def with_forward(forward):
        changed = cw.Model(normal, W, exp)
        target = {**model._target.__dict__, "transform": transform._replace(forward=forward)}
        changed._target = type(model._target)(**target)
        return check("structure", changed)

    assert "The transform returns PyTreeDef" in with_forward(lambda u: [u["w"]]).message
    assert "(3,) in the test point, but (1,)" in with_forward(lambda u: {"w": u["w"][:1]}).message


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (lambda p: -(p["w"] ** 2), "has shape (3,); it must be a scalar, `()`. Return its `.sum"),
        (lambda p: log_likelihood(p, {"x": X, "y": Y}), "the 20 rows of the data: the sum over"),
        (
            lambda p: log_likelihood(p, {"x": X, "y": Y[:, None]}),
            "Two axes have the 20 rows of the data",
        ),
        (lambda p: normal(p)[None], "It holds one value: return `value[0]`"),
        (lambda p: (normal(p), p), "returns 2 values"),
        (lambda p: jnp.sum(p["w"] > 0), "of type int32; it must be a float"),
    ],
)
def test_log_density_must_be_a_real_scalar(density, message):
    found = check("log density shape", cw.Model(density, W))
    assert found.status == "failed"
    assert message in found.message


def test_log_density_that_is_a_scalar_passes():
    assert check("log density shape", GOOD).message == "A scalar, float32."
