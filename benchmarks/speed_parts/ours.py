"""Our networks of the common architecture, and the bare matrix products, as a served process."""

from dataclasses import dataclass
from functools import cache, partial
from time import perf_counter

import torch
from torch import Tensor, nn

from sbi_inn.flows import MLP, Normal, coupling_flow
from sbi_inn.training.loop import Training, fit
from speed_parts.architecture import (
    BINS,
    BLOCKS,
    CLAMP,
    GRADIENT_CLIP,
    HIDDEN,
    OBSERVABLES,
    PARAMETERS,
    layers,
)
from speed_parts.serving import main, pairs


@dataclass(frozen=True)
class Pairs:
    """Training rows, held as a cINN holds them: parameters and observables apart."""

    x: Tensor
    context: Tensor

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return Pairs(self.x[rows], self.context[rows])

    def to(self, device):
        return Pairs(self.x.to(device), self.context.to(device))


class Ours(nn.Module):
    """Coupling blocks and a normal latent, trained by the loop that trains every posterior."""

    def __init__(self, transform, device="cpu"):
        super().__init__()
        self.device = device
        subnet = partial(MLP, context=OBSERVABLES, hidden=HIDDEN, depth=2)
        self.generator = torch.Generator().manual_seed(1)
        self.flow = coupling_flow(
            PARAMETERS,
            BLOCKS,
            subnet,
            self.generator,
            transform=transform,
            clamp=CLAMP,
            bins=BINS,
        )
        self.latent = Normal(PARAMETERS)
        self.to(device)

    @property
    def weights(self):
        return sum(p.numel() for p in self.parameters())

    def step(self, batch, steps):
        # From one call of the loss to the next is one whole step: what comes before the first and
        # the validation after the last are left out.
        stamps = []

        def loss(rows):
            stamps.append(perf_counter())
            return -self.density(rows.x, rows.context)

        fit(
            self,
            loss,
            Pairs(*pairs(batch * (steps + 1))),
            Pairs(*pairs(2)),
            Training(
                epochs=1, batch_size=batch, gradient_clip=GRADIENT_CLIP, device=str(self.device)
            ),
            seed=1,
            score=lambda rows: -self.density(rows.x, rows.context),
            progress=False,
        )
        if len(stamps) != steps + 1:
            raise RuntimeError(
                f"expected the loss to be called {steps + 1} times; got {len(stamps)}"
            )
        return (stamps[-1] - stamps[0]) / steps

    def density(self, x, context):
        z, log_det = self.flow(x, context)
        return self.latent.log_prob(z) + log_det

    def sample(self, n, context):
        return self.flow.inverse(self.latent.sample(n, self.generator).to(self.device), context)[0]


class Products:
    """The matrix products of the dense layers and nothing else: a floor for the affine networks."""

    def __init__(self, device="cpu"):
        self.device = device
        shapes = layers() * 2 * BLOCKS
        self.matrices = [torch.randn(out, into).to(device) for into, out in shapes]
        self.weights = sum(m.numel() for m in self.matrices)

    def step(self, batch, steps):
        rows = self._rows(batch)
        started = perf_counter()
        for _ in range(steps):
            self._forward(rows)
            for matrix in self.matrices:
                n_out, n_in = matrix.shape
                torch.mm(rows[n_out], matrix)
                last = torch.mm(rows[n_out].T, rows[n_in])
        last[0, 0].item()  # a device works on while the processor goes on
        return (perf_counter() - started) / steps

    def density(self, x, context):
        self._forward(self._rows(len(x)))

    def sample(self, n, context):
        self._forward(self._rows(n))

    @cache  # noqa: B019 - there is one of these, for as long as the process lives
    def _rows(self, n):
        widths = {width for shape in layers() for width in shape}
        return {width: torch.randn(n, width).to(self.device) for width in sorted(widths)}

    def _forward(self, rows):
        for matrix in self.matrices:
            torch.mm(rows[matrix.shape[1]], matrix.T)


if __name__ == "__main__":
    main(
        {
            "ours": partial(Ours, "affine"),
            "ours, spline": partial(Ours, "spline"),
            "matrix products": Products,
        }
    )
