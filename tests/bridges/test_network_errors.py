"""What cannot be wrapped, and what the error says to do."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import pytest
from support.networks import Linen, data, haiku_net, plain, weights

import crewel as cw


@pytest.mark.parametrize(
    "thing, what",
    [
        (3, "a `builtins.int`"),
        ({1, 2}, "a `builtins.set`"),
        (Linen, "the class `Linen`"),
        (eqx.nn.MLP, "the class `MLP`"),
        (
            type("Torch", (), {"__call__": lambda self, x: x, "__module__": "torch.nn"})(),
            "a `torch.nn.Torch`",
        ),
    ],
)
def test_an_unknown_object_says_what_can_be_wrapped_and_how_by_hand(thing, what):
    x, y = data()
    with pytest.raises(TypeError) as caught:
        cw.wrap(thing, x, y, likelihood="gaussian")
    text = str(caught.value)
    assert f"Cannot wrap {what}." in text
    assert "flax.linen, flax.nnx, haiku, equinox" in text
    assert "by hand" in text and "example=params" in text


def test_a_function_without_parameters_says_what_it_needs():
    x, y = data()
    with pytest.raises(ValueError, match="needs example parameters: `wrap.apply, x, y, example="):
        cw.wrap(plain, x, y, likelihood="gaussian")
    with pytest.raises(ValueError, match="no parameters to sample"):
        cw.wrap(lambda p, x: x[:, 0], x, y, likelihood="gaussian", example={})
    named = {"w": weights()["w1"], "activation": "tanh"}
    with pytest.raises(
        TypeError, match="`example` holds `activation`, a str; parameters are arrays"
    ):
        cw.wrap(lambda p, x: x @ p["w"], x, y, likelihood="gaussian", example=named)
    with pytest.raises(TypeError, match="`init` must be.*it takes \\['a', 'b', 'c'\\]"):
        cw.wrap((lambda a, b, c: None, plain), x, y, likelihood="gaussian")


def test_haiku_with_several_functions_says_how_to_take_one():
    x, y = data()
    net = hk.multi_transform(lambda: (lambda x: hk.Linear(1)(x), (haiku_net, haiku_net)))
    with pytest.raises(TypeError, match="2 `apply` functions.*net.apply.0."):
        cw.wrap(net, x, y, likelihood="gaussian")
