"""Programs are traced outside the cache's lock: densities may call Crewel, threads may trace."""

from __future__ import annotations

import copy
import faulthandler
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crewel as cw
from crewel.core import compiling

RUN = {"num_chains": 2, "num_warmup": 50, "num_draws": 50, "progress": False}
PATIENCE = 120  # seconds, after which a test that hangs fails


def line(params, x):
    return x @ params["w"]


def data(rows, seed):
    x = np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)
    return x, (x @ [1.0, -2.0]).astype(np.float32)


def within(seconds, fn):
    """What `fn()` returns, or a failure where it hangs."""
    found = []

    def run():
        try:
            found.append(fn())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        faulthandler.dump_traceback()
        pytest.fail(f"Not done after {seconds} seconds.")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


@pytest.fixture(scope="module")
def teacher():
    example = {"w": jnp.zeros(2)}
    return cw.wrap(line, *data(30, 0), likelihood="gaussian", example=example).mcmc.numpyro_nuts(
        seed=0, **RUN
    )


def test_a_density_may_ask_another_posterior(teacher):
    """A student that learns what a teacher's posterior predicts, while its density is traced."""
    x, _ = data(10, 1)
    asked = []

    def density(params):
        wanted = teacher.predict(x)["predictions"]["outputs"].values.mean((0, 1))
        asked.append(wanted)
        return -0.5 * jnp.sum((line(params, x) - wanted) ** 2) - 0.5 * jnp.sum(params["w"] ** 2)

    student = cw.Model(density, {"w": jnp.zeros(2)})
    ensemble = within(
        PATIENCE,
        lambda: student.optimize.optax_adam(
            seed=0, num_particles=2, num_steps=800, learning_rate=0.05, progress=False
        ),
    )
    wanted = teacher.draws["w"].mean((0, 1)) @ x.T
    np.testing.assert_allclose(asked[0], wanted, rtol=1e-4, atol=1e-5)
    exact = np.linalg.solve(x.T @ x + np.eye(2), x.T @ wanted)
    np.testing.assert_allclose(ensemble.draws["w"][:, 0], [exact] * 2, atol=1e-3)
    post = within(PATIENCE, lambda: student.mcmc.numpyro_nuts(seed=0, **RUN))
    assert np.isfinite(post.draws["w"]).all()


def test_a_traced_prediction_says_so(teacher):
    with pytest.raises(TypeError, match="Predictions cannot be traced"):
        jax.jit(lambda x: teacher.predict(x)["predictions"]["outputs"].values.mean())(data(3, 1)[0])


def test_two_threads_trace_at_once():
    """Each density waits, while it is traced, until the other one is traced too."""
    barrier, met = threading.Barrier(2), threading.local()

    def model(scale):
        def density(params):
            if not hasattr(met, "other"):
                met.other = True
                barrier.wait(PATIENCE / 2)
            return -0.5 * jnp.sum((params / scale) ** 2)

        return cw.Model(density, jnp.zeros(2))

    models, found = [model(1.0), model(100.0)], {}

    def run(i):
        found[i] = models[i].mcmc.numpyro_nuts(seed=0, **RUN).draws.std()

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(found) == {0, 1}, "A thread failed or hangs."
    assert 0.3 < found[0] < 3 and 30 < found[1] < 300


def test_two_threads_run_the_same_programs():
    """Whoever traces and compiles first, both run the same code."""
    barrier, found = threading.Barrier(2), {}
    model = cw.Model(lambda p: -0.5 * jnp.sum(p**2), jnp.zeros(2))

    def run(i):
        barrier.wait(PATIENCE)
        found[i] = model.mcmc.numpyro_nuts(seed=0, **RUN).draws

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    np.testing.assert_array_equal(found[0], found[1])


def test_two_threads_compile_a_program_once():
    """The second waits for the first, and then finds the executable."""
    begun, go = threading.Event(), threading.Event()
    compiled = []

    class Lowered:
        out_info = ()

        def as_text(self):
            return ""

        def compile(self):
            compiled.append(threading.get_ident())
            begun.set()
            assert go.wait(PATIENCE)
            return lambda x: x + 1

    program = compiling.Program(Lowered())
    threads = [threading.Thread(target=program.compile, daemon=True) for _ in range(2)]
    threads[0].start()
    assert begun.wait(PATIENCE)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(compiled) == 1 and program(1) == 2


def test_a_model_of_an_equinox_network_can_be_copied():
    """The copy is another model with the same code, and its draws are the same."""
    x, y = data(20, 0)
    network = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    model = cw.wrap(network, x, y, likelihood="gaussian")
    call = RUN | {"num_warmup": 5}
    post = model.mcmc.numpyro_nuts(seed=0, **call)
    again = copy.deepcopy(model)
    assert again is not model and again.data["x"] is not model.data["x"]
    other = again.mcmc.numpyro_nuts(seed=0, **call)
    assert other.model is again
    jax.tree.map(np.testing.assert_array_equal, post.draws, other.draws)
    assert isinstance(other.network(), eqx.nn.MLP)
    copied = copy.deepcopy(post)
    jax.tree.map(np.testing.assert_array_equal, copied.draws, post.draws)
    longer = post.extend(3, progress=False), copied.extend(3, progress=False)
    jax.tree.map(np.testing.assert_array_equal, longer[0].draws, longer[1].draws)
