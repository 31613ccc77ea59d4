from itertools import combinations

import numpy as np

from sbi_inn.simulation.seeds import Seeds, Stream, generator


def test_no_two_streams_of_a_seed_are_alike() -> None:
    drawn = {stream.name: generator(1, stream).random(4) for stream in Stream}
    drawn["training"] = np.random.default_rng(1).random(4)
    drawn["a block"] = Seeds(1).inputs(0).random(4)
    drawn["the noise of a run"] = Seeds(1).noise().random(4)
    for one, other in combinations(drawn, 2):
        assert not np.isin(drawn[one], drawn[other]).any(), (one, other)


def test_parts_of_a_stream_differ_and_come_back() -> None:
    parts = [generator(1, Stream.DRAWS, *keys).random() for keys in ((), (0,), (1,), (0, 1))]
    assert len(set(parts)) == 4
    assert generator(1, Stream.DRAWS, 0, 1).random() == parts[3]
