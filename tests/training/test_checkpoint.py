"""A training that was killed comes to the same weights as one that was left alone."""

import time

import checkpoints
import numpy as np
import pytest
import torch
from studies import LINE, quick_fit

import sbi_inn as si
from sbi_inn.flows import MLP, ActNorm, Dropout
from sbi_inn.training import checkpoint
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.progress import watched
from sbi_inn.training.settings import Training


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


class Killed(BaseException):
    """Ends a training where it stands, as a signal would."""


class Net(torch.nn.Module):
    """Has a buffer that the first batch sets, and dropout."""

    def __init__(self):
        super().__init__()
        self.dropout = Dropout(3)
        self.norm = ActNorm(2)
        self.net = MLP(2, 1, context=0, hidden=8, depth=2, dropout=self.dropout)

    def loss(self, rows):
        x, _ = self.norm(rows[:, :2], rows[:, :0])
        return (self.net(x, rows[:, :0]) - rows[:, 2:]).square().sum(dim=1)


class Fade:
    """Dropout that fades away, and noise from the generator of the run."""

    def __init__(self, dropout):
        self.dropout = dropout

    def __call__(self, rows, done, generator):
        self.dropout.rate = 0.5 * (1 - done)
        return rows + 0.01 * torch.randn(rows.shape, generator=generator)

    def state(self):
        return self.dropout.state()

    def restore(self, config, arrays):
        self.dropout.restore(config, arrays)


TABLE = torch.randn(330, 3, generator=torch.Generator().manual_seed(1))


def renewed(rng):
    return TABLE[:270] + torch.from_numpy(rng.normal(0, 0.1, (270, 3)).astype(np.float32))


def train(folder=None, *, stop=None, seed=5, epochs=12, rows=TABLE[:270], patience=None):
    """Train a small network, and kill it after so many steps."""
    with seeded(1):
        net = Net()
    steps = 0

    def watch(done, loss):
        nonlocal steps
        steps += 1
        if steps == stop:
            raise Killed
        return True

    settings = Training(
        epochs=epochs,
        batch_size=64,
        checkpoint=folder,
        patience=patience,
        early_stopping=patience is not None,
    )
    with watched(watch):
        history = fit(
            net,
            net.loss,
            rows,
            TABLE[270:],
            settings,
            seed=seed,
            augment=Fade(net.dropout),
            renew=renewed,
        )
    return net, history


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def alone():
    return train()


@pytest.mark.parametrize("stops", [[1], [4], [5], [30, 1, 7], [2, 2, 2, 2]])
def test_the_weights_are_those_of_a_training_left_alone(tmp_path, alone, stops):
    for stop in stops:
        with pytest.raises(Killed):
            train(tmp_path, stop=stop)
    net, history = train(tmp_path)
    assert same(net, alone[0])
    assert history.validation_loss == alone[1].validation_loss
    assert history.train_loss == alone[1].train_loss
    assert history.steps == alone[1].steps == 48
    assert not net.training


def test_a_checkpoint_alone_changes_nothing(tmp_path, alone):
    net, history = train(tmp_path)
    assert same(net, alone[0])
    assert history.epoch == alone[1].epoch


def test_without_a_checkpoint_a_killed_training_begins_anew(tmp_path, alone):
    with pytest.raises(Killed):
        train(tmp_path, stop=20)
    (tmp_path / "network.ckpt").unlink()
    assert same(train(tmp_path)[0], alone[0])


def test_what_is_over_is_read_and_not_trained_again(tmp_path, alone):
    train(tmp_path)
    net, history = train(tmp_path, stop=1)  # not one step
    assert same(net, alone[0])
    assert history.steps == 48


