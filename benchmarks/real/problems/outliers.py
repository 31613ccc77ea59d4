"""A straight line through 30 points, some of which are outliers (Hogg, Bovy & Lang 2010).

The errors of the points are known. An outlier has nothing to do with the line: it is drawn from a
normal distribution whose mean and width are unknown, too (arXiv:1008.4686, sec. 3).
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_LAID_OUT = np.random.default_rng(5)
X = np.sort(_LAID_OUT.uniform(0, 10, 30))
ERROR = _LAID_OUT.uniform(0.3, 1.0, 30)


@si.simulator(batched=True)
def outliers(intercept, slope, share, middle, scatter, rng):
    shape = (len(intercept), len(X))
    near = intercept[:, None] + slope[:, None] * X
    far, width = middle[:, None], np.hypot(scatter[:, None], ERROR)
    out = rng.random(shape) < share[:, None]
    mean, width = np.where(out, far, near), np.where(out, width, ERROR)
    return {"y": mean + width * rng.normal(size=shape)}


def log_likelihood(parameters, y):
    p = {name: value[:, None] for name, value in parameters.items()}
    near = st.norm.logpdf(y["y"], p["intercept"] + p["slope"] * X, ERROR)
    far = st.norm.logpdf(y["y"], p["middle"], np.hypot(p["scatter"], ERROR))
    return np.logaddexp(np.log1p(-p["share"]) + near, np.log(p["share"]) + far).sum(axis=1)


problem = si.Problem(
    outliers,
    si.Prior(
        intercept=st.norm(0, 20),
        slope=st.norm(0, 5),
        share=st.uniform(0, 0.5),
        middle=st.norm(0, 20),
        scatter=st.loguniform(1, 20),
    ),
)

TRUTHS = tuple(
    dict(zip(("intercept", "slope", "share", "middle", "scatter"), values, strict=True))
    for values in (
        (3.0, 6.0, 0.2, -10.0, 5.0),
        (-15.0, -2.0, 0.1, 12.0, 10.0),
        (25.0, 0.5, 0.3, 20.0, 3.0),
    )
)
