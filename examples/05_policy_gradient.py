"""Policy gradients on a small grid world: what a baseline is worth, and what credit is worth.

A walker starts on the first square and draws each move from the logits of the one it is on. A move
costs 1, into mud (~) 5, and home (H) ends the walk. To fastgrad that is a function of choices like
any other: z[t, s] is the move that would be made at time t on square s. Eight runs go side by side.
"""

import numpy as np
from matplotlib.figure import Figure  # pip install fastgrad[plot]

import fastgrad as fg

TIME, WALKS, RUNS, STEPS = 40, 16, 8, 300
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
kind = np.array([*map(list, ["..~...", ".~~.~.", "....~.", "~~.~..", ".....~", ".~~..H"])])
places = np.argwhere(kind != "")  # the row and column of each square
after = np.clip(places[:, None] + MOVES, 0, len(kind) - 1) @ [len(kind), 1]
home, run = kind.ravel() == "H", np.arange(RUNS)[:, None]
after[home] = np.flatnonzero(home)
reward = np.where(home[:, None], 0.0, np.where(kind.ravel()[after] == "~", -5.0, -1.0))


def walk(z):
    """Return squares, and the rewards from there on, (S, R, TIME), for z (S, R, TIME, 36)."""
    square, squares, rewards = np.zeros(z.shape[:2], np.intp), [], []
    for t in range(TIME):
        move = np.take_along_axis(z[:, :, t], square[..., None], axis=2)[..., 0]
        squares.append(square)
        rewards.append(reward[square, move])
        square = after[square, move]
    return np.stack(squares, axis=2), np.cumsum(rewards[::-1], axis=0)[::-1].transpose(1, 2, 0)


def credited(rate):
    """Credit moves made with what came after, less what a critic has learned to expect there."""
    critic = np.zeros((RUNS, kind.size))

    def f(z):
        squares, to_go = walk(z)
        surprise, credit = to_go - critic[run, squares], np.zeros(z.shape)
        np.put_along_axis(credit, squares[..., None], surprise[..., None], axis=3)
        critic[run, squares] += rate * surprise  # of many visits, the last one counts
        return to_go[..., 0], credit

    return fg.objective(index=f)


whole = fg.objective(index=lambda z: walk(z)[1][..., 0])  # one number, which every move hears
WAYS = {
    "no baseline": (fg.estimator("reinforce"), whole),
    "moving average": (fg.estimator("reinforce", baseline="moving_average"), whole),
    "leave one out": (fg.estimator("rloo"), whole),
    "credit": (fg.estimator("reinforce"), credited(0)),
    "credit, critic": (fg.estimator("reinforce"), credited(0.1)),
}
figure, adam = Figure(figsize=(11, 5), layout="constrained"), fg.optim.Adam(learning_rate=0.05)
left, right = figure.subplots(1, 2)
print(
    f"mean return in the last 10 of {STEPS} steps, and that of each run; the shortest way has -10"
)
for name, (estimator, f) in WAYS.items():
    logits, state, memory, curve = np.zeros((RUNS, kind.size, 4)), None, None, []
    for key in fg.Key(0).split(STEPS):
        z = np.broadcast_to(logits[:, None], (RUNS, TIME, kind.size, 4))
        value, grad, state, *_ = estimator(f, z, num_samples=WALKS, rng=key, state=state)
        logits, memory = adam.update(logits, -grad.sum(axis=1), memory)
        curve.append(value)
    last = np.mean(curve[-10:], axis=0)
    print(f"  {name:14} {last.mean():6.1f}   ", *(f"{x:6.1f}" for x in last))
    left.plot(np.mean(curve, axis=1), label=name)
left.set(title=f"mean return of {RUNS} runs", xlabel="step")
left.legend()
right.imshow(np.select([kind == "~", kind == "H"], [1, 2]), cmap="Pastel2", vmax=7)
along = np.exp(fg.log_softmax(logits[last.argmax()])) @ MOVES
right.quiver(places[:, 1], places[:, 0], along[:, 1], -along[:, 0], pivot="mid", scale=9)
right.set(title="moves learned in the best run; mud, home", xticks=[], yticks=[])
figure.savefig("05_policy_gradient.png", dpi=100)
assert last.mean() > -15, "a walk that never gets home has -40 at best"
print("wrote 05_policy_gradient.png")
