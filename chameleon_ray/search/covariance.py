"""The covariance function of the Gaussian process."""

import numpy as np
from scipy.spatial.distance import cdist

Bounds = tuple[float, float]


class NoisyMatern:
    """A Matern 5/2 covariance with a length scale per input, plus noise.

    The covariance is scaled by ``amplitude`` (Rasmussen and Williams, 2006, equation 4.17). It
    equals ``ConstantKernel * Matern + WhiteKernel``. For a few dozen points, putting those kernels
    together costs several times as much as evaluating them.

    Attributes:
        amplitude: Variance of the signal.
        scales: ``(inputs,)`` length scales.
        noise: Variance of the noise.
        limits: Bounds of the amplitude, of each length scale and of the noise.
    """

    def __init__(
        self,
        amplitude: float,
        scales: np.ndarray,
        noise: float,
        limits: tuple[Bounds, Bounds, Bounds],
    ) -> None:
        self.amplitude, self.scales, self.noise, self.limits = amplitude, scales, noise, limits

    def __call__(
        self, points: np.ndarray, others: np.ndarray | None = None, eval_gradient: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Computes the covariance of ``(n, inputs)`` points, with each other or with others.

        Returns:
            The ``(n, n)`` covariance with noise, or the ``(n, m)`` covariance with ``(m, inputs)``
            others, which has no noise. With ``eval_gradient`` the first comes with its ``(n, n,
            inputs + 2)`` gradient with respect to ``theta``.
        """
        if others is not None:
            far = np.sqrt(5) * cdist(points / self.scales, others / self.scales)
            return self.amplitude * (1 + far + far**2 / 3) * np.exp(-far)
        apart = ((points[:, None] - points) / self.scales) ** 2
        far = np.sqrt(5 * apart.sum(-1))
        decay = self.amplitude * np.exp(-far)
        signal, noise = (1 + far + far**2 / 3) * decay, self.noise * np.eye(len(points))
        if not eval_gradient:
            return signal + noise
        gradient = np.empty((*signal.shape, len(self.scales) + 2))
        gradient[..., 0], gradient[..., -1] = signal, noise
        gradient[..., 1:-1] = (5 / 3 * (1 + far) * decay)[..., None] * apart
        return signal + noise, gradient

    def diag(self, points: np.ndarray) -> np.ndarray:
        """Returns the ``(n,)`` variances of ``(n, inputs)`` points."""
        return np.full(len(points), self.amplitude + self.noise)

    def is_stationary(self) -> bool:
        return True

    @property
    def theta(self) -> np.ndarray:
        """The ``(inputs + 2,)`` logarithms of the amplitude, the length scales and the noise."""
        return np.log(np.concatenate([[self.amplitude], self.scales, [self.noise]]))

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        amplitude, *scales, noise = np.exp(theta)
        self.amplitude, self.scales, self.noise = amplitude, np.array(scales), noise

    @property
    def bounds(self) -> np.ndarray:
        """The ``(inputs + 2, 2)`` logarithms of the parameters' bounds."""
        amplitude, scale, noise = self.limits
        return np.log([amplitude, *[scale] * len(self.scales), noise])
