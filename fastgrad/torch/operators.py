"""Operators of torch made of functions of arrays: one row of a table becomes three of them.

An `Operator` names a function of the NumPy API, its vector-Jacobian product, and the axes of what
goes in and comes out. From these follow, for torch's dispatcher, the forward operator, the operator
of the product, the shapes for graphs, and the rules of `torch.func.vmap`; and, outside of it, the
`torch.autograd.Function` that joins them. What is saved for the backward pass is the arguments, the
key among them, never the noise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import _C, Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from fastgrad import _validate
from fastgrad.torch.arguments import Operator, lead_of, names_of, reader, shapes_of

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
    compute, shapes = _forward(row), (row.operands, [axes for axes, _ in row.results])
    forward = _define(
        row.name, row.arguments, len(row.results), compute, _fake(row), _vmap(*shapes)
    )
    if row.vjp is None:
        return lambda *args: compute(*args) if _alone(args[0]) else forward(*args)
    given = [axes for i, (axes, _) in enumerate(row.results) if i in row.differentiable]
    names = [f"Tensor cotangent_{i}" for i in range(len(given))]
    multiply, arguments = _product(row), ", ".join([*names, row.arguments])
    # Operands come after cotangents here, and it is the first operand that axes are counted from.
    axes = [*given, *row.operands], row.operands[: row.gradients]
    rule = _vmap(*axes, first=len(given), summed=True)
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


def _array(x: Tensor) -> Any:
    """Return an array of the memory of a tensor, with its sign where the negation is lazy."""
    return x.numpy(force=True)


def _forward(row: Operator) -> Callable[..., Any]:
    names, function, count = names_of(row), row.function, len(row.operands)
    read = reader(names, count, {*names, "rng"})
    writes = "out" in inspect.signature(function).parameters
    drawn = "num_samples" in names
    alike = row.results == ((0, None),)  # to the first operand, but for an axis of samples

    def call(*args: Any) -> Any:
        options = read(args)
        if not writes:
            return _tensors(function(*map(_array, args[:count]), **options))
        if drawn:
            _, lead = _validate.samples(options["num_samples"])
        else:
            lead = lead_of(row, args[:count], options)
        x = args[0]
        if alike:
            result = x.new_empty((*lead, *x.shape))
            function(*map(_array, args[:count]), out=result.numpy(), **options)
            return result
        results = [torch.empty(shape, dtype=kind) for shape, kind in shapes_of(row, lead, x)]
        options["out"] = _one_or_all([x.numpy() for x in results])
        function(*map(_array, args[:count]), **options)
        return _one_or_all(results)

    return call


def _tensors(found: Any) -> Any:
    """Return a fresh array, or several, as tensors of their memory."""
    if type(found) is np.ndarray:
        return torch.from_numpy(found)
    many = found if isinstance(found, tuple) else (found,)
    return _one_or_all([torch.from_numpy(np.asarray(x)) for x in many])


def _one_or_all(results: list[Any]) -> Any:
    return tuple(results) if len(results) > 1 else results[0]


def _product(row: Operator) -> Callable[..., Any]:
    cotangents, count, names = len(row.differentiable), len(row.operands), names_of(row)
    vjp: Callable[..., Any] = row.vjp  # pyright: ignore
    parameters = inspect.signature(vjp).parameters
    known = {*names, "rng"} if "options" in parameters else set(parameters)
    last = cotangents + count
    read = reader(names, last, known)

    def call(*args: Any) -> Any:
        arrays = [_array(x) for x in args[:last]]
        return _tensors(vjp(*arrays[cotangents:], *arrays[:cotangents], **read(args)))

    return call


def _fake(row: Operator) -> Callable[..., Any]:
    count, names = len(row.operands), names_of(row)

    def call(*args: Any) -> Any:
        operands, options = args[:count], dict(zip(names, args[count:], strict=True))
        shapes = shapes_of(row, lead_of(row, operands, options), operands[0])
        results = [operands[0].new_empty(shape, dtype=dtype) for shape, dtype in shapes]
        return _one_or_all(results)

    return call


def _fake_product(row: Operator) -> Callable[..., Any]:
    begin = len(row.differentiable)

    def call(*args: Any) -> Any:
        results = [x.new_empty(x.shape) for x in args[begin : begin + row.gradients]]
        return _one_or_all(results)

    return call


def _vmap(
    operands: Sequence[int],
    results: Sequence[int],
    *,
    first: int = 0,
    summed: bool = False,
) -> Callable[..., Any]:
    """Return the rule of vmap: the new axis goes before the batch, and rows are counted on.

    So each row has the randomness that one large call would give it. `first` is the operand from
    which axes are counted; results that are `summed` have no axis of samples.
    """

    def rule(rowwise: Any, info: Any, dims: Any, *args: Any) -> Any:
        count = len(operands)
        if any(dim is not None for dim in dims[count:]):
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


def _differentiable(
    row: Operator,
    forward: Any,
    product: Any,
    compute: Callable[..., Any],
    multiply: Callable[..., Any],
) -> Callable[..., Any]:
    """Return the function whose backward pass is `product`, which itself has none.

    `compute` and `multiply` are what both operators do on the CPU.
    """
    kept = [i for i in range(len(row.results)) if i in row.differentiable]
    others = [i for i in range(len(row.results)) if i not in row.differentiable]
    tensors, given = row.arguments.count("Tensor "), len(kept)
    none = (None,) * (row.arguments.count(",") + 1 - row.gradients)
    operands = len(row.operands)
    # Literals, since graphs are traced through these functions.
    message = FIRST_ORDER.format(row.name)

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
            ctx.save_for_backward(*inputs[:tensors])
            ctx.options = inputs[tensors:]
            if others:
                ctx.mark_non_differentiable(*[output[i] for i in others])

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            args = [*[grads[i] for i in kept], *ctx.saved_tensors, *ctx.options]
            # Grad mode is on where the gradient may be differentiated: Product refuses that.
            if not torch.is_grad_enabled():
                found = multiply(*args) if _alone(*args[:given]) else product(*args)
            else:
                found = product(*args) if torch.compiler.is_compiling() else Product.apply(*args)
            return (*found, *none) if isinstance(found, tuple) else (found, *none)

    class Direct(torch.autograd.Function):
        """The same in fewer steps and arguments, which cost: not for compilers and transforms."""

        @staticmethod
        def forward(ctx: Any, *packed: Any) -> Any:  # pyright: ignore
            args = (*packed[:-1], *packed[-1])
            output = compute(*args)
            Function.setup_context(ctx, args, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return (*Function.backward(ctx, *grads)[:operands], None)

    # Where nothing requires grad, Dynamo counts the parameters to tell whether `forward` takes ctx.
    names = [argument.split()[1] for argument in row.arguments.split(", ")]
    parameters = [inspect.Parameter(x, inspect.Parameter.POSITIONAL_ONLY) for x in names]
    setattr(Function.forward, "__signature__", inspect.Signature(parameters))  # noqa: B010
    for kind in (Function, Direct):
        kind.__name__ = kind.__qualname__ = row.name
    Product.__name__ = Product.__qualname__ = f"{row.name}_vjp"
    # `apply` without its binding of defaults, which takes 20 microseconds.
    apply: Callable[..., Any] = super(torch.autograd.Function, Direct).apply  # pyright: ignore

    def call(*args: Any) -> Any:
        if not _alone(*args[:operands]):
            return Function.apply(*args)
        if torch.is_grad_enabled() and any([x.requires_grad for x in args[:operands]]):
            return apply(*args[:operands], args[operands:])
        return compute(*args)

    return call


def summed_scores(score: Callable[..., Any], event: int) -> Callable[..., Any]:
    """Return the product for log probabilities: scores of samples times cotangents, summed.

    `event` is the number of axes of the logits of one variable.
    """

    def product(logits: Any, z: Any, cotangent: Any) -> Any:
        batch = logits.shape[: logits.ndim - event]
        total = np.zeros(logits.shape, logits.dtype)
        pairs = zip(z.reshape(-1, *batch), cotangent.reshape(-1, *batch), strict=True)
        for one, weight in pairs:
            total += weight.reshape(*batch, *event * (1,)) * score(logits, one)
        return total

    return product


def summed_relaxations(relax_vjp: Callable[..., Any]) -> Callable[..., Any]:
    """Return the product for `relax`: the sum of those through both relaxations."""

    def product(
        logits: Any, relaxed: Any, conditional: Any, *, num_samples: Any, **options: Any
    ) -> Any:
        through, given = relax_vjp(logits, relaxed, conditional, **options)
        through += given
        return through

    return product
