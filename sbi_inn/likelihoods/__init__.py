"""Learned likelihoods of observables, given parameters: what they are, and how they are learned.

There are four (`kinds.py`), and each `*_learning.py` learns the one it is named after:

- `likelihood.py`: a law of each observable (`observable_laws.py`), which is normal, or one of
  `log_odds.py` or of `counts.py` (`negative_binomial.py`, `beta_binomial.py`); the latter are
  regressed by `generalised_linear.py`, and `observable_networks.py` says what networks add. Where
  noise spans powers of ten, `uneven_noise.py` helps.
- `two_laws.py`: two normal laws of each observable, such as those of points and of outliers.
- `autoregressive.py`: series, with `recursion.py` and `series_regression.py`.
- `entry_law.py`: sets, with `entry_columns.py`, `mixed_normals.py` and `linear_in_both.py`.

`learning.py` learns the first one, and is where all of them are asked for. All four have small
networks (`learned_of_parameters.py`, trained by `networks.py`). `laplace.py` finds the mode of any,
and `score_test.py` says whether one is surer than it has reason to be.
"""