def test_patience_and_landing_are_kept(tmp_path):
    alone, history = train(epochs=60, patience=1)
    assert history.stopped == "early"
    for stop in (history.steps // 2, history.steps // 2 - 3):
        with pytest.raises(Killed):
            train(tmp_path, stop=stop, epochs=60, patience=1)
    net, again = train(tmp_path, epochs=60, patience=1)
    assert same(net, alone)
    assert (again.steps, again.stopped, again.best_epoch) == (
        history.steps,
        "early",
        history.best_epoch,
    )


@pytest.mark.slow
def test_the_time_that_was_spent_counts(tmp_path):
    budget = Training(epochs=10**6, max_seconds=3.0, checkpoint=tmp_path)
    rows = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))

    def run():
        with seeded(1):
            line = torch.nn.Linear(1, 1)

        def loss(batch):
            time.sleep(0.01)
            return line(batch).square()[:, 0]

        return fit(line, loss, rows, rows, budget, seed=1, progress=False)

    def stop(done, _):
        if done > 0.6:
            raise Killed
        return True

    with pytest.raises(Killed), watched(stop):
        run()
    began = time.perf_counter()
    history = run()
    assert history.stopped == "time"
    assert history.seconds == pytest.approx(3.0, abs=0.6)
    assert time.perf_counter() - began < 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed was 5, and is 6"),
        ({"epochs": 13}, "epochs was 12, and is 13"),
        ({"rows": TABLE[:270] + 1.0}, "first losses was"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path, changes, message):
    with pytest.raises(Killed):
        train(tmp_path, stop=9)
    before = (tmp_path / "network.ckpt").read_bytes()
    with pytest.raises(si.LoadError, match=f"of another training: .*{message}"):
        train(tmp_path, **changes)
    assert (tmp_path / "network.ckpt").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, stop=9)
    path = tmp_path / "network.ckpt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(si.LoadError, match=r"network\.ckpt"):
        train(tmp_path)


def test_a_posterior_is_no_checkpoint(tmp_path):
    quick_fit(LINE, n=300, epochs=1).save(tmp_path / "network.ckpt")
    with pytest.raises(si.LoadError, match="expected a checkpoint; got 'posterior'"):
        train(tmp_path)


def test_after_an_interruption_it_goes_on(tmp_path, alone):
    with seeded(1):
        net = Net()
    steps = iter(range(100))
    settings = Training(epochs=12, batch_size=64, checkpoint=tmp_path, early_stopping=False)
    with watched(lambda *_: next(steps) < 20):
        history = fit(
            net,
            net.loss,
            TABLE[:270],
            TABLE[270:],
            settings,
            seed=5,
            augment=Fade(net.dropout),
            renew=renewed,
        )
    assert history.stopped == "interrupted"
    assert same(train(tmp_path)[0], alone[0])


# -- a whole fit -----------------------------------------------------------------------------------


def test_a_fit_needs_a_seed_to_be_taken_up_again(tmp_path):
    with pytest.raises(ValueError, match=r"fit_posterior\(..., seed=1\); got seed=None"):
        si.fit_posterior(LINE, training=Training(checkpoint=tmp_path), progress=False)
    with pytest.raises(ValueError, match="must be the path of a folder; got 3"):
        Training(checkpoint=3)  # pyright: ignore


def test_a_posterior_forgets_its_checkpoint(tmp_path):
    training = Training(epochs=1, checkpoint=tmp_path / "arm")
    posterior = si.fit_posterior(
        LINE, n_simulations=300, training=training, ensemble=2, n_jobs=1, seed=1, progress=False
    )
    assert posterior.core.training == Training(epochs=1)
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckpt"))
    assert made == ["arm/member0/network.ckpt", "arm/member1/network.ckpt"]


def test_a_learned_forward_network_goes_on_too(tmp_path, monkeypatch):
    def trained(folder):
        training = Training(epochs=2, checkpoint=folder)
        inn = si.INN(blocks=2, hidden=16)
        return si.fit_posterior(
            LINE, n_simulations=300, method=inn, training=training, seed=1, progress=False
        )

    with pytest.warns(UserWarning, match="misses y"):
        alone = trained(None)

    def stop(done, _):
        if done > 0.6:
            raise Killed
        return True

    with pytest.raises(Killed), watched(stop):
        trained(tmp_path)
    with pytest.warns(UserWarning, match="misses y"):
        again = trained(tmp_path)
    assert same(again.core.fitted.network, alone.core.fitted.network)


# -- killed by the system --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_weights_after_sigkill_are_those_of_a_fit_left_alone(tmp_path, kind):
    folder = tmp_path / "kept"
    folder.mkdir()
    assert checkpoints.killed(kind, folder, np.random.default_rng(len(kind)))
    again, alone = checkpoints.trained(kind, folder), checkpoints.trained(kind, None)
    assert checkpoints.same(again, alone)
    assert again.history.validation_loss == alone.history.validation_loss
    stages = {path.stem for path in folder.rglob("*.ckpt")}
    assert stages == ({"features", "network"} if kind == "images" else {"network"})
