"""What is remembered of Numba's contexts while a kernel is compiled."""

from types import SimpleNamespace

import numba
from numba.core import event, types
from numba.core.registry import cpu_target
from numba.core.types.functions import BaseFunction

from fastgrad.kernels.compiler import cache, jit
from fastgrad.kernels.compiler.registries import _Answers


def test_a_question_is_asked_once_and_no_other_one_takes_its_answer():
    asked = []

    def answer(*question):
        asked.append(question)
        return len(asked)

    names = dict.fromkeys(_Answers.METHODS, answer)
    answers = _Answers(SimpleNamespace(**names))
    pair = types.Tuple((types.int64, types.float32))
    questions = [
        ("static_getitem", (pair, 1), ()),
        ("static_getitem", (pair, True), ()),
        ("static_getitem", (pair, slice(1)), ()),
        (max, (types.int64, types.int64), {}),
        (max, (types.int64, types.literal(1)), {}),
    ]
    for _ in range(2):
        found = [answers.resolve_function_type(*question) for question in questions]
        assert found == [1, 2, 3, 4, 5]
    assert answers.resolve_getattr(pair, "x") == answers.resolve_getattr(pair, "x") == 6
    assert answers.resolve_value_type(max) == answers.resolve_value_type(max) == 7
    assert answers.resolve_value_type(1) != answers.resolve_value_type(1.0)
    answers.forget()
    assert answers.resolve_getattr(pair, "x") == len(asked) == 10


def test_nothing_of_numba_s_is_changed_once_a_kernel_is_compiled():
    before = set(vars(cpu_target.typing_context)), BaseFunction.get_call_type

    @jit.standalone
    def one():
        return 1

    assert cache.cached(one)() == 1
    assert (set(vars(cpu_target.typing_context)), BaseFunction.get_call_type) == before
    with event.install_listener("numba:llvm_lock", event.RecordingListener()) as listener:
        assert numba.njit(lambda: 1)() == 1
    assert listener.buffer
