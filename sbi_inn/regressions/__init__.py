"""Regressions in closed form: of parameters on observables, and the other way round.

`ridge.py` chooses its strength by rows that are left out, which `left_out.py` names; `inverse.py`
turns a regression round, and `reweighted.py` learns widths with it. `emulator.py` regresses
observables on parameters, and `prediction.py` says with its help what parameters are.
"""
