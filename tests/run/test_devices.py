"""Programs and chains stay on the device that the model's arrays are committed to."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crewel.core.compiling import home

SETUP = """
import jax, jax.numpy as jnp, numpy as np, crewel as cw
from support import counting
x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
y = (x @ [1.0, -2.0]).astype(np.float32)
prior = lambda p: -0.5 * jnp.sum(p["w"] ** 2)
likelihood = lambda p, rows: -0.5 * (rows["y"] - rows["x"] @ p["w"]) ** 2
zero, one = jax.devices()
RUN = dict(seed=0, num_warmup=10, num_draws=20, progress=False)

def run(device, **call):
    data = {"x": x, "y": y}
    if device is not None:
        data = jax.device_put(data, device)
    parts = {"log_prior": prior, "log_likelihood": likelihood}
    model = cw.Model(None, {"w": jnp.zeros(2)}, data=data, **parts)
    return model.mcmc.numpyro_nuts(**RUN, **call)

def where(post):
    return {device for leaf in jax.tree.leaves(post.state) for device in leaf.devices()}
"""


def two_devices(code):
    """Run `code` in a process with two devices."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    paths = os.pathsep.join([os.getcwd(), tests, os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(code)],
        env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "method",
    ["auto", *(pytest.param(m, marks=pytest.mark.slow) for m in ("sequential", "vectorized"))],
)
def test_chains_run_where_the_data_must_stay(method):
    """Data committed to device 1, after the same on device 0, give equal draws that live there."""
    two_devices(
        f"""
        call = {{"chain_method": {method!r}}}
        first, second = run(zero, **call), run(one, **call)
        assert where(first) == {{zero}} and where(second) == {{one}}
        np.testing.assert_array_equal(first.draws["w"], second.draws["w"])
        for post in (first, second):
            post.extend(5, progress=False)
        for device in (zero, one):
            with counting() as counts:
                again = run(device, **call)
                longer = again.extend(5, progress=False)
            assert counts["compile"] == 0, counts
            np.testing.assert_array_equal(again.draws["w"], first.draws["w"])
            assert where(longer) == {{device}}
        """
    )


def test_free_arrays_and_those_on_the_first_device_share_programs():
    """Host arrays, free ones and those committed to the default device are one class."""
    two_devices(
        """
        call = {"chain_method": "sequential"}
        free = run(None, **call)
        assert where(free) == {zero}
        with counting() as counts:
            bound = run(zero, **call)
        assert counts["compile"] == 0, counts
        np.testing.assert_array_equal(bound.draws["w"], free.draws["w"])
        """
    )


def test_predictions_run_where_their_inputs_are():
    two_devices(
        """
        model = cw.wrap(lambda p, x: x @ p["w"], *jax.device_put((x, y), one),
                        likelihood="gaussian", example={"w": jnp.zeros(2)})
        post = model.mcmc.numpyro_nuts(num_chains=2, **RUN)
        assert where(post) == {one}
        there = post.predict(jax.device_put(x[:5], one))["predictions"]["outputs"]
        here = post.predict(jax.device_put(x[:5], zero))["predictions"]["outputs"]
        np.testing.assert_array_equal(there, here)
        np.testing.assert_allclose(there, post.draws["w"] @ x[:5].T, rtol=1e-5, atol=1e-6)
        assert np.isfinite(post.report().ess).all()
        """
    )


def test_home_of_arrays():
    device = jax.devices()[0]
    free, bound = jnp.zeros(2), jax.device_put(jnp.zeros(2), device)
    assert home({"a": free, "b": np.zeros(2), "c": jax.ShapeDtypeStruct((2,), np.float32)}) is None
    assert home([free, bound, jax.device_put(jax.random.key(0), device)]) == device
