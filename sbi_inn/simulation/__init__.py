"""From a simulator and a prior to a table of simulations.

`simulator.py` and `problem.py` hold what the user states, `registry.py` problems by name,
`binding.py` how arguments are filled, `inputs.py` and `outputs.py` what goes in and comes out,
`blocks.py` what a worker runs, `look.py` the look before a run, `pool.py` the cores,
`collect.py` and `table.py` the result, `run.py` the front door.
"""
