"""Ctrl-C during a run, with real signals: what is kept, what is named, and how a run goes on.

Signals are raised when a given step is reported to the progress bar, so that every test stops at a
known draw. A signal that a chain's thread raises is handled by the main thread: the thread waits
for that, and nothing here depends on time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

from crewel.run import blocks, interrupts, prefetch
from crewel.run.interrupts import Stop
from crewel.run.progress import Progress

CHAINS, WARMUP, DRAWS = 4, 10, 20
RUN = {"num_chains": CHAINS, "num_warmup": WARMUP, "num_draws": DRAWS, "progress": False}
PATIENCE = 120  # seconds after which a test that hangs fails


@pytest.fixture(scope="module")
def model():
    return support.small()


@pytest.fixture(scope="module")
def whole(model):
    """Four chains that nobody interrupts, one after the other."""
    return model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)


@pytest.fixture
def interrupt(monkeypatch):
    """`interrupt(report)`: Ctrl-C at the given report of the progress bar.

    With `threads`, once each of so many threads has come to that report; `times` in a row.
    """
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one step in each chunk
    advance, asked = Progress.advance, Stop.interrupt
    heard = threading.Event()

    def noticed(self):
        asked(self)
        heard.set()

    def arm(report, times=1, threads=1):
        reports, lock, done = Counter(), threading.Lock(), []

        def interrupted(self, steps, stats=None):
            advance(self, steps, stats)
            with lock:
                reports[threading.get_ident()] += 1
                come = [number >= report for number in reports.values()]
                now = not done and come.count(True) == threads
                done.extend([True] * now)
            if now:
                heard.clear()
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
                assert heard.wait(PATIENCE)

        monkeypatch.setattr(Progress, "advance", interrupted)

    monkeypatch.setattr(Stop, "interrupt", noticed)
    yield arm
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def first(tree, chains, draws):
    return jax.tree.map(lambda leaf: leaf[chains, :draws], tree)


def warmed(chains):
    """Reports of `chains` chains that are warmed up and drawn whole, one after the other."""
    return chains * (WARMUP + DRAWS)


# --- what is kept -------------------------------------------------------------------------------


def test_finished_chains_are_kept_whole(model, whole, interrupt):
    """Interrupted at the first draw of chain 3: the three others keep all their draws."""
    interrupt(warmed(3) + WARMUP + 1)
    with pytest.warns(UserWarning, match="Interrupted") as caught:
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    assert str(caught[0].message) == (
        "Interrupted. Returning 20 of 20 draws of 3 of 4 chains. Left out: chain 3, with at most "
        "1 draw."
    )
    assert caught[0].filename == __file__
    same(cut.draws, first(whole.draws, slice(3), DRAWS))
    same(cut.stats, first(whole.stats, slice(3), DRAWS))
    longer = whole.extend(7, progress=False)
    same(cut.extend(7, progress=False).draws, first(longer.draws, slice(3), None))


def test_surplus_is_used_by_extensions(model, whole, interrupt):
    """Chain 2 is cut at its fifth draw: what the others drew beyond comes back."""
    interrupt(warmed(2) + WARMUP + 5)
    with pytest.warns(UserWarning, match="Returning 5 of 20 draws of 3 of 4 chains. Up to 15 "):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    same(cut.draws, first(whole.draws, slice(3), 5))
    same(cut.surplus.count, [15, 15, 0])
    on = cut.extend(4, progress=False)
    same(on.draws, first(whole.draws, slice(3), 9))
    same(on.surplus.count, [11, 11, 0])
    longer = whole.extend(10, progress=False)
    far = on.extend(21, progress=False)
    same((far.draws, far.stats), first((longer.draws, longer.stats), slice(3), None))
    assert far.surplus is None


def test_interrupted_extension_loses_nothing(model, whole, interrupt):
    """Chain 1 is cut at the third draw of the extension, and chains 2 and 3 have not begun."""
    interrupt(20 + 3)
    with pytest.warns(UserWarning, match="Returning 0 of 20 draws of 4 of 4 chains. Up ") as w:
        cut = whole.extend(20, progress=False)
    assert w[0].filename == __file__
    same((cut.draws, cut.stats), (whole.draws, whole.stats))
    same(cut.surplus.count, [20, 3, 0, 0])
    same(cut.extend(20, progress=False).draws, whole.extend(20, progress=False).draws)


def test_two_interrupts_in_a_row_on_two_threads(model, whole, interrupt, monkeypatch):
    """Both within one chunk: the second counts as the first, and every draw is kept."""
    monkeypatch.setattr("crewel.run.placement.cores", lambda: 2)
    interrupt(WARMUP + 12, times=2, threads=2)
    with pytest.warns(UserWarning, match="Interrupted. Returning"):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="parallel", **RUN)
    kept = [
        c for c in range(CHAINS) if (whole.draws["rate"][c, 0] == cut.draws["rate"][:, 0]).any()
    ]
    assert len(kept) == cut.num_chains >= 2 and cut.num_draws >= 2
    same(cut.draws, first(whole.draws, kept, cut.num_draws))
    longer = whole.extend(10, progress=False)
    far = cut.extend(30 - cut.num_draws, progress=False)
    same((far.draws, far.stats), first((longer.draws, longer.stats), kept, None))


def test_vectorized_chains_stop_together(model, interrupt):
    call = RUN | {"chain_method": "vectorized"}
    whole = model.mcmc.numpyro_nuts(seed=0, **call)
    interrupt(WARMUP + 7)
    with pytest.warns(UserWarning, match=r"Returning 7 of 20 draws of 4 of 4 chains\.$"):
        cut = model.mcmc.numpyro_nuts(seed=0, **call)
    same(cut.draws, first(whole.draws, slice(4), 7))
    same(cut.extend(13, progress=False).draws, whole.draws)


def test_chains_that_move_together_stop_together(model, interrupt):
    call = RUN | {"num_chains": 8}
    whole = model.mcmc.numpyro_aies(seed=0, **call)
    interrupt(WARMUP + 7)
    with pytest.warns(UserWarning, match=r"Returning 7 of 20 draws of 8 of 8 chains\.$"):
        cut = model.mcmc.numpyro_aies(seed=0, **call)
    same(cut.draws, first(whole.draws, slice(8), 7))
    same(cut.extend(13, progress=False).draws, whole.draws)


def test_collected_values_have_a_surplus_too(model, whole, interrupt):
    interrupt(warmed(1) + WARMUP + 4)
    with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains. Up to 16 "):
        cut = model.mcmc.numpyro_nuts(
            seed=0, chain_method="sequential", collect=lambda p: 2 * p["rate"], **RUN
        )
    np.testing.assert_array_equal(cut.draws, 2 * whole.draws["rate"][:2, :4])
    same(cut.extend(16, progress=False).draws, 2 * whole.draws["rate"][:2])


# --- summaries, losses, batches -----------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return support.rows().model


def test_summaries_of_chains_that_have_not_moved(rows, interrupt):
    """An extension of a mean that is interrupted before chain 2 moves keeps its mean."""
    call = {"num_chains": 3, "num_warmup": 4, "num_draws": 10, "batch_size": 20, "reduce": "mean"}
    call |= {"chain_method": "sequential", "progress": False}
    whole = rows.sgmcmc.blackjax_sgld(seed=0, **call)
    interrupt(10 + 5)
    with pytest.warns(UserWarning, match="Returning 0 to 10 of 10 draws of 3 of 3 chains."):
        cut = whole.extend(10, progress=False)
    longer = whole.extend(10, progress=False)
    same(first(cut.draws, [0], None), first(longer.draws, [0], None))
    same(first(cut.draws, [2], None), first(whole.draws, [2], None))
    same(first(cut.stats, [2], None), first(whole.stats, [2], None))
    same(cut.starts, [20, 15, 10])
    on = cut.extend(5, progress=False)
    same(first(on.draws, [1], None), first(longer.draws, [1], None))


def test_losses_of_particles_that_were_stopped_early(model, interrupt):
    call = {"num_particles": 3, "num_steps": 30, "chain_method": "sequential", "progress": False}
    whole = model.optimize.optax_adam(seed=0, **call)
    interrupt(1 + 30 + 1 + 12)  # the start of each particle is reported too
    with pytest.warns(UserWarning, match=r"12 to 30 of 30 steps of 2 of 3 particles\.$"):
        cut = model.optimize.optax_adam(seed=0, **call)
    assert cut.losses.shape == (2, 30)
    same(cut.losses[0], whole.losses[0])
    same(cut.losses[1, :12], whole.losses[1, :12])
    assert np.isnan(cut.losses[1, 12:]).all()
    same(first(cut.draws, [0], None), first(whole.draws, [0], None))


def test_a_fit_that_was_cut_is_left_out(model, interrupt):
    """Chain 1 is stopped while it is fitted: chain 0 has its draws and its losses."""
    call = {"num_chains": 2, "num_steps": 30, "num_draws": 10, "progress": False}
    call |= {"chain_method": "sequential"}
    whole = model.vi.blackjax_meanfield_vi(seed=0, **call)
    interrupt(30 + 10 + 15)
    with pytest.warns(UserWarning, match=r"Returning 10 of 10 draws of 1 of 2 chains\.$"):
        cut = model.vi.blackjax_meanfield_vi(seed=0, **call)
    same((cut.draws, cut.losses[:, None]), first((whole.draws, whole.losses[:, None]), [0], None))


def test_a_particle_without_patience_is_not_one_that_hardly_started(interrupt):
    """Particle 0 stops by itself after a few looks; particle 1 is interrupted much later."""
    import crewel as cw

    x = np.linspace(-1, 1, 20)[:, None].astype(np.float32)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x, x[:, 0], likelihood=cw.likelihoods.gaussian(0.1),
        example={"w": jnp.ones((1, 1))},
    )  # fmt: skip
    # The first starts at the best value for the held-out rows and only gets worse.
    init = {"w": jnp.array([[[3.0]], [[-30.0]]])}
    interrupt(1 + 5 + 1 + 100)
    with pytest.warns(UserWarning, match="of 2 of 2 particles"):
        cut = model.optimize.optax_adam(
            seed=0, num_particles=2, num_steps=200, chain_method="sequential", init=init,
            learning_rate=0.05, evaluate=(x, 3 * x[:, 0], 1), patience=4, progress=False,
        )  # fmt: skip
    assert cut.num_chains == 2
    assert np.isfinite(cut.losses[0]).sum() == 5 and np.isfinite(cut.losses[1]).sum() == 100


def test_a_slow_loader_is_not_waited_for(rows, monkeypatch):
    """Ctrl-C while the run waits for a batch returns what was drawn."""
    monkeypatch.setattr(prefetch, "LONGEST", 1)  # one step in each chunk
    never, drawn, advance = threading.Event(), Counter(), Progress.advance
    come = threading.Event()
    batch = {name: np.asarray(leaf)[:10] for name, leaf in rows.data.items()}

    def loader():
        for _ in range(4 + 3):
            yield batch
        assert come.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)
        never.wait(PATIENCE)
        raise AssertionError("The run waited for the loader.")

    def reported(self, steps, stats=None):
        advance(self, steps, stats)
        drawn["steps"] += steps
        if drawn["steps"] == 2 * (4 + 3):
            come.set()

    monkeypatch.setattr(Progress, "advance", reported)
    with pytest.warns(UserWarning, match=r"Returning 3 of 20 draws of 2 of 2 chains\.$"):
        post = rows.sgmcmc.blackjax_sgld(
            seed=0, batches=loader(), num_data=100, num_chains=2, num_warmup=4, num_draws=20,
            step_size=1e-4, progress=False,
        )  # fmt: skip
    never.set()
    assert post.num_draws == 3


# --- signals ------------------------------------------------------------------------------------


def test_interrupt_before_any_draw(model, interrupt):
    interrupt(1)
    with pytest.raises(KeyboardInterrupt, match="nothing to return"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)


def test_a_later_interrupt_ends_at_once(model, whole, interrupt, monkeypatch):
    """More than `DOUBLE` seconds after the first it is raised, and what was drawn is returned."""
    clock = iter([0.0, interrupts.DOUBLE + 0.1])
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    raised, block = [], blocks.Run.block

    def recorded(self, job, bar):
        try:
            block(self, job, bar)
        except KeyboardInterrupt:
            raised.append(job)
            raise

    monkeypatch.setattr(blocks.Run, "block", recorded)
    interrupt(warmed(1) + WARMUP + 4, times=2)
    with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains"):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    assert raised == [1]
    same(cut.draws, first(whole.draws, slice(2), 4))


def test_a_handler_of_the_users_own_is_respected(model, whole, monkeypatch):
    heard = []

    def own(number, frame):
        heard.append(number)

    advance = Progress.advance

    def signalled(self, steps, stats=None):
        advance(self, steps, stats)
        assert signal.getsignal(signal.SIGINT) is own
        if not heard:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "advance", signalled)
    before = signal.signal(signal.SIGINT, own)
    try:
        post = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    same(post.draws, whole.draws)


def test_a_users_handler_that_raises_ends_the_run(model, whole, interrupt, monkeypatch):
    def own(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, own)
    try:
        interrupt(warmed(1) + WARMUP + 4)
        with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains"):
            cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    finally:
        signal.signal(signal.SIGINT, before)
    same(cut.draws, first(whole.draws, slice(2), 4))


def test_in_another_thread_nothing_changes(model, whole, monkeypatch):
    advance, handlers, found = Progress.advance, set(), []

    def looked(self, steps, stats=None):
        advance(self, steps, stats)
        handlers.add(signal.getsignal(signal.SIGINT))

    def run():
        found.append(model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN))

    monkeypatch.setattr(Progress, "advance", looked)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert handlers == {signal.default_int_handler}
    same(found[0].draws, whole.draws)
