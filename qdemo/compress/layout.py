"""How the weight of a layer becomes a matrix whose rows are its outputs, and how it comes back.

Everything that rounds looks at matrices (rows, columns): a row makes one output, of as many inputs
as there are columns. A Linear holds its weight so; transformers' Conv1D holds it the other way
round, experts hold a stack of matrices, and a convolution's filters are rows once they are flat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """`columns_first`: the last two axes are (inputs, outputs). `flat`: all axes but the first are
    the inputs. Axes before the last two, as of experts, count further matrices, whose rows follow
    one another.

    >>> import torch
    >>> experts = torch.arange(12).view(2, 3, 2)   # two of them, each 3 inputs and 2 outputs
    >>> Layout(columns_first=True).matrix(experts).tolist()
    [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]]
    """

    columns_first: bool = False
    flat: bool = False

    def matrix(self, weight: Tensor) -> Tensor:
        """(rows, columns), in the memory of `weight` where that is possible."""
        if self == ROWS and weight.ndim == 2:
            return weight
        if self.flat:
            return weight.flatten(1)
        return (weight.mT if self.columns_first else weight).flatten(0, -2)

    def shape(self, weight: tuple[int, ...]) -> tuple[int, int]:
        """That of the matrix of a weight of that shape."""
        if self.flat:
            return weight[0], math.prod(weight[1:])
        *counted, rows, columns = weight
        if self.columns_first:
            rows, columns = columns, rows
        return math.prod(counted) * rows, columns

    def restored(self, matrix: Tensor, weight: tuple[int, ...]) -> Tensor:
        """What `matrix` is the matrix of, of that shape."""
        if self.columns_first:
            return matrix.reshape(*weight[:-2], weight[-1], weight[-2]).mT
        return matrix.reshape(weight)


ROWS = Layout()
COLUMNS = Layout(columns_first=True)
FLAT = Layout(flat=True)
