"""The architecture that all libraries build, as near as each one's own interface allows.

Eight two-sided coupling blocks (sixteen one-sided ones) for four parameters, given two observables;
in each half two numbers and the observables go through two hidden layers of 128: 282,688 weights
with affine couplings.
"""

PARAMETERS, OBSERVABLES = 4, 2
BLOCKS, HIDDEN = 8, 128
BINS, BOUND = 8, 5.0  # of splines
CLAMP = 2.0
GRADIENT_CLIP = 5.0

# Numbers that steer one number: log scale and shift, or widths, heights and slopes.
PER_NUMBER = {"affine": 2, "spline": 3 * BINS - 1}


def layers(transform="affine"):
    """Inputs and outputs of each dense layer of one half of a block."""
    half = PARAMETERS // 2
    leave = (HIDDEN, half * PER_NUMBER[transform])
    return [(half + OBSERVABLES, HIDDEN), (HIDDEN, HIDDEN), leave]
