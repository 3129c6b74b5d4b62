"""Programs on disk: a second process compiles nothing, and draws the same."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import sys, json, hashlib, warnings
import numpy as np, jax, jax.numpy as jnp, numpyro.distributions as dist
import crewel as cw
warnings.simplefilter("ignore")
found = {"hit": 0, "miss": 0}
def listen(event, **_):
    for name in found:
        if event == f"/jax/compilation_cache/cache_{name}" + ("s" if name == "hit" else "es"):
            found[name] += 1
jax.monitoring.register_event_listener(listen)
cw.cache_dir(sys.argv[1])
x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
prior = {"w": dist.StudentT(5.0, 0.0, 2.0), "b": dist.Normal(0.5, 1.5)}
example = {"w": np.zeros((1, 1), np.float32), "b": np.zeros(1, np.float32)}
model = cw.wrap(lambda p, x: x @ p["w"] + p["b"], x, np.sin(x[:, 0]), likelihood="gaussian",
                example=example, prior=prior)
post = model.mcmc.numpyro_nuts(seed=0, num_chains=2, num_warmup=20, num_draws=20, progress=False)
bits = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(post.draws))
print(json.dumps(found | {"draws": hashlib.md5(bits).hexdigest()}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("programs"))

    def run(seed):
        # Sets of names are in another order in each process.
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", CODE, folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return [run(seed) for seed in ("1", "2", "5")]


def test_the_first_process_compiles_and_the_others_do_not(runs):
    assert runs[0]["miss"] > 10
    for later in runs[1:]:
        assert later["miss"] == 0
        assert later["hit"] > 10


def test_all_draw_the_same(runs):
    assert len({run["draws"] for run in runs}) == 1
