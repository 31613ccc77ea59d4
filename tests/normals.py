"""A posterior that is known on the latent side, whatever is observed, of data that say nothing."""

from dataclasses import dataclass

import scipy.stats as st
from studies import Settings

import sbi_inn as si
from sbi_inn.errors import NoDensityError
from sbi_inn.training.history import History


@dataclass(frozen=True)
class Normals:
    """Independent normals on the latent side, whatever is observed."""

    mean: tuple
    sd: tuple
    density: bool = True
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def sample(self, observations, n, rng):
        return rng.normal(self.mean, self.sd, (len(observations), n, len(self.mean)))

    def log_prob(self, latent, observations):
        if not self.density:
            raise NoDensityError("draws only")
        return st.norm(self.mean, self.sd).logpdf(latent).sum(axis=1)

    def describe(self):
        return "normals"


def nothing(prior):
    """Make a study whose data say nothing: its posterior is the prior."""

    @si.simulator(batched=True)
    def noise(rng, **parameters):
        return rng.normal(size=len(next(iter(parameters.values()))))

    return si.Problem(noise, prior)
