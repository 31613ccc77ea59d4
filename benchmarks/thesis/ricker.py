"""Ricker's map: recovery of r, sigma and rho from a noisy count of each generation.

    python benchmarks/thesis/ricker.py [--simulations N ...] [--seconds S]
    python benchmarks/thesis/ricker.py --table

Published (Radev et al. 2020): 500 generations, after millions of simulations, 300 test sets.
"""

from recovery import Length, Study, main

STUDY = Study(
    "ricker",
    simulations=(6_000, 25_000, 100_000),
    lengths={
        "500 generations": Length(
            {"generations": 500},
            r2={"r": 0.980, "sigma": 0.919, "rho": 0.996},
            calibration={"r": 0.017, "sigma": 0.013, "rho": 0.084},
        )
    },
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
