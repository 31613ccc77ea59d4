"""Processes that are forked after torch has been at work, and fits in two threads at once."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from studies import LINE

import sbi_inn as si
from sbi_inn.training.loop import seeded
from sbi_inn.training.side_by_side import one_thread

FORKED = """
import multiprocessing
import sys
import numpy as np
import torch
import sbi_inn as si

def draw(seed):
    return float(posterior.sample({"y": [1.0, 0.0]}, 20_000, seed=seed)["a"].mean())

if __name__ == "__main__":
    posterior = si.load_posterior(sys.argv[1])
    assert torch.get_num_threads() == 2
    here = draw(1)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.map_async(draw, [1]).get(timeout=60)
    assert abs(here - there[0]) < 1e-3
    print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not(tmp_path):
    fit(1).save(tmp_path / "line.sbi")
    command = [sys.executable, "-c", FORKED, str(tmp_path / "line.sbi")]
    # Other tests may have left limits of their own (MKL_NUM_THREADS), which count for more.
    others = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    env = others | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.stdout == "done\n", done.stderr


def fit(seed, ensemble=1):
    return si.fit_posterior(
        LINE,
        n_simulations=300,
        method=si.CINN(blocks=2, hidden=16),
        training=si.Training(epochs=2),
        ensemble=ensemble,
        n_jobs=1,
        seed=seed,
        progress=False,
    )


@pytest.mark.parametrize("ensemble", [1, 2])
def test_fits_in_two_threads_are_those_of_one_after_the_other(ensemble):
    with one_thread():
        alone = [draws(seed, ensemble) for seed in (1, 2)]
        together = at_once([lambda seed=seed: draws(seed, ensemble) for seed in (1, 2)])
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def draws(seed, ensemble):
    return fit(seed, ensemble).sample([1.0, 0.0], 50)["a"].values


def at_once(jobs):
    found = [None] * len(jobs)

    def work(place):
        found[place] = jobs[place]()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_networks_built_in_two_threads_do_not_share_a_generator():
    meet = threading.Barrier(2)

    def build(seed):
        meet.wait()
        weights = []
        for _ in range(20):
            with seeded(seed):
                weights += [torch.nn.Linear(8, 8).weight for _ in range(4)]
        return torch.stack(weights)

    alone = []
    for seed in (1, 2):
        with seeded(seed):
            alone.append(torch.stack([torch.nn.Linear(8, 8).weight for _ in range(4)]))
    together = at_once([lambda seed=seed: build(seed) for seed in (1, 2)])
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.repeat(20, 1, 1), other)


def test_one_thread_lasts_until_the_last_one_is_done():
    before, first = torch.get_num_threads(), one_thread()
    torch.set_num_threads(2)
    try:
        first.__enter__()
        with one_thread():
            first.__exit__(None, None, None)
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
