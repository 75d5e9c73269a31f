"""Operators of torch made of functions of arrays: one row of a table becomes three of them.

An `Operator` names a function of the NumPy API, its vector-Jacobian product, and the axes of what
goes in and comes out. From these follow, for torch's dispatcher, the forward operator, the operator
of the product, the shapes for graphs, and the rules of `torch.func.vmap`; and, outside of it, the
`torch.autograd.Function` that joins them. What is saved for the backward pass is the arguments, the
key among them, never the noise.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgrad import _validate
from fastgrad.torch.tensors import key_of

LIBRARY = torch.library.Library("fastgrad", "FRAGMENT")
KEY = ("key_0", "key_1")
# Parts of the schemas of those that draw.
DRAW = "SymInt key_0, SymInt key_1, SymInt? num_samples"
PLACE = "SymInt row_offset, SymInt sample_offset"
FIRST_ORDER = (
    "fastgrad.torch has first derivatives only: the gradient of {} can not be differentiated"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operator:
    """A row of the table.

    Attributes
    ----------
    name : str
        The operator is ``torch.ops.fastgrad._name``: not to be called by users, as `torch.func`
        would take its derivatives to be zero.
    function : callable
        Of the NumPy API: takes the operands, and the other arguments by name.
    vjp : callable, optional
        Takes the operands, a cotangent for each differentiable result, and those of the other
        arguments that it has. Returns a gradient for each differentiable operand.
    arguments : str
        The schema: tensors first, operands before the temperature.
    operands : tuple of int
        How many axes an operand has beside the first one, without those of samples: -1 for
        categories, which lack the axis of logits. Those before `gradients` are differentiable.
    results : tuple of (int, dtype or None)
        The same of the results, and their type, None for that of the logits.
    differentiable : tuple of int
        Which of the results have a gradient.
    gradients : int
        How many of the operands have a gradient.
    """

    name: str
    function: Callable[..., Any]
    arguments: str
    vjp: Callable[..., Any] | None = None
    operands: tuple[int, ...] = (0,)
    results: tuple[tuple[int, torch.dtype | None], ...] = ((0, None),)
    differentiable: tuple[int, ...] = (0,)
    gradients: int = 1


def build(row: Operator) -> Callable[..., Any]:
    """Register the operators of a row; return the function of tensors that they make."""
    forward = _define(row.name, row.arguments, len(row.results), _forward(row))
    torch.library.register_fake(forward, _fake(row), lib=LIBRARY)
    shapes = row.operands, [axes for axes, _ in row.results]
    torch.library.register_vmap(forward, _vmap(forward, *shapes), lib=LIBRARY)
    if row.vjp is None:
        return forward
    given = [axes for i, (axes, _) in enumerate(row.results) if i in row.differentiable]
    names = [f"Tensor cotangent_{i}" for i in range(len(given))]
    product = _define(
        f"{row.name}_vjp", ", ".join([*names, row.arguments]), row.gradients, _product(row)
    )
    torch.library.register_fake(product, _fake_product(row), lib=LIBRARY)
    # Operands come after cotangents here, and it is the first operand that axes are counted from.
    axes = [*given, *row.operands], row.operands[: row.gradients]
    rule = _vmap(product, *axes, first=len(given), summed=True)
    torch.library.register_vmap(product, rule, lib=LIBRARY)
    return _differentiable(row, forward, product)


def _define(name: str, arguments: str, count: int, call: Callable[..., Any]) -> Any:
    result = "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"
    LIBRARY.define(f"_{name}({arguments}) -> {result}")
    LIBRARY.impl(f"_{name}", call, "CPU")
    return getattr(torch.ops.fastgrad, f"_{name}").default


def _names(row: Operator) -> list[str]:
    """Return the names of the arguments after the operands."""
    names = [argument.split()[1].split("=")[0] for argument in row.arguments.split(", ")]
    return names[len(row.operands) :]


def _options(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return arguments as the NumPy API takes them by name."""
    options = dict(zip(names, values, strict=True))
    if "temperature" in options:
        options["temperature"] = options["temperature"].item()
    if KEY[0] in options:
        options["rng"] = key_of(*(options.pop(name) for name in KEY))
    return options


def _array(x: Tensor) -> Any:
    """Return an array of the memory of a tensor, with its sign where the negation is lazy."""
    return x.numpy(force=True)


