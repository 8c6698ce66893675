"""A 2-d convolution with M sets of weights, examples last, as one matrix product per lane.

Grouped convolutions, into which vmap turns it, are slower than one lane after the other wherever there is a stride, and
their bits depend on the number of groups. With the examples last, the columns of the product are copies of contiguous
memory, and a lane's product does not depend on the other lanes of its batch.
"""

from typing import Any

import torch
from torch import Tensor

IN_CACHE = 2**20  # values of columns that are processed at once on a CPU

Pair = tuple[int, int]  # along height and width


class Convolution(torch.autograd.Function):
    """(x (M, C, H, W, B), weight (M, O, C, h, w), bias (M, O) or None) -> (M, O, H', W', B): nn.Conv2d per lane."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.settings = stride, padding, dilation
        ctx.save_for_backward(x, weight)
        sides = _sides(x, weight, *ctx.settings)
        out = x.new_empty(len(weight), weight.shape[1], sides[0] * sides[1] * x.shape[4])
        for lanes in _pieces(x, weight, sides):
            columns = _columns(x[lanes], weight, sides, *ctx.settings)
            torch.bmm(weight[lanes].flatten(2), columns, out=out[lanes])
        if bias is not None:
            out += bias.unsqueeze(2)
        return out.view(*out.shape[:2], *sides, x.shape[4])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        sides, grad = (grad.shape[2], grad.shape[3]), grad.flatten(2)
        to_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
        to_x = torch.empty_like(x, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        for lanes in _pieces(x, weight, sides):
            columns = _columns(x[lanes], weight, sides, *ctx.settings)
            torch.bmm(grad[lanes], columns.transpose(1, 2), out=to_weight[lanes].flatten(2))
            if to_x is not None:
                if columns.untyped_storage().data_ptr() == x.untyped_storage().data_ptr():
                    columns = torch.empty_like(columns)  # those of a 1x1 kernel are x itself
                torch.bmm(weight[lanes].flatten(2).transpose(1, 2), grad[lanes], out=columns)
                _add_columns(to_x[lanes], columns, weight, sides, *ctx.settings)
        return to_x, to_weight, grad.sum(2) if ctx.needs_input_grad[2] else None, None, None, None


def _sides(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """(H', W')."""
    height, width = (
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (weight.shape[3 + i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )
    return height, width


def _pieces(x: Tensor, weight: Tensor, sides: Pair) -> list[slice]:
    """Slices of lanes: as many at a time as have their columns in the cache; on a GPU all."""
    values = weight[0, 0].numel() * sides[0] * sides[1] * x.shape[4]
    lanes = len(weight) if x.is_cuda else max(1, IN_CACHE // values)
    return [slice(i, i + lanes) for i in range(0, len(weight), lanes)]


def _windows(padded: Tensor, weight: Tensor, sides: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """A view of (m, C, H + 2 p, W + 2 p, B) as (m, C, h, w, H', W', B): the values that each weight multiplies."""
    m, c, h, w, b = padded.stride()
    return padded.as_strided(
        (*padded.shape[:2], *weight.shape[3:], *sides, padded.shape[4]),
        (m, c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], b),
        padded.storage_offset(),
    )


def _padded(x: Tensor, padding: Pair) -> Tensor:
    high, wide = padding
    return torch.nn.functional.pad(x, (0, 0, wide, wide, high, high)) if high or wide else x


def _columns(x: Tensor, weight: Tensor, sides: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """(m, C h w, H' W' B)."""
    return _windows(_padded(x, padding), weight, sides, stride, dilation).flatten(4).flatten(1, 3)


def _add_columns(
    to: Tensor, columns: Tensor, weight: Tensor, sides: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """The reverse: every value of the columns is added to its place of origin; those of the padding are dropped."""
    (high, wide), (rows, cols) = padding, to.shape[2:4]
    whole = to.new_zeros(*to.shape[:2], rows + 2 * high, cols + 2 * wide, to.shape[4])
    windows = _windows(whole, weight, sides, stride, dilation)
    parts = columns.view(windows.shape)
    for i in range(weight.shape[3]):
        for j in range(weight.shape[4]):
            windows[:, :, i, j].add_(parts[:, :, i, j])  # not +=, which copies the sum once more
    to.copy_(whole[:, :, high : high + rows, wide : wide + cols])
