"""Turns of the algorithm of Chu, Liu and Edmonds: what a row of each batch contracts.

Oracle: tests/distributions/structured/test_arborescence.py, `Contractions`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel


@block
def closes(at, label, source, on):
    """Mark in `on` who is met on the way back from `at`; return whether that is itself again."""
    on[:] = False
    start = at
    while True:  # to the root, or to one that has taken nothing yet
        on[at] = True
        before = source[at]
        if before < 0:
            return False
        at = label[before]
        if at == start:
            return True


@kernel(cost=lambda graph, edge, state, free: 8 * free.size)
def turn(chunk, chunks, graph, edge, state, free, listed, count):
    """Let those whose turn it is take edges, (R,), and find those open to whoever is next.

    free, (R, E), tells which they are; listed, (R, E), lists them, count[r] of them, and then E.
    graph is (tails, heads, order of turns), state the arrays of `Contraction`. Of edge -2 nothing
    is taken; -1 stands for nobody.
    """
    tail, head, order = graph
    label, source, place, made, now = state
    on = np.empty(source.shape[1], np.bool_)
    for row in chunk_range(len(label), chunk, chunks):
        at, taken = now[row], edge[row]
        if taken != -2 and at >= 0:
            source[row, at] = tail[taken]
            if closes(at, label[row], source[row], on):
                for node in range(label.shape[1]):
                    if on[label[row, node]]:
                        label[row, node] = made[row]
                now[row] = made[row]
                made[row] += 1
            else:
                place[row] = min(place[row] + 1, len(order) - 1)
                now[row] = order[place[row]]
        who, found = now[row], 0
        for e in range(free.shape[1]):
            is_open = label[row, head[e]] == who and label[row, tail[e]] != who
            free[row, e] = is_open
            listed[row, found] = e
            found += is_open
        listed[row, found:] = free.shape[1]
        count[row] = found