def _lead(row: Operator, operands: Sequence[Any], options: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of the axis of samples: (S,), or () where there is none."""
    if options.get("num_samples") is not None:
        return (options["num_samples"],)
    base = operands[0].ndim
    for x, axes in zip(operands, row.operands, strict=True):
        if x.ndim > base + axes:
            return (x.shape[0],)
    return ()


def _shapes(row: Operator, lead: Any, x: Tensor) -> list[tuple[Any, torch.dtype]]:
    """Return shape and type of each result."""
    return [
        ((*lead, *x.shape[: x.ndim + axes]), x.dtype if dtype is None else dtype)
        for axes, dtype in row.results
    ]


def _forward(row: Operator) -> Callable[..., Any]:
    count, names = len(row.operands), _names(row)
    writes = "out" in inspect.signature(row.function).parameters

    def call(*args: Any) -> Any:
        operands, options = args[:count], _options(names, args[count:])
        if not writes:
            return _tensors(row.function(*map(_array, operands), **options))
        if "num_samples" in options:
            _validate.samples(options["num_samples"])
        shapes = _shapes(row, _lead(row, operands, options), operands[0])
        results = [torch.empty(shape, dtype=dtype) for shape, dtype in shapes]
        options["out"] = _one_or_all([_array(x) for x in results])
        row.function(*map(_array, operands), **options)
        return _one_or_all(results)

    return call


def _tensors(found: Any) -> Any:
    """Return a fresh array, or several, as tensors of their memory."""
    many = found if isinstance(found, tuple) else (found,)
    return _one_or_all([torch.from_numpy(np.asarray(x)) for x in many])


def _one_or_all(results: list[Any]) -> Any:
    return tuple(results) if len(results) > 1 else results[0]


def _product(row: Operator) -> Callable[..., Any]:
    cotangents, count, names = len(row.differentiable), len(row.operands), _names(row)
    vjp: Callable[..., Any] = row.vjp  # pyright: ignore
    parameters = inspect.signature(vjp).parameters
    known = {*names, "rng"} if "options" in parameters else set(parameters)

    def call(*args: Any) -> Any:
        arrays = [_array(x) for x in args[: cotangents + count]]
        options = _options(names, args[cotangents + count :])
        options = {name: value for name, value in options.items() if name in known}
        return _tensors(vjp(*arrays[cotangents:], *arrays[:cotangents], **options))

    return call


def _fake(row: Operator) -> Callable[..., Any]:
    count, names = len(row.operands), _names(row)

    def call(*args: Any) -> Any:
        operands, options = args[:count], dict(zip(names, args[count:], strict=True))
        shapes = _shapes(row, _lead(row, operands, options), operands[0])
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
    operator: Any,
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

    def rule(info: Any, dims: Any, *args: Any) -> Any:
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
        found = operator(*moved, *args[count:])
        many = found if isinstance(found, tuple) else (found,)
        places = [
            0 if summed else x.ndim - 1 - (base + axes)
            for x, axes in zip(many, results, strict=True)
        ]
        return (found, tuple(places)) if isinstance(found, tuple) else (found, places[0])

    return rule


def _differentiable(row: Operator, forward: Any, product: Any) -> Callable[..., Any]:
    """Return the function whose backward pass is `product`, which itself has none."""
    kept = [i for i in range(len(row.results)) if i in row.differentiable]
    others = [i for i in range(len(row.results)) if i not in row.differentiable]
    tensors = row.arguments.count("Tensor ")
    rest = row.arguments.count(",") + 1 - row.gradients
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
            plain = torch.compiler.is_compiling() or not torch.is_grad_enabled()
            found = product(*args) if plain else Product.apply(*args)
            found = found if isinstance(found, tuple) else (found,)
            return (*found, *[None] * rest)

    # Where nothing requires grad, Dynamo counts the parameters to tell whether `forward` takes ctx.
    names = [argument.split()[1] for argument in row.arguments.split(", ")]
    parameters = [inspect.Parameter(x, inspect.Parameter.POSITIONAL_ONLY) for x in names]
    setattr(Function.forward, "__signature__", inspect.Signature(parameters))  # noqa: B010
    Function.__name__ = Function.__qualname__ = row.name
    Product.__name__ = Product.__qualname__ = f"{row.name}_vjp"
    # Outside of torch.func, `apply` without its binding of defaults, which takes 20 microseconds.
    quick = super(torch.autograd.Function, Function).apply  # pyright: ignore

    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return Function.apply(*args)
        return quick(*args)

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
