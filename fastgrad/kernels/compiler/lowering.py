"""Emitting kernels with fewer instructions than Numba does: the same code once it is optimised.

Numba puts every array, range and pair into a place of memory to look at one part of it, and loads
and clears each variable where it ends. All of that is written, read and removed again by LLVM,
which takes a third of the time that a function needs to compile.
"""

import importlib
import operator

from llvmlite import ir as llvm
from numba.core import cgutils, ir, types
from numba.core.imputils import impl_ret_borrowed
from numba.core.lowering import Lower

SCALARS = types.Number, types.Boolean
DIVISIONS = operator.floordiv, operator.mod


def _arrays():
    """Return Numba's functions of arrays; who only loads kernels need not wait for their import."""
    return importlib.import_module("numba.np.arrayobj")


def _known(value):
    """Return the whole number that a value is known to be, or None."""
    number = isinstance(value, llvm.Constant) and isinstance(value.type, llvm.IntType)
    return value.constant if number and isinstance(value.constant, int) else None


class _View:
    """An array's parts, by their names."""

    def __init__(self, lower, kind, value):
        self._model, self._builder = lower.context.data_model_manager[kind], lower.builder
        self._value = value

    def __getattr__(self, name):
        place = self._model.get_field_position(name)
        return self._builder.extract_value(self._value, place)


