"""The first wave of an epidemic, as it is reported: an SIR model, a delay, and noisy counts.

Some people of a country of 83 million are infected on the first day. Infections grow, and are
reported days later; days of a week, weekends and laboratories make the counts noisier than chance.
What is known of the epidemic grows with the number of days that are seen of it.

    new_t = contact S_t I_t / N,    S_t+1 = S_t - new_t,    I_t+1 = I_t + new_t - recovery I_t

in steps of a day. Reported on day t are the infections of day t - delay; a delay of 7.3 days lets 7
out of 10 be reported after 7 days, the others after 8. The counts are negative binomial with that
mean m and the variance m + m^2 / dispersion.

The source's code drops the first `delay` days of infections instead of reporting them later, and
rounds the delay and the first infections to whole numbers.

>>> days = expected(contact=0.4, recovery=0.125, delay=8.0, infected=40.0, days=60)[0]
>>> days[6:11].round(1).tolist()  # nothing is reported before the delay has passed
[0.0, 0.0, 40.0, 16.0, 20.4]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

POPULATION = 83e6
MOST_DAYS = 150  # of the series that a network learns from


@simulator(batched=True, series={"days": ["cases"]})
def covid(
    contact: Array,
    recovery: Array,
    delay: Array,
    infected: Array,
    dispersion: Array,
    days: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Count the reported cases of an epidemic, day by day."""
    mean = expected(contact, recovery, delay, infected, int(days.max()))
    psi = dispersion[:, None]
    return {"cases": rng.negative_binomial(psi, psi / (psi + mean)).astype(np.float64)}


def expected(
    contact: npt.ArrayLike,
    recovery: npt.ArrayLike,
    delay: npt.ArrayLike,
    infected: npt.ArrayLike,
    days: int,
) -> Array:
    """Give the expected reports of each day, shape (B, days).

    Parameters
    ----------
    contact, recovery : arrays, shape (B,)
        Rates of infection and of recovery (1/day).
    delay : array, shape (B,)
        From infection to report (days).
    infected : array, shape (B,)
        On the first day.
    days : int
    """
    new = infections(contact, recovery, infected, days)
    whole = np.floor(np.atleast_1d(delay)).astype(np.int64)[:, None]
    late = np.atleast_1d(delay)[:, None] - whole
    day = np.arange(days)
    return (1 - late) * _before(new, day - whole) + late * _before(new, day - whole - 1)


def infections(
    contact: npt.ArrayLike, recovery: npt.ArrayLike, infected: npt.ArrayLike, days: int
) -> Array:
    """Give the people infected on each day, shape (B, days): on the first day, those who bring it.

    Parameters
    ----------
    contact, recovery, infected : arrays, shape (B,)
    days : int
    """
    contact, recovery, infected = map(np.atleast_1d, (contact, recovery, infected))
    ill, susceptible = infected.astype(np.float64), POPULATION - infected
    new = np.empty((days, len(ill)))
    new[0] = infected
    for day in range(1, days):
        new[day] = np.minimum(contact * ill * susceptible / POPULATION, susceptible)
        susceptible = susceptible - new[day]
        ill = ill + new[day] - recovery * ill
    return new.T


def _before(new: Array, day: npt.NDArray[np.int64]) -> Array:
    """Look up the infections of these days, shape (B, days): none before the first day."""
    found = np.take_along_axis(new, np.maximum(day, 0), axis=1)
    return np.where(day < 0, 0.0, found)


problem = Problem(
    covid,
    Prior(
        contact=st.lognorm(0.5, scale=0.4),
        recovery=st.lognorm(0.2, scale=1 / 8),
        delay=st.lognorm(0.2, scale=8.0),
        infected=st.gamma(2, scale=20.0),
        dispersion=st.expon(scale=5.0),
    ),
    given={"days": st.randint(1, MOST_DAYS + 1)},
    units={"contact": "1/day", "recovery": "1/day", "delay": "day"},
    labels={
        "contact": "contact rate",
        "recovery": "recovery rate",
        "delay": "delay of reports",
        "infected": "first infected",
        "dispersion": "dispersion",
        "days": "day",
        "cases": "reported cases",
    },
    source="Radev et al. (2021), OutbreakFlow, PLoS Computational Biology 17, e1009472, in the "
    "small form of BayesFlow's example",
)
