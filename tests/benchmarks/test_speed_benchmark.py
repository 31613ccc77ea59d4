"""The benchmark of speed: what is timed is what is meant, turns are taken, tables add up.

How fast things are is the benchmark itself: nothing here depends on the machine.
"""

import io
import json
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import speed as command
import torch
from environments import ENVIRONMENTS
from speed_parts import device, interface, networks, ours, scaling, serving
from speed_parts.architecture import BLOCKS, layers
from speed_parts.processes import BENCHMARKS, Section, Served, alone

import sbi_inn as si

OPTIONS = SimpleNamespace(threads=1, rounds=2, seconds=0.01, simulations=[300], dimensions=[2])


# -- the measured side -----------------------------------------------------------------------------


class Known:
    """A network whose step takes a hundredth of a second, and that notes what it is asked."""

    weights = 7

    def __init__(self):
        self.asked = []

    def step(self, batch, steps):
        self.asked.append((batch, steps))
        return 0.01

    def density(self, x, context):
        assert torch.is_inference_mode_enabled()
        self.asked.append((tuple(x.shape), tuple(context.shape)))
        time.sleep(0.002)

    def sample(self, n, context):
        self.asked.append((n, tuple(context.shape)))


def answers(makers, *requests):
    replies = io.StringIO()
    serving.serve(makers, map(json.dumps, requests), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def request(task, rows=0, seconds=0.5):
    return {"network": "known", "task": task, "rows": rows, "seconds": seconds}


def test_a_network_is_made_once_warms_up_once_and_fills_its_time():
    made = []

    def make():
        made.append(Known())
        return made[-1]

    step = request("step", 256)
    found = answers({"known": make}, request("weights"), step, step, request("step", 8, 0.0))
    assert found == [7, 0.01, 0.01, 0.01]
    assert len(made) == 1
    assert made[0].asked == [(256, 5), (256, 50), (256, 50), (8, 5), (8, 5)]


def test_density_is_of_pairs_and_draws_are_at_one_observation():
    known = Known()
    found = answers({"known": lambda: known}, request("density", 3, 0.0), request("sample", 9, 0.0))
    assert known.asked[0] == ((3, 4), (3, 2))
    assert known.asked[-1] == (9, (1, 2))
    assert 0.002 <= found[0] < 1
    assert found[1] < 0.002


def test_the_architecture_has_as_many_weights_as_it_says():
    assert 2 * BLOCKS * sum(n_in * n_out + n_out for n_in, n_out in layers()) == 282_688
    normalisation = 2 * 4 * BLOCKS
    assert ours.Ours("affine").weights == 282_688 + normalisation
    halves = 2 * BLOCKS * sum(n_in * n_out + n_out for n_in, n_out in layers("spline"))
    assert ours.Ours("spline").weights == halves + normalisation


def test_our_step_is_one_of_the_training_loop_without_its_validation(monkeypatch):
    network = ours.Ours("affine")
    density, rows = network.density, []

    def slow(x, context):
        rows.append(len(x))
        time.sleep(0.01 if len(x) == 16 else 0.5)
        return density(x, context)

    monkeypatch.setattr(network, "density", slow)
    before = [p.detach().clone() for p in network.parameters()]
    seconds = network.step(16, 4)
    assert rows.count(16) == 5
    assert rows.count(2) >= 1  # validation, which would count as .1 s a step
    assert 0.01 <= seconds < 0.1
    assert not all(map(torch.equal, before, network.parameters()))


def test_a_loop_that_does_not_call_the_loss_once_a_step_is_not_timed(monkeypatch):
    def twice(module, loss, train, *rest, **more):
        loss(train[torch.arange(2)])
        loss(train[torch.arange(2)])

    monkeypatch.setattr(ours, "fit", twice)
    with pytest.raises(RuntimeError, match="expected the loss to be called 4 times; got 2"):
        ours.Ours("affine").step(2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("transform", ["affine", "spline"])
def test_our_draws_have_the_density_that_is_timed(transform):
    """The mean of 1 / density over draws, outside a box taken as 0, is the volume of the box: 1."""
    network = ours.Ours(transform)
    context = torch.zeros(1, 2)
    with torch.no_grad():
        draws = network.sample(20_000, context)
        density = network.density(draws, context).exp()
    inside = (draws.abs() < 0.5).all(dim=1)
    weights = torch.where(inside, 1 / density, 0.0)
    error = weights.std() / len(draws) ** 0.5
    assert draws.shape == (20_000, 4)
    assert abs(weights.mean() - 1) < 4 * error < 0.25


def test_the_products_are_those_of_the_dense_layers(monkeypatch):
    shapes = []
    mm = torch.mm

    def noted(a, b):
        shapes.append((*a.shape, b.shape[1]))
        return mm(a, b)

    products = ours.Products()
    monkeypatch.setattr(torch, "mm", noted)
    products.density(torch.zeros(3, 4), torch.zeros(3, 2))
    assert shapes == [(3, n_in, n_out) for n_in, n_out in layers()] * 2 * BLOCKS
    forward, shapes[:] = list(shapes), []
    products.step(3, 2)
    # Twice the forward products, the slopes of their inputs and of their matrices.
    flops = sum(a * b * c for a, b, c in shapes)
    assert flops == 2 * 3 * sum(a * b * c for a, b, c in forward)


PEERS = {"FrEIA": 282_688, "FrEIA, ReLU": 282_688, "FrEIA, fused AdamW": 282_688}
PEERS |= {"nflows": 282_688, "zuko": 282_688, "nflows, spline": 369_376, "zuko, spline": 369_376}


@pytest.mark.skipif(
    not (ENVIRONMENTS / "networks" / "holds").exists(), reason="the peers are not installed"
)
def test_the_peers_have_the_same_architecture():
    interpreter = ENVIRONMENTS / "networks" / "bin" / "python"
    with Served([str(interpreter), str(BENCHMARKS / "peers" / "networks_flows.py")], 1) as served:
        assert {name: served.ask(name, "weights") for name in PEERS} == PEERS
        for name in PEERS:
            for task in ("step", "density", "sample"):
                assert served.ask(name, task, 2) > 0


# -- processes -------------------------------------------------------------------------------------


def test_a_process_answers_and_one_that_ends_is_named(tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if asked['task'] == 'end': sys.exit(3)\n"
        "    print(json.dumps([asked, sys.argv[1:], os.environ['OMP_NUM_THREADS']]), flush=True)\n"
    )
    with Served([sys.executable, str(script)], 2) as served:
        asked = {"network": "a", "task": "b", "rows": 3, "seconds": 0.5}
        assert served.ask("a", "b", 3, 0.5) == [asked, ["2"], "2"]
        for _ in range(2):  # the second time the pipe is broken
            with pytest.raises(RuntimeError, match="echo.py ended with status 3 when asked for"):
                served.ask("a", "end")
    assert served.process.returncode == 3


def test_a_script_alone_gives_its_last_line(tmp_path):
    script = tmp_path / "alone.py"
    script.write_text("import json, sys; print('hello'); print(json.dumps(sys.argv[1:]))")
    assert alone(script, 1_000, 4, threads=2) == ["1000", "4", "2"]


# -- networks in turns -----------------------------------------------------------------------------


class Turns:
    def __init__(self):
        self.asked = []

    def ask(self, network, task, rows, seconds):
        self.asked.append((network, rows))
        return 1.0 if network == "ours" else 2.0


def test_every_round_asks_all_in_turns_and_every_other_backwards():
    both = Turns()
    times = networks.rounds({"ours": both, "theirs": both}, 2, 0.1)
    assert both.asked[:2] == [("ours", 256), ("theirs", 256)]
    assert both.asked[8:10] == [("theirs", 256), ("ours", 256)]
    assert len(times) == 2 * 2 * len(networks.TASKS)
    assert (times[times.network == "theirs"].seconds == 2).all()


def known_times(**seconds):
    return pd.DataFrame(
        [
            {"round": turn, "network": name, "task": task, "seconds": value}
            for name, values in seconds.items()
            for task in networks.TASKS
            for turn, value in enumerate(values)
        ]
    )


def test_ratios_are_of_medians_and_spread_over_rounds():
    times = known_times(ours=[0.1, 0.2, 0.3], theirs=[0.2, 0.8, 0.3])
    rows = networks.compared(times, {"ours": 10, "theirs": 2_000}, "ours")
    theirs = rows[rows.network == "theirs"].iloc[0]
    assert theirs.milliseconds == pytest.approx(300)
    assert theirs.ratio == pytest.approx(2 / 3)
    assert theirs.low == pytest.approx(0.25 + 0.2 * 0.25)  # of .25, .5 and 1
    assert theirs.high == pytest.approx(1 - 0.2 * 0.5)
    table = networks.side_by_side(rows)
    assert list(table.network) == ["ours", "theirs"]
    assert table["step of 256 [ms]"].tolist() == ["200.0", "300.0 (0.67: 0.30 to 0.90)"]
    assert table.weights.tolist() == ["10", "2,000"]
    assert list(table)[2:] == [f"{task} [ms]" for task in networks.TASKS]


# -- the public interface --------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Train for one epoch, whatever the benchmark asks for."""
    fit = si.fit_posterior
    once = {"training": si.Training(epochs=1), "n_jobs": 1}
    monkeypatch.setattr(si, "fit_posterior", lambda study, **how: fit(study, **how | once))


def test_public_draws_and_the_network_alone_are_timed_in_turns(monkeypatch, quick):
    for name, value in {"DRAWS": 300, "OBSERVATIONS": 20, "AT_ONCE": 10, "DRAWS_EACH": 5}.items():
        monkeypatch.setattr(interface, name, value)
    asked = []
    monkeypatch.setattr(
        si.Posterior, "sample_each", lambda self, ys, n: asked.append((ys.across.values, n))
    )
    rows = interface.measure(2)
    assert [row["what"] for row in rows[:4]] == ["posterior.sample", "the network alone"] * 2
    assert all(row["seconds"] > 0 for row in rows)
    assert [row["what"] for row in rows[4:]] == ["posterior.sample_each"] * 2
    first, _, second = (ys for ys, _ in asked)
    assert [n for _, n in asked] == [5] * 3
    assert len(np.unique([first, second])) == 20


def test_the_network_alone_draws_what_the_posterior_draws(monkeypatch, quick):
    monkeypatch.setattr(interface, "DRAWS", 4_000)
    posterior = si.fit_posterior(
        interface.PROBLEM, n_simulations=500, ensemble=1, seed=1, progress=False
    )
    alone = interface.network_alone(posterior)()[0].numpy()
    rng = np.random.default_rng(1)
    public = posterior.core.fitted.sample(posterior.schema.read(interface.Y), 4_000, rng)[0]
    error = public.std(axis=0) * np.sqrt(2 / 4_000)
    assert (np.abs(alone.mean(axis=0) - public.mean(axis=0)) < 4 * error).all()
    assert np.allclose(alone.std(axis=0), public.std(axis=0), rtol=0.06)


def test_the_interface_is_judged_by_medians(monkeypatch):
    times = {"posterior.sample": [3, 0.13, 0.12], "the network alone": [0.1, 0.1, 9]}
    times |= {"posterior.sample_each": [2.0, 4.0, 4.0]}
    rows = [{"what": what, "seconds": s} for what, many in times.items() for s in many]
    monkeypatch.setattr(interface, "alone", lambda *a, **k: rows)
    found = interface.interface(OPTIONS)
    assert found["call"].tolist() == [0, 1, 2] * 3
    table = interface.table(found)
    assert table["median"].tolist() == pytest.approx([130, 100, 1.3, 25_000])


# -- scaling ---------------------------------------------------------------------------------------


def test_the_study_of_scaling_is_gaussian():
    table = si.simulate(scaling.study(3), n=20_000, seed=1, n_jobs=1, progress=False)
    theta, y = table.prior.flatten(table.parameters()), table.observations().vector
    assert theta.shape == y.shape == (20_000, 3)
    error = 5 * np.sqrt(2 / 20_000)
    assert np.allclose(np.cov(theta, rowvar=False) / 0.1, np.eye(3), atol=error)
    assert np.allclose(np.cov(y - theta, rowvar=False) / 0.1, np.eye(3), atol=error)


def test_one_fit_says_its_size_time_and_memory(quick):
    found = scaling.measure(300, 2)
    assert (found["simulations"], found["parameters"]) == (300, 2)
    assert 0 < found["training [s]"] < found["with simulations [s]"]
    assert found["ms a step"] * found["steps"] == pytest.approx(1e3 * found["training [s]"])
    assert 0.05 < found["peak memory [GB]"] < 20


def test_sizes_are_run_once_each(monkeypatch):
    def known(script, n, dim, threads):
        return {"simulations": n, "parameters": dim, "training [s]": n / 500}

    monkeypatch.setattr(scaling, "alone", known)
    options = SimpleNamespace(threads=1, simulations=[10_000, 100_000], dimensions=[4, 2])
    rows = scaling.scaling(options)
    sizes = rows[["simulations", "parameters"]].values.tolist()
    assert sizes == [[10_000, 4], [100_000, 4], [10_000, 2]]


# -- the command -----------------------------------------------------------------------------------


def test_the_command_keeps_rows_and_prints_tables(tmp_path, monkeypatch, capsys):
    rows = pd.DataFrame([{"network": "ours", "task": "step", "ms": 1.23456}])
    known = Section("What it is.", lambda options: rows, lambda rows: rows)
    for name in ("SECTIONS", "ALL"):
        monkeypatch.setattr(command, name, {"core": known, "spline": known})
    where = ["--threads", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["speed.py", "core", *where])
    command.main()
    said = capsys.readouterr().out
    assert "1 thread, seed 1. What it is." in said
    assert "| ours | step | 1.23 |" in said
    (row,) = replace(command.RECORDS, folder=tmp_path).read().to_dict("records")
    assert (row["section"], row["threads"], row["ms"]) == ("core", 1, 1.23456)
    monkeypatch.setattr("sys.argv", ["speed.py", "core", "--table", "--out", str(tmp_path)])
    command.main()
    assert capsys.readouterr().out == said
    monkeypatch.setattr("sys.argv", ["speed.py", "kore"])
    with pytest.raises(SystemExit):
        command.main()
    assert "expected sections among core, spline; got kore" in capsys.readouterr().err


# -- on a device -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_task_is_timed_on_a_device(monkeypatch):
    small = {name: (kind, size // 64) for name, (kind, size) in device.TASKS.items()}
    monkeypatch.setattr(device, "TASKS", small)
    rows = device.device(SimpleNamespace(device="cpu", seconds=1e-4))
    assert len(rows) == 3 * len(device.TASKS)
    assert (rows["milliseconds"] > 0).all()
    assert list(device.table(rows).columns) == ["network", *sorted(device.TASKS)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_it_says_so_where_there_is_no_device(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["speed.py", "--device", "cuda"])
    with pytest.raises(SystemExit, match="no CUDA device here, so nothing was measured"):
        command.main()
