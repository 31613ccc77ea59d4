"""Work that is shared: by threads, by networks side by side, and by all who ask for the same.

`in_threads.py` splits it among threads, `stacked.py` trains small networks side by side,
`contexts.py` computes once what several rows need of one context, and `remembered.py` keeps what
was asked for before.
"""
