"""Computes the layers of quantised models in integers.

Importers leave such models in the form of the field: ``dequantize``, an operator on floats,
``quantize``. Here convolutions and matrix products of dequantised data and dequantised constant
weights become sums of products of integers, ``scale * sum((x - zero) * w)``. Operators that only
move or compare elements are done to the integers themselves. What is left between a layer and the
next ``quantize`` is elementwise, and is fused into the layer.
"""

from dataclasses import replace

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes import affine
from chameleon_ray.compiler.passes.affine import ScaledSum, Term
from chameleon_ray.compiler.passes.fold import evaluate
from chameleon_ray.compiler.passes.quantization import (
    Quantization,
    Quantized,
    dequantized,
    parameter,
    quantization_of,
    quantized,
    value_of,
)
from chameleon_ray.compiler.passes.quantized_moves import MOVES, moved, operands
from chameleon_ray.compiler.passes.quantized_products import PRODUCTS, Weights
from chameleon_ray.compiler.relax import (
    Emit,
    bindings_of,
    clean,
    constant,
    operator,
    rewrite_at_length,
    uses_of,
)


def in_integers(mod: IRModule) -> IRModule:
    """Computes in integers what quantised data and weights allow, and spells out the rest.

    Args:
        mod: Its constants must have been folded. A module that quantises nothing is returned as it
            is.
    """
    names = {operator(binding.value) for binding in bindings_of(mod)}
    if not names & {"relax.quantize", "relax.dequantize"}:
        return mod
    return clean(rewrite_at_length(mod, _Rewriter(mod).value))


class _Rewriter:
    """Rewrites one binding after the other; keeps what is known of the variables so far."""

    def __init__(self, mod: IRModule) -> None:
        self._uses = uses_of(mod)
        self._bound = {binding.var: binding.value for binding in bindings_of(mod)}
        self._known: dict[relax.Var, np.ndarray] = {}
        self._weights: dict[relax.Var, Weights] = {}
        self._quantized: dict[relax.Var, Quantized] = {}
        self._sums: dict[relax.Var, ScaledSum] = {}

    def value(self, binding: relax.Binding, emit: Emit) -> relax.Expr:
        """Returns the new value of a variable."""
        var, value = binding.var, binding.value
        name = operator(value)
        if isinstance(value, GenericConst):
            self._known[var] = value.value.numpy()
        if not name or not isinstance(var.ty, relax.TensorType):
            return value
        if name == "relax.dequantize":
            return self._dequantize(var, value, emit)
        if name == "relax.quantize":
            return self._quantize(var, value, emit)
        if self._is_constant(var, value):
            return value
        if name in PRODUCTS:
            return self._product(var, value, emit)
        return self._elementwise(var, value, emit)

    def _dequantize(self, var: relax.Var, call: Call, emit: Emit) -> relax.Expr:
        how = quantization_of(call, self._known)
        if how is None:
            return call
        numbers = value_of(call.args[0], self._known)
        floats = Quantized(call.args[0], how)
        if numbers is None:
            self._quantized[var] = floats
        else:
            self._weights[var] = Weights(numbers, how)
        return dequantized(floats, emit)

    def _quantize(self, var: relax.Var, call: Call, emit: Emit) -> relax.Expr:
        how = quantization_of(call, self._known)
        if how is None:
            return call
        numbers = self._constant(call.args[0])
        if numbers is None:
            return self._integers(call.args[0], how, emit)
        self._known[var] = how.integers(numbers)
        return constant(self._known[var], how.dtype)

    def _integers(self, value: relax.Expr, how: Quantization, emit: Emit) -> relax.Expr:
        """Quantises a tensor of floats, from the integers that it is made of where it can."""
        kept = self._quantized.get(value)
        if kept and kept.how.equals(how):
            return kept.tensor
        call = self._bound.get(value)
        parts = operands(call, self._bound) if operator(call) in MOVES else []
        if parts and not kept and how.is_per_tensor and self._uses[value] == 1:
            integers = [self._integers(part, how, emit) for part in parts]
            named = [one if isinstance(one, relax.Var) else emit(one) for one in integers]
            made = moved(call, named, how)
            if made is not None:
                return made
        total = self._sum(value)
        result = affine.requantized(total, how, value.ty, emit) if total.has_integers else None
        if result is not None:
            return result
        steps = emit(relax.op.divide(value, parameter(how.scale, value)))
        return quantized(steps, how, how.bounds, emit)

    def _product(self, var: relax.Var, call: Call, emit: Emit) -> relax.Expr:
        data, weights = self._bytes(call.args[0]), self._weights.get(call.args[1])
        found = PRODUCTS[operator(call)](call, data, weights, emit) if data and weights else None
        if found is None:
            return call
        sums, factor = found
        self._sums[var] = ScaledSum((Term(sums, factor),), np.zeros(()))
        floats = emit(relax.op.astype(sums, "float32"))
        return relax.op.multiply(floats, parameter(factor, floats))

    def _elementwise(self, var: relax.Var, call: Call, emit: Emit) -> relax.Expr:
        parts = [self._bytes(part) for part in operands(call, self._bound)]
        first = parts[0] if parts else None
        if first and all(part and part.how.equals(first.how) for part in parts):
            made = moved(call, [part.tensor for part in parts if part], first.how)
            if made is not None:
                self._quantized[var] = Quantized(emit(made), first.how)
                return dequantized(self._quantized[var], emit)
        if operator(call) == "relax.multiply":
            self._rescale(var, call)
        total = affine.operated(call, self._sum)
        if total is not None and total.has_integers:
            self._sums[var] = total
        return call

    def _rescale(self, var: relax.Var, call: Call) -> None:
        """Remembers integers times a positive number as the same integers of another scale."""
        for one, other in (call.args, reversed(call.args)):
            data, factor = self._bytes(one), self._constant(other)
            if data and factor is not None and factor.ndim == 0 and factor > 0:
                how = replace(data.how, scale=data.how.scale * factor.astype("float32"))
                self._quantized[var] = Quantized(data.tensor, how)

    def _bytes(self, value: relax.Expr) -> Quantized | None:
        """Returns a tensor of floats as bytes, if it is kept as such, with one scale."""
        found = self._quantized.get(value)
        return found if found and found.how.is_per_tensor and found.how.is_bytes else None

    def _sum(self, value: relax.Expr) -> ScaledSum:
        """Returns a tensor of floats as a sum, of integers if nothing else reads the floats."""
        numbers = self._constant(value)
        if numbers is not None:
            return ScaledSum((), numbers.astype("float64"))
        kept = self._quantized.get(value)
        if kept and kept.how.is_short:
            return affine.of_quantized(kept)
        if value in self._sums and self._uses[value] == 1:
            return self._sums[value]
        return affine.of_tensor(value)

    def _constant(self, value: relax.Expr) -> np.ndarray | None:
        """Returns the numbers of a constant, dequantised; None where it is computed."""
        if value in self._weights:
            return self._weights[value].floats()
        return value_of(value, self._known)

    def _is_constant(self, var: relax.Var, call: Call) -> bool:
        """Whether a value is made of quantised constants; remembers it if so."""
        first = call.args[0] if call.args else None
        weights = self._weights.get(first)
        if weights is None and first not in self._known:
            return False
        if weights and operator(call) == "relax.permute_dims":
            self._weights[var] = weights.permuted(call)
            return True
        numbers = evaluate(call, [self._constant(arg) for arg in call.args], var.ty)
        if numbers is not None:
            self._known[var] = numbers
        return numbers is not None
