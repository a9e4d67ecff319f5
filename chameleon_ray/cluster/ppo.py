"""The PPO explorer: walks a design space with a policy that RLlib trains on the cost model.

RLlib learns; the world in ``search`` moves and scores. One RLlib algorithm per number of axes
serves all tasks of the process: a task's weights and optimiser state come and go with its agent.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import gymnasium
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPO as Algorithm  # noqa: N811
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.util.debug import log_once

from chameleon_ray.cluster.ray_session import SessionError
from chameleon_ray.cluster.rollout import MoveCatalog, WalkRunner
from chameleon_ray.options import PPO
from chameleon_ray.search.explorer import Agent, Score, Trail, best
from chameleon_ray.search.world import KnobWorld
from chameleon_ray.space import DesignSpace, distinct

MODULE = "default_policy"
"""RLlib's name of the only policy."""


class PPOExplorer:
    """Walks a space by a policy learnt with PPO (Chameleon section 4.1, Algorithm 1).

    It keeps nothing between calls: any explorer can go on with any task's agent.
    """

    def __init__(self, options: PPO, count: int) -> None:
        """Takes the hyper-parameters and the most configurations a trail may have."""
        self.options, self.count = options, count

    def prepare(self, axes: int) -> None:
        """Builds what exploring a space of so many axes needs; takes seconds the first time.

        Raises:
            SessionError: There is no Ray session; RLlib would start one of its own, or join one.
        """
        if not ray.is_initialized():
            raise SessionError(
                "PPO needs a Ray session and there is none; start one (chameleon_ray.cluster."
                "session.start) or choose another explorer"
            )
        with isolated(0):
            algorithm(axes, self.options)

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``.

        There are new start configurations, ``steps`` moves from each, and ``updates`` of the
        policy. The walks go on where they were cut by an update.
        """
        if space.size < 2 or (len(seen) and len(distinct(seen)) >= space.size):
            return Trail(np.empty((0, len(space.knobs)), dtype=np.int64), np.empty(0), agent)
        self.prepare(space.axes)
        walkers, steps, reward = self.options.walkers, self.options.steps, self.options.reward
        world = KnobWorld(space, score, walkers, steps, rng, reward)
        with isolated(int(rng.integers(2**31))):
            learnt = learn(algorithm(space.axes, self.options), world, agent, self.options.updates)
        configs, scores = world.visited
        top = best(configs, scores, seen, self.count)
        return Trail(configs[top], scores[top], learnt, queries=len(scores))


def learn(ppo: Algorithm, world: KnobWorld, agent: Agent, updates: int) -> Agent:
    """Walks the world once, and trains a task's agent on the way; returns the trained agent."""
    ppo.learner_group.foreach_learner(lambda learner: restore(learner, agent))
    weights = ppo.learner_group.get_state(components="learner/rl_module")["learner"]["rl_module"]
    # Without a sequence number, or the runner takes a task's weights for those it already has.
    ppo.env_runner.set_state({"rl_module": weights})
    ppo.env_runner.enter(world)
    for _ in range(updates):
        ppo.train()
    (learnt,) = ppo.learner_group.foreach_learner(carry)
    return learnt.get()


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seeds the global generators that RLlib draws from, and has torch use one thread.

    Both are put back at the end of the ``with`` block.
    """
    state, threads = np.random.get_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
            torch.set_num_threads(threads)


def restore(learner: Learner, agent: Agent) -> None:
    """Gives the learner a task's weights and Adam state, or new ones where there are none."""
    module = learner.module[MODULE]
    (optimiser,) = [adam for _, adam in learner.get_optimizers_for_module(MODULE)]
    if not agent:
        optimiser.state.clear()
        for layer in module.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        return
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in agent.items()}
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            parameter.copy_(tensors[name])
        optimiser.state[parameter] = {
            key: tensors[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")
        }


def carry(learner: Learner) -> Agent:
    """Returns the learner's weights by name, and Adam's state of each as ``name/key``."""
    (optimiser,) = [adam for _, adam in learner.get_optimizers_for_module(MODULE)]
    agent: Agent = {}
    for name, parameter in learner.module[MODULE].named_parameters():
        agent[name] = parameter.detach().numpy().copy()
        for key, value in optimiser.state[parameter].items():
            agent[f"{name}/{key}"] = value.numpy().copy()
    return agent


@cache
def algorithm(axes: int, options: PPO) -> Algorithm:
    """Builds RLlib's PPO for spaces of so many axes, once per process and silently."""
    log_once("PPO_on_new_api_stack")
    logging.getLogger("ray._common.deprecation").setLevel(logging.ERROR)
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    return configured(axes, options).build_algo()


def configured(axes: int, options: PPO) -> PPOConfig:
    """Returns the paper's Table 9 in RLlib's terms.

    The value loss is not clipped. There is no KL term, and there are no extra actors.
    """
    fragment = options.steps // options.updates
    network = DefaultModelConfig(
        fcnet_hiddens=list(options.hidden), fcnet_activation="tanh", vf_share_layers=True
    )
    return (
        PPOConfig()
        .environment("knobs", env_config={"axes": axes})
        .env_runners(
            env_runner_cls=WalkRunner,
            num_env_runners=0,
            num_envs_per_env_runner=options.walkers,
            rollout_fragment_length=fragment,
        )
        .learners(num_learners=0)
        .training(
            lr=options.learning_rate,
            gamma=options.discount,
            lambda_=options.gae_lambda,
            num_epochs=options.epochs,
            minibatch_size=min(options.minibatch, options.walkers * fragment),
            train_batch_size_per_learner=options.walkers * fragment,
            clip_param=options.clip,
            vf_clip_param=float("inf"),
            vf_loss_coeff=options.value_coefficient,
            entropy_coeff=options.entropy_coefficient,
            use_kl_loss=False,
        )
        .rl_module(rl_module_spec=RLModuleSpec(catalog_class=MoveCatalog, model_config=network))
        .debugging(log_level="ERROR", log_sys_usage=False)
    )
