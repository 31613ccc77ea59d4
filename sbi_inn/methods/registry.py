"""Methods by name, and the choice of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sbi_inn.errors import PriorError
from sbi_inn.methods.bidirectional.method import INN
from sbi_inn.methods.cinn.method import CINN
from sbi_inn.methods.ensemble.method import Ensemble
from sbi_inn.methods.fields.method import FieldCINN
from sbi_inn.methods.protocols import Method, declared
from sbi_inn.prior import Prior
from sbi_inn.training.stated import check_jobs, check_number

METHODS = {"cinn": CINN, "inn": INN, "field": FieldCINN}


def choose(
    method: Method | str, *, summary: Any = "auto", ensemble: int | None = None, n_jobs: int = -1
) -> Method:
    """Give the method that is asked for, several times if it is to be an ensemble.

    Parameters
    ----------
    method : Method or str
        Settings, or a name among `METHODS`.
    summary : "auto" or torch.nn.Module
        A summary network of the user's own.
    ensemble : int, optional
        How many networks; by default what the method declares.
    n_jobs : int
        Processes to train them on.

    Raises
    ------
    TypeError
        If the method is a class, or has no `fit`.
    ValueError
        If its name is not known, it takes no summary network, or a number cannot be.
    """
    check_jobs(n_jobs)
    chosen = _settings(method)
    members = declared(chosen, "default_members") if ensemble is None else ensemble
    check_number("ensemble", members, whole=True)
    if isinstance(chosen, Ensemble):
        chosen = chosen.method
    chosen = with_summary(chosen, summary)
    return chosen if members == 1 else Ensemble(chosen, members, n_jobs)


def for_prior(method: Method, prior: Prior) -> Method:
    """Give the method that goes with a prior: a cINN of fields, where the prior has one.

    Raises
    ------
    PriorError
        If the method is not for fields.
    """
    if not prior.fields:
        return method
    inner = method.method if isinstance(method, Ensemble) else method
    name = prior.fields[0].name
    if isinstance(inner, INN):
        raise PriorError(
            f'method="inn" maps all parameters to the observables and a latent side by side, in '
            f"dense blocks, which is not for the {prior.latent_dim:,} numbers of {name}: use "
            'method="cinn"'
        )
    if not isinstance(inner, CINN):
        return method
    if inner != CINN():
        raise PriorError(
            f"{name} is a field, for which si.CINN has no settings (nor a summary network): use "
            "method=si.FieldCINN(...)"
        )
    found: Any = FieldCINN()
    return found


def with_summary(method: Any, summary: Any) -> Any:
    """Let a method sum up observations by a network of the user's own.

    Raises
    ------
    ValueError
        If it takes none.
    """
    if isinstance(summary, str) and summary == "auto":
        return method
    if not declared(method, "takes_summary"):
        name = type(method).__name__
        raise ValueError(f'summary= is for method="cinn" only; got {name}')
    return replace(method, summary=summary)


def _settings(method: Method | str) -> Method:
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"expected a method among {', '.join(METHODS)}; got {method!r}")
        return METHODS[method]()
    if isinstance(method, type):
        name = method.__name__
        raise TypeError(f"expected settings, such as method={name}(); got the class {name} itself")
    if not callable(getattr(method, "fit", None)):
        raise TypeError(
            f"expected a method: a name among {', '.join(METHODS)}, or settings with a `fit`, such "
            f"as method=si.CINN(); got {method!r:.80}"
        )
    return method
