"""Representatives: of configurations with a known fitness, the best one with each value of a knob.

Another device may prefer another value of a knob than the one that they were measured on, but then
mostly with the other knobs as they are best with that value. So the best configuration of each
value says more than as many configurations near the best of all.
"""

import numpy as np


def representatives(configs: np.ndarray, fitness: np.ndarray) -> np.ndarray:
    """Orders the best configuration of all and those of each value, of knobs with few values first.

    Args:
        configs: ``(n, knobs)`` configurations.
        fitness: ``(n,)`` fitness of each; 0 for those that failed, which represent nothing.

    Returns:
        Row numbers, each once.
    """
    order = np.argsort(-fitness, kind="stable")
    order = order[fitness[order] > 0]
    ordered = configs[order]
    firsts = [np.sort(np.unique(column, return_index=True)[1]) for column in ordered.T]
    chosen = list(range(min(len(order), 1)))
    for knob in sorted(range(len(firsts)), key=lambda n: len(firsts[n])):
        for row in firsts[knob]:
            if ordered[row, knob] not in ordered[chosen, knob]:
                chosen.append(int(row))
    return order[chosen]
