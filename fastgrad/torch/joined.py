"""Values of estimates, as torch differentiates them: by the logits, and by the parameters of f."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgrad.torch.operators import FIRST_ORDER
from fastgrad.torch.transforms import active

__all__ = ["joined"]

# Where torch does not tell, the graph counts as kept.
_autograd: Any = torch._C._autograd  # pyright: ignore
graph_is_kept = getattr(_autograd, "_get_current_graph_task_keep_graph", lambda: True)


def joined(logits: Tensor, mean: Tensor | None, value: Tensor, grad: Tensor, own: bool) -> Tensor:
    """Return the value, which has the estimate's gradient and that of the mean of f.

    Parameters
    ----------
    logits, value, grad : Tensor
        Those of the estimate.
    mean : Tensor or None
        Of f at the samples, with a graph that leads to its parameters, if there is one.
    own : bool
        Whether nothing else holds the memory of the gradient.
    """
    if active():
        return _Joined.apply(logits, mean, value, grad)
    # `apply` without its binding of defaults, which takes long.
    apply: Any = super(torch.autograd.Function, _Direct).apply  # pyright: ignore
    return apply(logits, mean, (value, grad, own))


class _Joined(torch.autograd.Function):
    """The value of an estimate, with the estimate's gradient and that of the mean of f."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, mean: Tensor | None, value: Tensor, grad: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], inputs[1], inputs[-1])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        (cotangent,), (logits, mean, grad) = cotangents, ctx.saved_tensors
        product, joined = None, None
        if ctx.needs_input_grad[0]:
            product = _Product.apply(cotangent, grad, logits, mean)
        if mean is not None:
            joined = _passed(cotangent, logits)
        return product, joined, None, None


class _Direct(torch.autograd.Function):
    """The same in fewer steps and arguments, which cost: not for transforms."""

    @staticmethod
    def forward(  # pyright: ignore
        ctx: Any, logits: Tensor, mean: Tensor | None, found: tuple[Tensor, Tensor, bool]
    ) -> Tensor:
        value, grad, ctx.own = found
        ctx.save_for_backward(logits, mean, grad)
        return value.clone()  # the state may hold the same memory

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        (cotangent,), (product_of, joined, _) = cotangents, ctx.needs_input_grad
        product, passed, (logits, mean, grad) = None, cotangent, ctx.saved_tensors
        again = active() or torch.is_grad_enabled()  # what is returned may be differentiated
        if joined and again:
            passed = _passed(cotangent, logits)
        if product_of and again:
            product = _Product.apply(cotangent, grad, logits, mean)
        elif product_of and ctx.own and not (torch.compiler.is_compiling() or graph_is_kept()):
            product = _scaled(grad, cotangent)  # which is not wanted again
        elif product_of:
            product = _Product.forward(cotangent, grad)
        return product, passed if joined else None, None


def _scaled(grad: Tensor, factor: Tensor) -> Tensor:
    """Multiply a gradient, in its own memory, by a number for each example."""
    if any(factor.stride()) or not grad.numel():
        return grad.mul_(factor.reshape((*factor.shape, *(grad.ndim - factor.ndim) * (1,))))
    one = factor.as_strided((), ()).item()  # for all: 1 where values are summed
    return grad if one == 1 else grad.mul_(one)


class _FirstOrder(torch.autograd.Function):
    """What refuses to be differentiated."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        raise NotImplementedError(FIRST_ORDER.format("expectation"))


class _Product(_FirstOrder):
    """The estimate's gradient times a number for each example.

    The logits, and the mean of f, which has its parameters, are there for the graph, so that it
    does not take second derivatives by these for zero.
    """

    @staticmethod
    def forward(
        cotangent: Tensor, grad: Tensor, logits: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        # Examples do not mix: each has its own factor.
        return cotangent.reshape((*cotangent.shape, *(grad.ndim - cotangent.ndim) * (1,))) * grad


class _Passed(torch.autograd.Function):
    """The cotangent of the mean of f, as it is; samples depend on the logits, which none tells."""

    generate_vmap_rule = True

    @staticmethod
    def forward(cotangent: Tensor, samples: Tensor) -> Tensor:
        return cotangent.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        (samples,) = ctx.saved_tensors
        return cotangents[0], torch.zeros_like(samples)


class _Samples(_FirstOrder):
    """What the samples of f have of the logits: no derivative that is known.

    A node of its own, which autograd only enters on the way to the logits: derivatives by f's
    parameters alone, of any order, are those of torch.
    """

    @staticmethod
    def forward(logits: Tensor) -> Tensor:
        return logits.new_zeros(())


def _passed(cotangent: Tensor, logits: Tensor) -> Tensor:
    """Return the cotangent of the mean of f, whose gradient can not be differentiated by logits."""
    return _Passed.apply(cotangent, _Samples.apply(logits))