class LeanLower(Lower):
    """Emits a function."""

    def init(self):
        super().init()
        # By the variables that hold them: where ranges with a known step begin and end, and that
        # step; and what a range gives next, and whether it does.
        self._ranges, self._pairs, self._counts = {}, {}, {}
        self._last = None  # which of these the expression that is emitted belongs to, and what

    def lower_inst(self, inst):
        if self._disable_sroa_like_opt:
            super().lower_inst(inst)
        elif isinstance(inst, ir.Del):
            self.delvar(inst.value)
        elif isinstance(inst, ir.Assign) and not isinstance(inst.value, ir.Arg):
            # As Numba does, but for the text of each, which only its own developers look at.
            self.notify_loc(self.loc)
            name = inst.target.name
            self.storevar(self.lower_assign(self.typeof(name), inst), name)
        else:
            super().lower_inst(inst)

    # -- variables -----------------------------------------------------------------------------

    def _is_counted(self, name):
        """Return whether the users of what a variable holds may be counted."""
        kind, context = self.typeof(name), self.context
        if kind not in self._counts:
            model = context.data_model_manager[kind]
            self._counts[kind] = bool(context.enable_nrt) and model.contains_nrt_meminfo()
        return self._counts[kind] or self._disable_sroa_like_opt or self.generator_info is not None

    def delvar(self, name):
        if self._is_counted(name):
            super().delvar(name)

    def storevar(self, value, name, argidx=None):
        if name in self._singly_assigned_vars or self._is_counted(name):
            return super().storevar(value, name, argidx)
        place = self.getvar(name)
        if value.type != place.type.pointee:
            return super().storevar(value, name, argidx)  # which says so
        self.builder.store(value, place)

    def alloca_lltype(self, name, lltype, datamodel=None):
        if self._disable_sroa_like_opt:
            return super().alloca_lltype(name, lltype, datamodel=datamodel)
        return cgutils.alloca_once(self.builder, lltype, name=name)

    def _at_hand(self, *variables):
        return all(variable.name in self._blk_local_varmap for variable in variables)

    # -- expressions ---------------------------------------------------------------------------

    def lower_assign(self, ty, inst):
        value = super().lower_assign(ty, inst)
        if self._last is not None:
            known, what = self._last
            known[inst.target.name] = what
            self._last = None
        return value

    def lower_expr(self, resty, expr):
        shorter = getattr(self, f"_{expr.op}", None)
        value = shorter(resty, expr) if shorter else None
        return super().lower_expr(resty, expr) if value is None else value

    def _call(self, resty, expr):
        """Emit a range with a step that is known, and above 0."""
        signature = self.fndesc.calltypes[expr]
        kind, count = signature.return_type, len(expr.args)
        if not isinstance(kind, types.RangeType) or kind != resty:
            return None
        called = getattr(self.typeof(expr.func.name), "typing_key", None)
        if called is not range or expr.kws or expr.vararg:
            return None
        if count == 3 and not (_known(self._blk_local_varmap.get(expr.args[2].name)) or 0) > 0:
            return None
        ends = [self._cast_var(a, b) for a, b in zip(expr.args, signature.args)]
        integer = ends[0].type
        start, stop, step = {
            1: [integer(0), *ends, integer(1)],
            2: [*ends, integer(1)],
            3: ends,
        }[count]
        if _known(step) is None:  # cast
            return None
        self._last = self._ranges, (start, stop, step)
        return self._struct(kind, start=start, stop=stop, step=step)

    def _struct(self, kind, **parts):
        model = self.context.data_model_manager[kind]
        value = llvm.Constant(model.get_value_type(), llvm.Undefined)
        for name, part in parts.items():
            value = self.builder.insert_value(value, part, model.get_field_position(name))
        return value

    def _getiter(self, resty, expr):
        if expr.value.name not in self._ranges or not self._at_hand(expr.value):
            return None
        if not isinstance(resty, types.RangeIteratorType):
            return None
        builder, (start, stop, step) = self.builder, self._ranges[expr.value.name]
        zero, one = start.type(0), start.type(1)
        places = [self.alloca_lltype(f"$range.{part}", start.type) for part in ("iter", "count")]
        count = span = builder.sub(stop, start)
        if step.constant != 1:
            uneven = builder.icmp_signed(">", builder.srem(span, step), zero)
            count = builder.add(builder.sdiv(span, step), builder.select(uneven, one, zero))
        count = builder.select(builder.icmp_signed(">", span, zero), count, zero)
        for place, value in zip(places, (start, count)):
            builder.store(value, place)
        return self._struct(resty, iter=places[0], stop=stop, step=step, count=places[1])

    def _iternext(self, resty, expr):
        kind = self.typeof(expr.value.name)
        if not isinstance(kind, types.RangeIteratorType) or not isinstance(resty, types.Pair):
            return None
        builder, state = self.builder, _View(self, kind, self.loadvar(expr.value.name))
        places = state.iter, state.count
        item, count = map(builder.load, places)
        valid = builder.icmp_signed(">", count, count.type(0))
        with builder.if_then(valid):
            builder.store(builder.sub(count, count.type(1), flags=["nsw"]), places[1])
            builder.store(builder.add(item, state.step), places[0])
        self._last = self._pairs, (item, valid)
        return self._struct(resty, first=item, second=valid)

    def _pair_first(self, resty, expr):
        return self._of_pair(0, expr)

    def _pair_second(self, resty, expr):
        return self._of_pair(1, expr)

    def _of_pair(self, place, expr):
        if expr.value.name in self._pairs and self._at_hand(expr.value):
            return self._pairs[expr.value.name][place]
        return None

    def _getattr(self, resty, expr):
        kind = self.typeof(expr.value.name)
        if expr.attr != "shape" or not isinstance(kind, types.Array):
            return None
        if resty != types.UniTuple(types.intp, kind.ndim) or not kind.ndim:
            return None
        return _View(self, kind, self.loadvar(expr.value.name)).shape

    def lower_binop(self, resty, expr, op):
        kind = self.fndesc.calltypes[expr].return_type
        by = self._blk_local_varmap.get(expr.rhs.name)
        whole = isinstance(kind, types.Integer) and kind.signed and kind == resty
        if op not in DIVISIONS or not whole or (_known(by) or 0) <= 0:
            return super().lower_binop(resty, expr, op)
        # By what is known to be above 0: it need not be asked for.
        builder, (a, b) = self.builder, [self._cast_var(x, kind) for x in (expr.lhs, expr.rhs)]
        rest = builder.srem(a, b)
        below = builder.icmp_signed("<", rest, rest.type(0))
        if op is operator.mod:
            return builder.select(below, builder.add(rest, b), rest)
        return builder.sub(builder.sdiv(a, b), builder.zext(below, a.type))

    # -- elements of arrays --------------------------------------------------------------------

    def _indexed(self, array, index, kinds):
        """Return where an index leads, by address, shape and strides, and the array; or None."""
        kind, of = kinds
        if not isinstance(kind, types.Array) or kind != self.typeof(array.name) or not kind.ndim:
            return None
        parts = of.types if isinstance(of, types.BaseTuple) else (of,)
        known = all(isinstance(part, (types.Integer, types.SliceType)) for part in parts)
        if not known or not isinstance(kind.dtype, SCALARS) or self.context.enable_boundscheck:
            return None
        index = self._cast_var(index, of)
        places = [index]
        if isinstance(of, types.BaseTuple):
            places = [self.builder.extract_value(index, i) for i in range(len(parts))]
        view = _View(self, kind, self.loadvar(array.name))
        found = _arrays().basic_indexing(self.context, self.builder, kind, view, parts, places)
        return *found, view

    def lower_getitem(self, resty, expr, value, index, signature):
        (kind, _), returned = signature.args, signature.return_type
        found = self._indexed(value, index, signature.args)
        if found is None:
            return super().lower_getitem(resty, expr, value, index, signature)
        context, builder, (place, shape, strides, view) = self.context, self.builder, found
        if isinstance(returned, types.Array):
            parts = context, builder, kind, view, returned, place, shape, strides
            item = _arrays().make_view(*parts)._getvalue()
        else:
            item = _arrays().load_item(context, builder, kind, place)
        item = impl_ret_borrowed(context, builder, returned, item)
        return context.cast(builder, item, returned, resty)

    def lower_setitem(self, target_var, index_var, value_var, signature):
        kind, of, given = signature.args
        parts = of.types if isinstance(of, types.BaseTuple) else (of,)
        place = None
        if isinstance(given, SCALARS) and not any(isinstance(p, types.SliceType) for p in parts):
            if len(parts) == getattr(kind, "ndim", None):
                place = self._indexed(target_var, index_var, (kind, of))
        if place is None:
            return super().lower_setitem(target_var, index_var, value_var, signature)
        value = self.context.cast(self.builder, self._cast_var(value_var, given), given, kind.dtype)
        _arrays().store_item(self.context, self.builder, kind, value, place[0])
