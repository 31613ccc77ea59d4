"""From a simulator and a prior to a table of simulations.

`simulator.py` and `problem.py` hold what the user states, `registry.py` problems by name,
`binding.py` how arguments are filled, `inputs.py` and `outputs.py` what goes in and comes out,
`drawing.py` what is drawn for them, `blocks.py` and `worker.py` what a worker runs, `pilot.py` the
first simulation, `tasks.py` the rows that are handed out, `pool.py` the cores, `processes.py` each
of them, `execution.py` where simulations run, `failure.py` what goes wrong,
`results.py`, `tally.py` and `table.py` the outcome, `store.py` the one on disk, with `manifest.py`,
`identity.py`, `declared.py`, `piece.py`, `filling.py`, `stored.py` and `lazily.py`,
`covered.py` what training sees of the givens, `run.py` the front door.
"""
