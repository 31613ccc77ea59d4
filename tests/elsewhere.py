"""A pretended device that computes, for machines without one.

Its tensors say that they are on "meta", hold numbers of the processor, and do what a CUDA tensor
does: nothing works between them and tensors of the processor but copies, indexing by these, and
single numbers; random numbers need a generator of the same device; numpy cannot read them. So code
that would fail on a device fails here, and what does not can be compared with the processor to the
last bit. (torch's FakeTensorMode does the first but has no numbers: `if`, `.item()` and sets of
different sizes, of which training is full, end it.)
"""

from contextlib import contextmanager

import torch
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

NAME = "meta"
aten = torch.ops.aten
# What may read tensors of both places, as between CUDA and the processor.
MIXED = (aten.copy_, aten.index, aten._unsafe_index, aten.index_put, aten.index_put_)
MIXED += (aten._index_put_impl_, aten.set_data)


class OnDevice(torch.Tensor):
    """A tensor on the pretended device; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=NAME,
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.__getitem__:
            args = args[0], _indices(args[1])
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        if func == torch.Tensor.data.__set__:  # which changes what torch sees, and not what is held
            args[0].held = args[1].held
        return found

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def __repr__(self):
        return f"OnDevice({self.held!r})"


class _Factories(TorchDispatchMode):
    """Lets what makes tensors make them there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


@contextmanager
def elsewhere():
    """Give the name of a device, which there is within the block."""
    with _Factories():
        yield NAME


def _run(func, args, kwargs):
    flat = tree_flatten((args, kwargs))[0]
    leaves = [leaf for leaf in flat if isinstance(leaf, torch.Tensor)]
    there = [leaf for leaf in leaves if isinstance(leaf, OnDevice)]
    here = [leaf for leaf in leaves if not isinstance(leaf, OnDevice) and leaf.ndim]
    packet = func.overloadpacket
    assert not any(leaf.is_meta for leaf in here), "a tensor of torch's own that has no numbers"
    if there and here and packet not in MIXED:
        raise RuntimeError(f"{func}: expected all tensors on one device")
    asked = [leaf for leaf in flat if isinstance(leaf, torch.device)]
    to_device = asked[0].type == NAME if asked else bool(there)
    if kwargs.get("generator") is not None and to_device:
        raise RuntimeError(f"{func}: a generator of the processor, for a tensor elsewhere")
    if packet is aten.copy_ and not isinstance(args[0], OnDevice):
        to_device = False
    known = {id(leaf.held): leaf for leaf in there}
    found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if torch.Tag.inplace_view in func.tags:  # such as transpose_: torch has to see it as well
        with no_dispatch():
            func(*args, **kwargs)
    flat, shape = tree_flatten(found)
    return tree_unflatten([_wrapped(leaf, known, to_device) for leaf in flat], shape)


def _indices(index):
    """Make tensors of lists of indices: torch would make empty ones, for this device."""
    if isinstance(index, tuple):
        return tuple(torch.tensor(i) if isinstance(i, list | tuple) else i for i in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _held(leaf):
    if isinstance(leaf, torch.device):
        return torch.device("cpu")
    return leaf.held if isinstance(leaf, OnDevice) else leaf


def _wrapped(leaf, known, to_device):
    if not isinstance(leaf, torch.Tensor) or not to_device:
        return leaf
    if id(leaf) in known:  # it was changed in place
        return known[id(leaf)]
    with torch.inference_mode(False):  # a view of a tensor from outside such a block is not of it
        return OnDevice(leaf)
