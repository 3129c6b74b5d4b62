"""What the driver does for every backend: starts, placement, interrupts, memory, bad input."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting

import crewel as cw
from crewel import methods
from crewel.core import compiling
from crewel.core.protocol import Algorithm, Backend
from crewel.run import blocks, execution, initial
from crewel.run.placement import PARTICLES_PER_BLOCK, cores, join, place, take
from crewel.run.progress import Progress

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


def log_density_of(model, position):
    return jax.vmap(model.target().log_density)(position)


# --- where chains start -------------------------------------------------------------------------


def starts(model, init, num_chains=3):
    keys = jax.random.split(jax.random.key(0), num_chains)
    return initial.find(model, model.target(), init, num_chains, keys)


def test_uniform_start_is_within_two_of_zero(model):
    start = starts(model, None, 200)
    x = np.asarray(start.positions["x"])
    assert x.shape == (200, 2) and np.abs(x).max() <= 2 and np.abs(x).max() > 1.9
    np.testing.assert_allclose(start.log_density, log_density_of(model, start.positions), rtol=1e-6)


def test_explicit_start_is_taken_as_it_is(model):
    point = {"rate": jnp.array(2.0), "x": jnp.array([1.0, -1.0])}
    one = starts(model, point).positions
    np.testing.assert_allclose(one["rate"], np.log([2.0] * 3), rtol=1e-6)
    each = {"rate": jnp.array([1.0, 2.0, 3.0]), "x": jnp.arange(6.0).reshape(3, 2)}
    three = starts(model, each).positions
    np.testing.assert_allclose(three["rate"], np.log([1.0, 2.0, 3.0]), rtol=1e-6)
    np.testing.assert_array_equal(three["x"], each["x"])


def test_model_with_initial_state_starts_there():
    model = cw.Model(lambda p: -(p**2), 0.0, initial_state=jnp.array(0.25))
    np.testing.assert_array_equal(starts(model, None).positions, [0.25] * 3)


def test_sampler_of_the_model_is_the_default_start():
    model = cw.Model(lambda p: -(p**2), 0.0, initializers={"prior": lambda key: jnp.array(7.0)})
    np.testing.assert_array_equal(starts(model, None).positions, [7.0] * 3)
    assert not np.any(np.asarray(starts(model, "uniform").positions) == 7.0)


def test_start_is_drawn_again_until_the_density_is_finite():
    model = cw.Model(lambda p: jnp.where(p > 1.5, -(p**2), -jnp.inf), 1.75)
    assert np.all(np.asarray(starts(model, None, 50).positions) > 1.5)


def test_warm_start_takes_the_latest_points_and_the_finite_ones(model):
    post = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    np.testing.assert_allclose(
        np.exp(starts(model, post).positions["rate"]), post.draws["rate"][:, -1], rtol=1e-5
    )
    post.draws["rate"][1, -1] = np.nan
    taken = np.exp(starts(model, post).positions["rate"])
    np.testing.assert_allclose(taken, post.draws["rate"][[0, 2, 0], [-1, -1, -2]], rtol=1e-5)


def test_warm_start_from_an_ensemble(model):
    ensemble = model.optimize.optax_adam(seed=0, num_particles=4, num_steps=50, progress=False)
    start = starts(model, ensemble, 4)
    np.testing.assert_allclose(
        np.exp(start.positions["rate"]), ensemble.draws["rate"][:, 0], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("init", "text"),
    [
        ({"rate": jnp.ones(())}, "another structure"),
        ({"rate": jnp.ones(()), "x": jnp.zeros(5)}, r"`x` has shape \(5,\)"),
        ({"rate": jnp.ones(3), "x": jnp.zeros(2)}, "chain axis in some leaves"),
        ("nowhere", "uniform"),
    ],
)
def test_init_that_does_not_fit(model, init, text):
    with pytest.raises(ValueError, match=text):
        model.mcmc.numpyro_nuts(seed=0, init=init, **QUICK)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log_density", "text"),
    [
        (lambda p: -(p["x"] ** 2), r"shape \(4,\); it must be a scalar"),
        (lambda p: jnp.sum(p["x"]) * jnp.nan, "`test_point` is nan"),
        (lambda p: jnp.where(jnp.all(p["x"] == 0), 0.0, -jnp.inf), "-inf at the initial state"),
        (lambda p: -jnp.sum(jnp.sqrt(p["x"] ** 2 * 0)), "gradient .* with respect to `x`"),
    ],
)
def test_broken_log_density_fails_before_sampling(log_density, text, monkeypatch):
    monkeypatch.setattr(execution, "execute", lambda *_, **__: pytest.fail("sampling began"))
    model = cw.Model(log_density, {"x": jnp.zeros(4)})
    with pytest.raises(ValueError, match=text):
        model.mcmc.numpyro_nuts(seed=0, progress=False)


def test_integer_leaf_is_named():
    with pytest.raises(TypeError, match=r"`a.n` is of type int32"):
        cw.Model(lambda p: 0.0, {"a": {"n": jnp.arange(3), "x": 0.0}})


@pytest.mark.parametrize("name", ["num_chains", "num_draws", "thinning"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_counts_must_be_positive_integers(model, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1"):
        model.mcmc.numpyro_nuts(seed=0, **{name: value})


def test_other_bad_words(model):
    with pytest.raises(ValueError, match="`num_warmup` must be an integer of at least 0"):
        model.mcmc.numpyro_nuts(seed=0, num_warmup=-1)
    with pytest.raises(ValueError, match="`chain_method` must be one of auto"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="pmap")
    with pytest.raises(TypeError, match="`seed` must be an integer or a PRNG key, got str"):
        model.mcmc.numpyro_nuts(seed="0")
    with pytest.raises(TypeError, match="Did you mean `target_accept_prob`"):
        model.mcmc.numpyro_nuts(seed=0, target_accept=0.9)
    with pytest.raises(AttributeError, match="Nearest: `numpyro_nuts`"):
        _ = model.mcmc.numpyro_nut
    with pytest.raises(AttributeError, match=r"It is in `model\.optimize`"):
        _ = model.mcmc.optax_adam
    with pytest.raises(ValueError, match="rows"):
        cw.Model(lambda p, d: 0.0, 0.0, data={"x": jnp.zeros(3), "y": jnp.zeros(4)})


def absent(**changes) -> Algorithm:
    return dataclasses.replace(cw.ALGORITHMS["blackjax_nuts"], **changes)


def test_missing_backend_says_what_to_install(model):
    nobody = Backend("nobody", "nobody", extra="nobody")
    row = absent(name="nobody_nuts", backend=nobody, option_sources=("nobody.f",))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crewel\[nobody\]'"):
        methods.Method(model, row)(seed=0)


def test_broken_backend_keeps_its_own_error(model, monkeypatch, tmp_path):
    (tmp_path / "broken_backend.py").write_text("from jax import no_such_name")
    monkeypatch.syspath_prepend(tmp_path)
    row = absent(backend=Backend("broken", "broken_backend"))
    with pytest.raises(ImportError, match="installed but does not import: cannot import name 'no_"):
        methods.Method(model, row)(seed=0)


def test_old_backend_says_its_version(model):
    row = absent(option_sources=("blackjax.nuts_of_tomorrow",))
    with pytest.raises(ImportError, match=r"needs a newer `blackjax` than \d.*--upgrade 'crewel"):
        methods.Method(model, row)(seed=0)


def test_missing_need_is_said_before_anything_runs(model):
    with pytest.raises(ValueError, match="needs a model with `data`"):
        methods.Method(model, absent(needs=frozenset({"data"})))(seed=0)


# --- placement ----------------------------------------------------------------------------------


def test_blocks_cover_every_chain_once():
    row = next(row for row in cw.ALGORITHMS if row.family.name == "optimize")
    for number in (1, 2, 7, 16, 17, 128, 129):
        placement = place(row, "auto", number)
        assert len({len(block) for block in placement.blocks}) == 1
        assert max(map(len, placement.blocks)) <= PARTICLES_PER_BLOCK
        assert set(np.concatenate(placement.blocks)) == set(range(number))
        chains = {"x": jnp.arange(number)}
        parts = [take(chains, block, placement.batched) for block in placement.blocks]
        np.testing.assert_array_equal(join(parts, placement)["x"], np.arange(number))


def test_auto_on_a_cpu_runs_single_chains_in_threads():
    row = cw.ALGORITHMS[0]
    placement = place(row, "auto", 5)
    assert not placement.batched and placement.threads == min(cores(), 5)
    assert [list(block) for block in placement.blocks] == [[0], [1], [2], [3], [4]]


def run_alone(code: str) -> str:
    """Run code in a new process, of its own devices and memory."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_chains_are_spread_over_the_devices_that_there_are():
    out = run_alone(
        """
        import os
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"
        import jax, jax.numpy as jnp, numpy as np, crewel as cw
        from crewel.run.placement import place
        row = cw.ALGORITHMS[0]
        print([place(row, "auto", n).devices for n in (1, 2, 3, 4, 6, 7)])
        model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(2))
        kw = dict(seed=0, num_chains=6, num_warmup=10, num_draws=8, progress=False)
        spread = model.mcmc.numpyro_nuts(**kw)
        print({len(leaf.sharding.device_set) for leaf in jax.tree.leaves(spread.state)})
        one = model.mcmc.numpyro_nuts(chain_method="vectorized", **kw)
        print(np.abs(spread.draws[:, 0] - one.draws[:, 0]).max() < 1e-4)
        again = spread.extend(2, progress=False)
        print(again.draws.shape)
        """
    )
    assert out.split("\n")[:4] == ["[1, 2, 3, 2, 3, 1]", "{3}", "True", "(6, 10, 2)"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_peak_memory_is_below_twice_the_draws():
    """Four chains of 1,000 draws of 40,000 values: 640 MB of draws."""
    out = run_alone(
        """
        import re, jax.numpy as jnp, numpy as np, crewel as cw
        def peak():
            status = open("/proc/self/status").read()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024
        model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(40_000))
        kw = dict(seed=0, num_warmup=2, num_integration_steps=1, progress=False)
        model.mcmc.blackjax_hmc(num_draws=1, **kw)
        before = peak()
        post = model.mcmc.blackjax_hmc(num_draws=1000, **kw)
        print((peak() - before) / post.draws.nbytes)
        """
    )
    assert 1.0 <= float(out) < 2.0


# --- runs ---------------------------------------------------------------------------------------


def test_interrupt_returns_what_was_drawn(model, monkeypatch):
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one step a chunk
    whole = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    advance = Progress.advance
    calls = []

    def interrupted(self, steps, stats=None):
        advance(self, steps, stats)
        calls.append(steps)
        if len(calls) == 10 + 20 + 10 + 5:  # the second chain's fifth draw
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    with pytest.warns(
        UserWarning, match="Returning 5 of 20 draws of 2 of 3 chains. Up to 15 further draws"
    ):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **QUICK)
    np.testing.assert_array_equal(cut.draws["rate"], whole.draws["rate"][:2, :5])
    assert all(value.shape == (2, 5) for value in cut.stats.values())
    monkeypatch.setattr(Progress, "advance", advance)
    on = cut.extend(10, progress=False)
    # Chain 0 had all of its 20 draws, and chain 1 goes on from its fifth: no draw is lost.
    np.testing.assert_array_equal(on.draws["rate"], whole.draws["rate"][:2, :15])
    np.testing.assert_array_equal(on.surplus.count, [5, 0])
    far = on.extend(20, progress=False)
    longer = whole.extend(15, progress=False)
    np.testing.assert_array_equal(far.draws["rate"], longer.draws["rate"][:2])
    jax.tree.map(np.testing.assert_array_equal, far.stats, cut_to(longer.stats, 2))
    assert far.surplus is None


