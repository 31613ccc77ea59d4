"""A drug in the blood: two compartments, a dose into the vein, 15 concentrations in two days.

Clearance (l/h), volumes (l), flow between the compartments (l/h) and noise have half-Cauchy priors,
whose tails give concentrations of any order of magnitude.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

HOURS = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 36.0, 48.0])
DOSE = 100.0  # mg
LOWEST = -600.0  # of the logarithm of a concentration: a number can still hold it
NAMES = ("clearance", "central", "flow", "peripheral")


def log_concentration(clearance, central, flow, peripheral):
    """Give the logarithm of the concentration (mg/l) at the hours, shape (n, 15)."""
    out, there, back = clearance / central, flow / central, flow / peripheral
    total = out + there + back
    fast = (total + np.sqrt(np.maximum(total**2 - 4 * out * back, 0))) / 2
    slow = out * back / fast
    share = (back - slow) / np.maximum(fast - slow, 1e-300)  # of the slow decay
    with np.errstate(divide="ignore"):
        decays = np.stack([np.log(np.clip(1 - share, 0, 1)), np.log(np.clip(share, 0, 1))])
    decays = decays[..., None] - np.stack([fast, slow])[..., None] * HOURS
    found = np.logaddexp(*decays) + np.log(DOSE / central)[:, None]
    return np.maximum(found, LOWEST)


@si.simulator(batched=True)
def pharmacokinetics(clearance, central, flow, peripheral, sigma, rng):
    mean = log_concentration(clearance, central, flow, peripheral)
    noisy = mean + sigma[:, None] * rng.normal(size=mean.shape)
    return {"concentration": np.exp(np.clip(noisy, LOWEST, -LOWEST))}


def log_likelihood(parameters, y):
    mean = log_concentration(*(parameters[name] for name in NAMES))
    seen = np.log(y["concentration"])
    return (st.norm.logpdf(seen, mean, parameters["sigma"][:, None]) - seen).sum(axis=1)


problem = si.Problem(
    pharmacokinetics,
    si.Prior(
        clearance=st.halfcauchy(0, 5),
        central=st.halfcauchy(0, 20),
        flow=st.halfcauchy(0, 5),
        peripheral=st.halfcauchy(0, 20),
        sigma=st.halfcauchy(0, 0.5),
    ),
    units={"clearance": "l/h", "central": "l", "flow": "l/h", "peripheral": "l"}
    | {"concentration": "mg/l"},
)

TRUTHS = (
    {"clearance": 4.0, "central": 15.0, "flow": 6.0, "peripheral": 40.0, "sigma": 0.1},
    {"clearance": 1.5, "central": 8.0, "flow": 2.0, "peripheral": 12.0, "sigma": 0.2},
    {"clearance": 9.0, "central": 40.0, "flow": 15.0, "peripheral": 90.0, "sigma": 0.15},
)
