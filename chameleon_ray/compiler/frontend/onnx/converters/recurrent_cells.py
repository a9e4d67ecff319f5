"""One time step of LSTM, GRU and RNN, as loop nests.

``T`` steps, ``B`` sequences, ``H`` hidden units. A step's gates are the product of its input, which
is computed for all steps at once, and the product of the last state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.converters.recurrent_activations import Activation
from chameleon_ray.compiler.frontend.onnx.extents import columns


@dataclass(frozen=True, eq=False)
class Direction:
    """What a layer computes in one direction.

    Attributes:
        gates: Products of the input and biases, ``(T, B, gates H)``.
        recurrent: Weights of the last state, ``(H, gates H)``.
        bias: Bias of the last state, ``(gates H,)``, which ``gates`` has already; None where there
            is none.
        peepholes: Weights of the cell in the gates of an LSTM, ``(3, H)``, or None.
        activations: Activation functions in ONNX's order.
        clip: Bound of the activations' arguments, or None.
        coupled: Whether an LSTM forgets what it does not take in.
        reset_last: Whether a GRU resets the product of its last state, not the state.
    """

    gates: relax.Expr
    recurrent: relax.Expr
    bias: relax.Expr | None
    peepholes: relax.Expr | None
    activations: Sequence[Activation]
    clip: float | None
    coupled: bool
    reset_last: bool

    def bounded(self, x: Any) -> Any:
        """Bounds an activation's argument."""
        if self.clip is None:
            return x
        low, high = (tirx.const(bound, x.ty.dtype) for bound in (-self.clip, self.clip))
        return tirx.min(tirx.max(x, low), high)


Call = Callable[..., list[relax.Expr]]
"""Calls a loop nest by its name, given the function that makes it and its tensors."""
States = list[relax.Expr]
"""Hidden state of a step, ``(B, H)``, and the cell of an LSTM."""


def lstm(one: Direction, place: relax.Expr, states: States, call: Call) -> States:
    """Computes the state and cell after a step; ``place`` holds its number."""
    first, second, third = one.activations
    hidden, cell = states
    product = relax.op.matmul(hidden, one.recurrent)

    def step(place: Any, gates: Any, product: Any, cell: Any, *peepholes: Any) -> list[Any]:
        batch, size = cell.shape

        def gate(number: int, b: Any, h: Any, cells: Any, peephole: int) -> Any:
            column = h + number * size
            total = gates[place[0], b, column] + product[b, column]
            if peepholes and peephole >= 0:
                total = total + peepholes[0][peephole, h] * cells[b, h]
            return one.bounded(total)

        def new_cell(b: Any, h: Any) -> Any:
            taken = first(gate(0, b, h, cell, 0))
            kept = 1 - taken if one.coupled else first(gate(2, b, h, cell, 2))
            return kept * cell[b, h] + taken * second(gate(3, b, h, cell, -1))

        cells = te.compute((batch, size), new_cell, "cell")
        states = te.compute(
            (batch, size),
            lambda b, h: first(gate(1, b, h, cells, 1)) * third(cells(b, h)),
            "state",
        )
        return [states, cells]

    peepholes = [] if one.peepholes is None else [one.peepholes]
    return call(step, place, one.gates, product, cell, *peepholes)


def rnn(one: Direction, place: relax.Expr, states: States, call: Call) -> States:
    """Computes the state after a step; ``place`` holds its number."""
    (activation,) = one.activations
    product = relax.op.matmul(states[0], one.recurrent)

    def step(place: Any, gates: Any, product: Any) -> Any:
        return te.compute(
            product.shape,
            lambda b, h: activation(one.bounded(gates[place[0], b, h] + product[b, h])),
            "state",
        )

    return call(step, place, one.gates, product)


def gru(one: Direction, place: relax.Expr, states: States, call: Call) -> States:
    """Computes the state after a step; ``place`` holds its number."""
    return (_gru_reset_last if one.reset_last else _gru_reset_first)(one, place, states[0], call)


def _gru_reset_last(
    one: Direction, place: relax.Expr, hidden: relax.Expr, call: Call
) -> list[relax.Expr]:
    """Multiplies by the reset gate what the state's product with its weights is."""
    first, second = one.activations
    product = relax.op.matmul(hidden, one.recurrent)

    def step(place: Any, gates: Any, product: Any, hidden: Any, *bias: Any) -> Any:
        size = hidden.shape[1]

        def state(b: Any, h: Any) -> Any:
            def gate(number: int) -> Any:
                column = h + number * size
                return one.bounded(gates[place[0], b, column] + product[b, column])

            column = h + 2 * size
            own = product[b, column]
            own = own + bias[0][column] if bias else own
            reset = first(gate(1)) * own
            new = second(one.bounded(gates[place[0], b, column] + reset))
            update = first(gate(0))
            return (1 - update) * new + update * hidden[b, h]

        return te.compute(hidden.shape, state, "state")

    bias = [] if one.bias is None else [one.bias]
    return call(step, place, one.gates, product, hidden, *bias)


def _gru_reset_first(
    one: Direction, place: relax.Expr, hidden: relax.Expr, call: Call
) -> list[relax.Expr]:
    """Multiplies the state by the reset gate before its product with its weights."""
    first, second = one.activations
    width = int(hidden.ty.shape[1])
    outer, inner = (
        columns(one.recurrent, *cut) for cut in ((0, 2 * width), (2 * width, 3 * width))
    )

    def remembered(place: Any, gates: Any, product: Any, hidden: Any) -> Any:
        def state(b: Any, h: Any) -> Any:
            column = h + width
            reset = first(one.bounded(gates[place[0], b, column] + product[b, column]))
            return reset * hidden[b, h]

        return te.compute(hidden.shape, state, "remembered")

    def step(place: Any, gates: Any, outer: Any, inner: Any, hidden: Any) -> Any:
        def state(b: Any, h: Any) -> Any:
            update = first(one.bounded(gates[place[0], b, h] + outer[b, h]))
            new = second(one.bounded(gates[place[0], b, h + 2 * width] + inner[b, h]))
            return (1 - update) * new + update * hidden[b, h]

        return te.compute(hidden.shape, state, "state")

    product = relax.op.matmul(hidden, outer)
    (reset,) = call(remembered, place, one.gates, product, hidden)
    return call(step, place, one.gates, product, relax.op.matmul(reset, inner), hidden)
