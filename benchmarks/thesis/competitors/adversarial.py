"""The training of two players in turns; `sbi_inn.training.loop.fit` serves one loss only."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from competitors.data import Pairs, noisy
from sbi_inn.training.course import WARM_UP
from sbi_inn.training.history import History
from sbi_inn.training.settings import Training

# A fast average of the gradients: the other player has moved since.
BETAS = (0.5, 0.9)
# Peak of the schedule where Training leaves it open: players that move fast run in circles.
LEARNING_RATE = 5e-4


class Players(Protocol):
    """Two networks and what each wants; losses as those of `sbi_inn.training.loop.fit`."""

    @property
    def generator(self) -> nn.Module: ...
    @property
    def discriminator(self) -> nn.Module: ...
    def regression_loss(self, pairs: Pairs) -> Tensor: ...
    def discriminator_loss(self, pairs: Pairs) -> Tensor: ...
    def generator_loss(self, pairs: Pairs) -> Tensor: ...
    def score(self, pairs: Pairs) -> Tensor: ...


def train_adversarially(
    players: Players,
    train: Pairs,
    validation: Pairs,
    training: Training,
    *,
    pretraining: int,
    seed: int,
    progress: bool,
) -> History:
    """Train in place, a step of the discriminator and one of the generator in turns.

    Length, batches, rate (it warms up and falls like a cosine), clipping and averaging of
    `training` mean what they mean to `training.loop.fit`. There is no early stopping, and the last
    averaged generator is kept: a game has no loss that says which was best. The losses in
    the history are the generator's own; the validation losses are scores.
    """
    peak = training.learning_rate or LEARNING_RATE
    settings = replace(training, learning_rate=peak).resolve(len(train))
    run = _Run(players, train, validation, settings, pretraining, seed)
    with tqdm(total=100, disable=not progress, desc="training") as bar:
        try:
            run.go(bar)
        except KeyboardInterrupt:
            run.stopped = "interrupted"
    return run.finish()


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        players: Players,
        train: Pairs,
        validation: Pairs,
        settings: Training,
        pretraining: int,
        seed: int,
    ) -> None:
        assert settings.epochs is not None
        assert settings.batch_size is not None
        self.players, self.averaged = players, copy.deepcopy(players)
        self.train, self.validation, self.settings = train, validation, settings
        self.pretraining, self.batch_size = pretraining, settings.batch_size
        self.steps_an_epoch = max(1, len(train) // self.batch_size)
        self.total = settings.epochs * self.steps_an_epoch
        self.interval = max(self.steps_an_epoch, min(self.total // 50, 500))
        self.generator = torch.Generator().manual_seed(seed)
        self.learns = self._optimizer(players.generator)
        self.judges = self._optimizer(players.discriminator)
        self.log: list[tuple[float, float, float]] = []
        self.step, self.stopped, self.start = 0, "finished", time.perf_counter()

    def go(self, bar: tqdm) -> None:
        losses: list[float] = []
        for rows in self._batches():
            losses.append(self._turn(noisy(self.train[rows], self._done(), self.generator)))
            if not math.isfinite(losses[-1]):
                self.stopped = "diverged"
                return
            self.step += 1
            done = self._done()
            bar.update(int(100 * done) - bar.n)
            if self.step % self.interval == 0 or done >= 1:
                self._validate(float(np.mean(losses)))
                losses = []
            if done >= 1:
                return

    def finish(self) -> History:
        if not self.log:  # it ended before its first validation
            self._validate(math.nan)
        self.players.generator.load_state_dict(self.averaged.generator.state_dict())
        epoch, train_loss, score = zip(*self.log, strict=True)
        seconds = time.perf_counter() - self.start
        return History(epoch, train_loss, score, epoch[-1], self.stopped, self.step, seconds)

    def _optimizer(self, module: nn.Module) -> torch.optim.AdamW:
        decay = self.settings.weight_decay
        return torch.optim.AdamW(module.parameters(), betas=BETAS, weight_decay=decay, fused=True)

    def _batches(self) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self.train), generator=self.generator)
            yield from order.split(self.batch_size)[: self.steps_an_epoch]

    def _done(self) -> float:
        """Share of the run that is over: of its steps, or of its time where that is more."""
        done = self.step / self.total
        if self.settings.max_seconds is not None:
            spent = (time.perf_counter() - self.start) / self.settings.max_seconds
            if spent >= 1 > done:
                self.stopped = "time"
            done = max(done, spent)
        return min(done, 1.0)

    def _turn(self, batch: Pairs) -> float:
        """Let both players make a step, or in pre-training the generator alone; give its loss."""
        generator, discriminator = self.players.generator, self.players.discriminator
        if self.step < self.pretraining:
            value = self._update(self.learns, generator, self.players.regression_loss, batch)
        else:
            judged = self._update(
                self.judges, discriminator, self.players.discriminator_loss, batch
            )
            value = self._update(self.learns, generator, self.players.generator_loss, batch)
            value = value if math.isfinite(judged) else judged
        decay = min(self.settings.averaging, self.step / (self.step + 10))
        pairs = zip(self.averaged.generator.parameters(), generator.parameters(), strict=True)
        with torch.no_grad():
            for average, parameter in pairs:
                average.lerp_(parameter, 1 - decay)
        return value

    def _update(
        self,
        optimizer: torch.optim.Optimizer,
        module: nn.Module,
        loss: Callable[[Pairs], Tensor],
        batch: Pairs,
    ) -> float:
        assert self.settings.learning_rate is not None
        done = self._done()
        rise = min(1.0, (done * self.total + 1) / (WARM_UP * self.total + 1))
        for group in optimizer.param_groups:
            group["lr"] = (
                self.settings.learning_rate * rise * (0.5 + 0.5 * math.cos(math.pi * done))
            )
        value = loss(batch).mean()
        optimizer.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), self.settings.gradient_clip)
        if not torch.isfinite(value + norm):
            return math.nan  # before it can reach the weights and their average
        optimizer.step()
        return value.item()

    @torch.no_grad()
    def _validate(self, train_loss: float) -> None:
        """Score the averaged generator."""
        rows = torch.arange(len(self.validation)).split(2048)
        score = torch.cat([self.averaged.score(self.validation[r]) for r in rows]).mean().item()
        self.log.append((self.step / self.steps_an_epoch, train_loss, score))
