"""Operators of torch made of functions of arrays: one row of a table becomes three of them.

An `Operator` names a function of the NumPy API, its vector-Jacobian product, and the axes of what
goes in and comes out. From these follow, for torch's dispatcher, the forward operator, the operator
of the product, the shapes for graphs, and the rules of `torch.func.vmap`; and, outside of it, the
`torch.autograd.Function` that joins them. What is saved for the backward pass is the arguments, the
key among them, and results that are reused; never the noise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import _C, Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from fastgrad.torch.arguments import KEY, Operator, dispatched, lead_of, names_of, shapes_of
from fastgrad.torch.calls import Call, forward_of, one_or_all, product_of

# Operators cannot be defined twice, and graphs go on calling them: what they are is kept in a place
# that outlives this module, which a process may import anew.
KEPT: dict[str, Any] = torch.library.__dict__.setdefault("_fastgrad", {})
LIBRARY = KEPT.get("library") or torch.library.Library("fastgrad", "FRAGMENT")
KEPT["library"] = LIBRARY
FIRST_ORDER = (
    "fastgrad.torch has first derivatives only: the gradient of {} can not be differentiated"
)


def build(row: Operator) -> Callable[..., Any]:
    """Register the operators of a row; return the function of tensors that they make."""
    compute, shapes = forward_of(row), (row.operands, [axes for axes, _ in row.results])
    forward = _define(
        row.name, row.arguments, len(row.results), compute, _fake(row), _vmap(*shapes)
    )
    if row.vjp is None:
        begin, convert = len(row.operands), dispatched(row)
        return lambda *args: (
            compute(*args) if _alone(args[0]) else forward(*args[:begin], *convert(args[begin:]))
        )
    given = [axes for i, (axes, _) in enumerate(row.results) if i in row.differentiable]
    names = [f"Tensor cotangent_{i}" for i in range(len(given))]
    names += [f"Tensor result_{i}" for i in row.reuses]
    multiply, arguments = product_of(row), ", ".join([*names, row.arguments])
    # Operands come after these here, and it is the first operand that axes are counted from.
    given += [row.results[i][0] for i in row.reuses]
    axes = [*given, *row.operands], row.operands[: row.gradients]
    drawn = KEY[0] in names_of(row)
    rule = _vmap(*axes, first=len(given), summed=True, drawn=drawn)
    fake = _fake_product(row)
    product = _define(f"{row.name}_vjp", arguments, row.gradients, multiply, fake, rule)
    return _differentiable(row, forward, product, compute, multiply)


def _define(
    name: str,
    arguments: str,
    count: int,
    call: Callable[..., Any],
    fake: Callable[..., Any],
    rule: Callable[..., Any],
) -> Any:
    """Return an operator, which is defined when it has not been."""
    if name not in KEPT:
        result = "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"
        LIBRARY.define(f"_{name}({arguments}) -> {result}")
        LIBRARY.impl(f"_{name}", call, "CPU")
        operator = getattr(torch.ops.fastgrad, f"_{name}").default
        torch.library.register_fake(operator, fake, lib=LIBRARY)
        torch.library.register_vmap(operator, functools.partial(rule, operator), lib=LIBRARY)
        KEPT[name] = operator
    return KEPT[name]


def _fake(row: Operator) -> Callable[..., Any]:
    count, names = len(row.operands), names_of(row)

    def call(*args: Any) -> Any:
        operands, options = args[:count], dict(zip(names, args[count:], strict=True))
        shapes = shapes_of(row, lead_of(row, operands, options), operands[0])
        results = [operands[0].new_empty(shape, dtype=dtype) for shape, dtype in shapes]
        return one_or_all(results)

    return call


def _fake_product(row: Operator) -> Callable[..., Any]:
    begin = len(row.differentiable) + len(row.reuses)

    def call(*args: Any) -> Any:
        results = [x.new_empty(x.shape) for x in args[begin : begin + row.gradients]]
        return one_or_all(results)

    return call


def _vmap(
    operands: Sequence[int],
    results: Sequence[int],
    *,
    first: int = 0,
    summed: bool = False,
    drawn: bool = False,
) -> Callable[..., Any]:
    """Return the rule of vmap: the new axis goes before the batch, and rows are counted on.

    So each row has the randomness that one large call would give it. `first` is the operand from
    which axes are counted; results that are `summed` have no axis of samples. Where only cotangents
    are mapped, as for Jacobians, products that have `drawn` are of the same rows: one by one.
    """

    def rule(rowwise: Any, info: Any, dims: Any, *args: Any) -> Any:
        count = len(operands)
        if drawn and all(dim is None for dim in dims[first:count]):
            return one_by_one(rowwise, info.batch_size, dims, args)
        if any(isinstance(dim, int) for dim in dims[count:]):  # that of a list is a list
            raise ValueError("temperature must be one number for all rows: vmap over it is refused")
        base = args[first].ndim - (dims[first] is not None)
        moved = []
        for x, dim, axes in zip(args, dims, operands):
            lead = x.ndim - (dim is not None) - (base + axes)  # 1 if there is an axis of samples
            if dim is None:
                shape = (*x.shape[:lead], info.batch_size, *x.shape[lead:])
                moved.append(x.unsqueeze(lead).expand(shape))
            else:
                moved.append(x.movedim(dim, lead))
        found = rowwise(*moved, *args[count:])
        many = found if isinstance(found, tuple) else (found,)
        places = [
            0 if summed else x.ndim - 1 - (base + axes)
            for x, axes in zip(many, results, strict=True)
        ]
        return (found, tuple(places)) if isinstance(found, tuple) else (found, places[0])

    return rule


def one_by_one(
    call: Callable[..., Any], size: int, dims: Sequence[int | None], args: Sequence[Any]
) -> Any:
    """Return results of calls with each entry of what is mapped, and where their new axis is."""
    found = [
        call(*[x if dim is None else x.select(dim, i) for x, dim in zip(args, dims, strict=True)])
        for i in range(size)
    ]
    if not isinstance(found[0], tuple):
        return torch.stack(found), 0
    return tuple([torch.stack(each) for each in zip(*found)]), (0,) * len(found[0])


def _alone(*tensors: Tensor) -> bool:
    """Return whether nobody listens to the dispatcher, which may then be left out.

    It takes as long as a small kernel; but compilers, transforms and modes must see operators.
    """
    if torch.compiler.is_compiling():
        return False
    for x in tensors:
        if type(x) is not Tensor and type(x) is not Parameter:
            return False
        if is_legacy_batchedtensor(x):  # of `torch.autograd.grad`
            return False
    return (
        not _C._are_functorch_transforms_active()
        and _C._len_torch_dispatch_stack() == 0
        and _C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


@torch.compiler.assume_constant_result
def _transformed() -> bool:
    """Return whether this is inside a transform of `torch.func`, also while it is compiled.

    There Dynamo takes the forward pass of a Function for all of it: its operator has no gradient
    (pytorch/pytorch#193279).
    """
    return _C._are_functorch_transforms_active()


def _differentiable(
    row: Operator, forward: Any, product: Any, compute: Call, multiply: Call
) -> Callable[..., Any]:
    """Return the function whose backward pass is `product`, which itself has none.

    `compute` and `multiply` are what both operators do on the CPU.
    """
    kept = [i for i in range(len(row.results)) if i in row.differentiable]
    others = [i for i in range(len(row.results)) if i not in row.differentiable]
    tensors, operands = row.arguments.count("Tensor "), len(row.operands)
    none = (None,) * (row.arguments.count(",") + 1 - row.gradients)
    rest = (None,) * (operands - row.gradients + 1)
    # Literals, since graphs are traced through these functions.
    message, reuses, convert = FIRST_ORDER.format(row.name), row.reuses, dispatched(row)
    small = row.small

    class Product(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*args: Any) -> Any:
            return product(*args)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            raise NotImplementedError(message)

    class Function(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*args: Any) -> Any:
            return forward(*args)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            results = output if isinstance(output, tuple) else (output,)
            ctx.save_for_backward(*[results[i] for i in reuses], *inputs[:tensors])
            ctx.options = inputs[tensors:]
            if others:
                ctx.mark_non_differentiable(*[output[i] for i in others])

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            args = [*[grads[i] for i in kept], *ctx.saved_tensors, *ctx.options]
            # Grad mode is on where the gradient may be differentiated: Product refuses that.
            if torch.is_grad_enabled() and not torch.compiler.is_compiling():
                found = Product.apply(*args)
            else:
                found = product(*args)
            return (*found, *none) if isinstance(found, tuple) else (found, *none)

    class Direct(torch.autograd.Function):
        """The same in fewer steps and arguments, which cost: not for compilers and transforms."""

        @staticmethod
        def forward(ctx: Any, *packed: Any) -> Any:  # pyright: ignore
            *given, arguments = packed
            found = small.forward(*given, *arguments) if small else None
            if found is not None:
                output, call = found
                ctx.save_for_backward(output, *given)
                ctx.given = arguments, None, call
                return output
            options = compute.read((*given, *arguments))
            output = compute.run(given, options)
            results = output if isinstance(output, tuple) else (output,)
            ctx.save_for_backward(*[results[i] for i in reuses], *given)
            ctx.given = arguments, options, None
            if others:
                ctx.mark_non_differentiable(*[output[i] for i in others])
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            saved, (arguments, options, call) = ctx.saved_tensors, ctx.given
            if call is not None and not torch.is_grad_enabled() and _alone(*grads):
                found = small.product(grads[0], saved[0], call)  # pyright: ignore
                if found is not None:
                    return found, *rest
            cotangents = [grads[i] for i in kept]
            if torch.is_grad_enabled():
                found = Product.apply(*cotangents, *saved, *convert(arguments))
            elif not _alone(*cotangents):
                found = product(*cotangents, *saved, *convert(arguments))
            else:
                options = options or compute.read((*saved[-operands:], *arguments))
                found = multiply.run((*cotangents, *saved), options)
            return (*found, *rest) if isinstance(found, tuple) else (found, *rest)

    # Where nothing requires grad, Dynamo counts the parameters to tell whether `forward` takes ctx.
    names = [argument.split()[1] for argument in row.arguments.split(", ")]
    parameters = [inspect.Parameter(x, inspect.Parameter.POSITIONAL_ONLY) for x in names]
    setattr(Function.forward, "__signature__", inspect.Signature(parameters))  # noqa: B010
    # What Dynamo puts into its graph without looking inside.
    whole: Any = torch.compiler.allow_in_graph(lambda *args: Function.apply(*args))
    for kind in (Function, Direct):
        kind.__name__ = kind.__qualname__ = row.name
    Product.__name__ = Product.__qualname__ = f"{row.name}_vjp"
    # `apply` without its binding of defaults, which takes 20 microseconds.
    apply: Callable[..., Any] = super(torch.autograd.Function, Direct).apply  # pyright: ignore

    def call(*args: Any) -> Any:
        if not _alone(*args[:operands]):
            join = whole if _transformed() else Function.apply
            return join(*args[:operands], *convert(args[operands:]))
        watched = args[0].requires_grad  # mostly the only one: a loop takes 2 microseconds
        if operands > 1 and not watched:
            watched = any([x.requires_grad for x in args[1:operands]])
        if watched and torch.is_grad_enabled():
            return apply(*args[:operands], args[operands:])
        found = small.forward(*args) if small else None
        return compute(*args) if found is None else found[0]

    return call
