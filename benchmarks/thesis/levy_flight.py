"""Levy flights: recovery of six parameters of decisions from 100 and from 1,000 trials.

    python benchmarks/thesis/levy_flight.py [--simulations N ...] [--seconds S]
    python benchmarks/thesis/levy_flight.py --table

One network for all sizes; half of the trials under either condition. Published: Radev et al.
(2020).
"""

from recovery import Length, Study, main

NAMES = ("v1", "v2", "zr", "a", "t0", "alpha")


def trials(n, published):
    """Describe test sets of n trials."""
    return Length(
        {"n1": n // 2, "n2": n // 2},
        r2=dict(zip(NAMES, published, strict=True)),
    )


STUDY = Study(
    "levy_flight",
    simulations=(3_000, 12_000, 50_000),
    lengths={
        "1,000 trials": trials(1_000, (0.991, 0.991, 0.987, 0.987, 0.999, 0.971)),
        "100 trials": trials(100, (0.940, 0.940, 0.895, 0.907, 0.994, 0.811)),
    },
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