def cut_to(stats, chains):
    return {name: leaf[:chains] for name, leaf in stats.items()}


def test_interrupt_before_any_draw_is_passed_on(model, monkeypatch):
    def interrupted(self, steps, stats=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match="nothing to return"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **QUICK)


def test_error_in_one_chain_stops_the_run(model, monkeypatch):
    def broken(self, *_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(blocks.Run, "_draw", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        model.mcmc.numpyro_nuts(seed=0, **QUICK)


def test_collect_keeps_a_function_of_the_parameters(model):
    plain = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    kept = model.mcmc.numpyro_nuts(seed=0, collect=square, **QUICK)
    np.testing.assert_allclose(kept.draws, plain.draws["rate"] ** 2, rtol=1e-6)
    with pytest.raises(ValueError, match="kept what `collect=` returned"):
        model.mcmc.numpyro_nuts(seed=0, init=kept, **QUICK)


def square(params):
    return params["rate"] ** 2


def test_divergence_between_kept_draws_is_not_lost(model):
    options = {"num_chains": 2, "num_warmup": 0, "progress": False, "step_size": 1.5}
    every = model.mcmc.numpyro_nuts(seed=2, num_draws=400, **options)
    tenth = model.mcmc.numpyro_nuts(seed=2, num_draws=40, thinning=10, **options)
    expected = every.stats["diverging"].reshape(2, 40, 10).any(-1)
    assert expected.sum() > 0
    np.testing.assert_array_equal(tenth.stats["diverging"], expected)


def linear(params, data):
    return -jnp.sum((data["y"] - data["x"] * params) ** 2)


def with_data(seed, rows=30):
    x, y = np.random.default_rng(seed).normal(size=(2, rows)).astype("float32")
    return cw.Model(linear, 0.0, data={"x": x, "y": y})


def test_new_data_of_the_same_shape_compiles_nothing():
    first = with_data(0).mcmc.numpyro_nuts(seed=0, **QUICK)
    with counting() as counts:
        second = with_data(1).mcmc.numpyro_nuts(seed=0, **QUICK)
    # Building a `Model` runs a few small operations; the programs of the run are all reused.
    assert counts["compile"] == 0
    assert not np.array_equal(first.draws, second.draws)
    with counting() as counts:
        with_data(1, rows=31).mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] > 0


def test_what_has_not_changed_is_not_compiled_again(model):
    call = QUICK | {"num_warmup": 30, "num_draws": 20}
    model.mcmc.numpyro_nuts(seed=0, **call)
    for change, compiled in (
        ({"num_draws": 60}, 0),  # fits the same buffer
        ({"num_draws": 200}, 1),  # the draws
        ({"thinning": 2}, 1),
        ({"num_warmup": 40}, 2),  # its start and its steps
    ):
        with counting() as counts:
            model.mcmc.numpyro_nuts(seed=1, **call | change)
        assert counts["compile"] == compiled, change


def test_array_options_are_arguments(model):
    metric = {"inverse_mass_matrix": jnp.ones(3), "adapt_mass_matrix": False}
    model.mcmc.numpyro_nuts(seed=0, **QUICK, **metric)
    metric["inverse_mass_matrix"] = jnp.array([1.0, 2.0, 3.0])
    with counting() as counts:
        model.mcmc.numpyro_nuts(seed=0, **QUICK, **metric)
    assert counts == {"trace": 0, "compile": 0}


def test_option_that_can_be_neither_code_nor_data(model):
    with pytest.raises(TypeError, match="Option `dense_mass` holds a set"):
        model.mcmc.numpyro_nuts(seed=0, dense_mass={1}, **QUICK)


def walk(target, key, state):
    position = jax.tree.map(lambda leaf: leaf + 1.0, state)
    value = jax.vmap(target.log_density)(position)
    return position, position, {"lp": value, "step_size": jnp.float32(0.5)}


def test_cross_chain_rows_get_all_chains_at_once(model):
    row = Algorithm(
        name="toy_walk", family=cw.FAMILIES["mcmc"], summary="s", reference="r",
        backend=Backend("toy", "numpyro"), option_sources=(), cross_chain=True, step=walk,
        warmup=lambda target, key, position, num_warmup: position,
    )  # fmt: skip
    start = {"rate": jnp.array([1.0, 2.0, 4.0]), "x": jnp.zeros((3, 2))}
    post = model.mcmc(row)(seed=0, init=start, **QUICK)
    steps = np.arange(1, 21)
    np.testing.assert_allclose(
        post.draws["x"], np.broadcast_to(steps[None, :, None], (3, 20, 2)), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.log(post.draws["rate"]), np.log(start["rate"])[:, None] + steps, rtol=1e-5
    )
    assert post.stats["lp"].shape == (3, 20)
    np.testing.assert_array_equal(post.stats["step_size"], np.full((3, 20), 0.5))


def test_keys_of_a_chain_do_not_depend_on_the_number_of_chains(model):
    few = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    more = model.mcmc.numpyro_nuts(seed=0, **(QUICK | {"num_chains": 5}))
    np.testing.assert_array_equal(few.draws["rate"], more.draws["rate"][:3])


def test_transform_sees_one_sample_at_a_time():
    """`cumsum` over a batch would add up chains."""
    model = cw.Model(
        lambda p: -jnp.sum(p**2),
        jnp.array([1.0, 3.0]),
        jnp.cumsum,
        inverse_transform_fn=lambda p: jnp.concatenate([p[:1], jnp.diff(p)]),
        inverse_log_det_jacobian=lambda p: 0.0,
    )
    post = model.mcmc.numpyro_nuts(seed=0, num_draws=500, num_warmup=300, progress=False)
    of_mean, of_sd = support.errors(post.draws, np.zeros(2), np.full(2, 0.5**0.5))
    assert np.abs(of_mean).max() < 5 and np.abs(of_sd).max() < 5


def test_names_list_every_row():
    model = support.small()
    assert set(dir(model.mcmc)) == {r.name for r in cw.ALGORITHMS if r.family.name == "mcmc"}
    assert sorted(repr(model.optimize).split("\n")) == dir(model.optimize)
    assert model.mcmc.numpyro_nuts.options()["max_tree_depth"] == 10


def test_batched_linear_algebra_in_threads_ends():
    # On JAX 0.10 two such programs at once wait for each other for good.
    factors = jnp.tile(2.0 * jnp.eye(60), (121, 1, 1))

    def log_density(x):
        solved = jax.lax.linalg.triangular_solve(
            factors, jnp.tile(x, (121, 1))[..., None], left_side=True, lower=True
        )
        return -0.5 * jnp.mean(jnp.sum(solved**2, (1, 2)))

    model = cw.Model(log_density, jnp.zeros(60))
    post = model.mcmc.numpyro_hmc(
        seed=0, num_chains=2, num_warmup=20, num_draws=20, num_steps=4, trajectory_length=None,
        progress=False,
    )  # fmt: skip
    # Normal with sd 2: 2 x 20 x 60 values, of which a fifth are independent.
    assert abs(post.draws.std() - 2.0) < 5 * 2.0 / (2 * 20 * 60 / 5) ** 0.5


def test_a_crowded_process_forgets(model, monkeypatch):
    """Long before Linux's limit of memory maps, at which XLA would abort the process."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("This system has no such limit.")
    before = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    monkeypatch.setattr(compiling, "CROWDED", 0.0)
    with counting() as counts:
        after = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] >= 3
    jax.tree.map(np.testing.assert_array_equal, before.draws, after.draws)
    monkeypatch.undo()
    with counting() as counts:
        model.mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] == 0
