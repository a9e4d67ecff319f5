"""The Gaussian process's covariance: points in, how alike the fitness at any two of them is out."""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.gaussian_process.kernels import Kernel

Bounds = tuple[float, float]


class NoisyMatern(Kernel):
    """``amplitude`` times a Matern covariance of smoothness 5/2 with a length scale per input, plus
    noise (Rasmussen and Williams, 2006, equation 4.17).

    It equals ``ConstantKernel * Matern + WhiteKernel``, whose parts cost several times as much to
    put together as to evaluate where there are a few dozen points.

    Attributes:
        amplitude: Variance of the signal.
        scales: ``(inputs,)`` length scales.
        noise: Its variance.
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
        """``(n, inputs)`` points -> their ``(n, n)`` covariance, or ``(n, m)`` that with
        ``(m, inputs)`` others, to which the noise does not belong.

        On demand the ``(n, n, inputs + 2)`` gradient with respect to ``theta``, too.
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
        """``(n, inputs)`` points -> their ``(n,)`` variances."""
        return np.full(len(points), self.amplitude + self.noise)

    def is_stationary(self) -> bool:
        return True

    @property
    def theta(self) -> np.ndarray:
        """``(inputs + 2,)`` logarithms of the amplitude, the length scales and the noise."""
        return np.log(np.concatenate([[self.amplitude], self.scales, [self.noise]]))

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        amplitude, *scales, noise = np.exp(theta)
        self.amplitude, self.scales, self.noise = amplitude, np.array(scales), noise

    @property
    def bounds(self) -> np.ndarray:
        """``(inputs + 2, 2)`` logarithms of the parameters' bounds."""
        amplitude, scale, noise = self.limits
        return np.log([amplitude, *[scale] * len(self.scales), noise])
