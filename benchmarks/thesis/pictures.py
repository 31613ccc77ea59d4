"""Two sets of pictures that need no download, and pictures that are not like them.

Scikit-learn's digits, 8 x 8 in 17 grey levels, and letters of 16 x 16 drawn without limit from the
fonts of matplotlib. Both are made of numbers of the size of one, in one unit for all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sbi_inn.simulators import glyphs
from scipy.ndimage import rotate, zoom
from shared import CACHE

FOLDS = 5
GLYPHS, GLYPH_TESTS = 5_000, 3_000
OTHERS = 500  # pictures of each kind that is not like them
OTHER_LETTERS = "ΓΔΘΛΞΠΣΦΨΩ"
ANGLE = 54.0  # degrees, as in the dissertation
SEED = 5


@dataclass(frozen=True)
class Pictures:
    """Pictures for training and for tests, and others.

    Attributes
    ----------
    train, test : array, shape (n, pixels)
    train_labels, test_labels : array of int, shape (n,)
    others : dict of str to array, shape (m, pixels)
        Rotated and noisy test pictures, other alphabets and patches of photographs.
    level : float
        The step of grey levels, which bits are counted by: uniform noise of that width is added
        where `whole`.
    whole : bool
        Whether pixels are whole levels.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    others: dict[str, np.ndarray]
    level: float
    whole: bool

    @property
    def dim(self):
        return self.train.shape[1]

    def with_noise(self, x, rng):
        """Fill the steps of whole grey levels, so that there is a density."""
        return x + self.whole * self.level * (rng.random(x.shape) - 0.5)


def digits(seed):
    """Give the five folds of the digits, so that all of them serve as tests."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    pictures, labels = loaded.images, loaded.target
    order = np.random.default_rng(seed).permutation(len(labels))
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        train = np.setdiff1d(order, test)
        rng = np.random.default_rng([seed, fold])
        others = unlike(pictures[test], 16.0, rng)
        alphabet = zoom(cached_glyphs("latin", glyphs.LETTERS, OTHERS), (1, 0.5, 0.5), order=1)
        others["other alphabet"] = np.rint(alphabet.clip(0, 1) * 16)
        others = {name: np.rint(x).clip(0, 16) for name, x in others.items()}
        yield scaled(pictures, labels, train, test, others, level=1.0, whole=True)


def letters(seed):
    """Give one set of letters, with as many tests as training rows."""
    n = GLYPHS + GLYPH_TESTS
    pictures = cached_glyphs(f"train{seed}", glyphs.LETTERS, n)
    labels = np.arange(n) % len(glyphs.LETTERS)
    train, test = np.arange(GLYPHS), np.arange(GLYPHS, n)
    rng = np.random.default_rng(seed)
    others = unlike(pictures[test], 1.0, rng)
    others["other alphabet"] = cached_glyphs("greek", OTHER_LETTERS, OTHERS)
    yield scaled(pictures, labels, train, test, others, level=1 / 255, whole=False)


def cached_glyphs(name, characters, n):
    """Draw pictures of characters in turn, or read those that were drawn before."""
    file = CACHE / f"glyphs-{name}-{n}.npy"
    if not file.exists():
        rng = np.random.default_rng([SEED, *name.encode()])
        laws = (glyphs.WIDTH, glyphs.SLANT, glyphs.STROKE)
        drawn = [law.rvs(n, random_state=rng) for law in laws]
        row = [characters[i % len(characters)] for i in range(n)]
        CACHE.mkdir(exist_ok=True)
        np.save(file, glyphs.pictures(row, *drawn, rng).astype(np.float32))
    return np.load(file).astype(float)


def unlike(test, white, rng):
    """Make pictures unlike the others: some rotated or noisy, and patches of photographs."""
    some = test[rng.choice(len(test), min(OTHERS, len(test)), replace=False)]
    turned = rotate(some, ANGLE, axes=(2, 1), reshape=False, order=1)
    if not np.all(some == np.rint(some)):  # the noise of the camera, which turning has smoothed
        lost = glyphs.NOISE * np.sqrt(1 - (2 / 3) ** 2)  # by interpolation, on average
        turned = turned + lost * rng.normal(size=turned.shape)
    noisy = some + white * rng.uniform(-0.3, 0.3, some.shape)
    return {"rotated": turned, "noisy": noisy, "photographs": patches(test.shape[1], rng) * white}


def patches(side, rng):
    """Cut grey patches out of the photographs that ship with scikit-learn, from 0 to 1."""
    from sklearn.datasets import load_sample_images

    grey = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    found = []
    for i in range(OTHERS):
        photograph = grey[i % len(grey)]
        top, left = (rng.integers(n - 2 * side) for n in photograph.shape)
        large = photograph[top : top + 2 * side, left : left + 2 * side]
        found.append(large.reshape(side, 2, side, 2).mean(axis=(1, 3)))
    return np.stack(found)


def scaled(pictures, labels, train, test, others, *, level, whole):
    """Flatten the pictures, and bring all pixels to one unit: the spread over all of them."""
    centre, unit = pictures[train].mean(), pictures[train].std()

    def flat(x):
        return ((x - centre) / unit).reshape(len(x), -1)

    return Pictures(
        flat(pictures[train]),
        labels[train],
        flat(pictures[test]),
        labels[test],
        {name: flat(x) for name, x in others.items()},
        level / unit,
        whole,
    )


SETS = {"digits": digits, "letters": letters}
