"""The supervisor of a pool: replaces lost actors, and follows the nodes of a cluster."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ray.exceptions import RayError

from chameleon_ray.cluster.placement import Look, Node, Spread, nodes
from chameleon_ray.cluster.slots import Slot, Slots, blame, counted, reason, titled
from chameleon_ray.options import Placing
from chameleon_ray.pool import Unfit

logger = logging.getLogger(__name__)
StartActor = Callable[[str, Node | None], Any]
"""Makes an actor of a name for people, on a node where one is given; returns at once."""


class Supervisor:
    """Opens a pool's slots, puts actors on them, and gives slots up."""

    def __init__(
        self,
        name: str,
        slots: Slots,
        start_actor: StartActor,
        spread: Spread | None,
        look: Look,
        patient: bool,
        options: Placing,
        tell: Callable[[str], None],
    ) -> None:
        """Takes arguments of ``ActorPool``, and begins nothing yet."""
        self.name, self._slots, self._new = name, slots, start_actor
        self._spread, self._nodes, self._patient = spread, look, patient
        self._options, self._tell = options, tell
        self._unsettled: list[Slot] = []
        self._broadcasts: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._tasks: set[asyncio.Task] = set()
        self._numbered = 0
        self._followed = self._lost_one = False

    def start(self) -> None:
        """Begins what needs an event loop: waiting for actors, and following the cluster."""
        if self._spread and not self._followed:
            self._followed = True
            self._look(self._nodes(), first=True)
            if not self._slots.all:
                self._tell(f"No node has a place for a {self.name} yet; one that joins may.")
            self._begin(self._follow())
        while self._unsettled:
            slot = self._unsettled.pop()
            self._begin(self._settle(slot, slot.actor))

    def broadcast(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Has every worker do a call, by the method's name, before it gets any other."""
        self._broadcasts.append((method, args, kwargs))
        for slot in self._slots.all:
            if slot.ready and not slot.receiving:
                slot.receiving = True
                self._begin(self._settle(slot, slot.actor))

    def close(self) -> None:
        """Lets all actors go; calls fail from now on."""
        for task in self._tasks:
            task.cancel()
        self._slots.shut(f"all {self.name} workers were let go")
        for slot in self._slots.all:
            slot.dismiss()
        self._slots.all.clear()

    def open(self, node: Node | None) -> None:
        """Opens a slot and starts an actor on it."""
        self._numbered += 1
        where = f" on node {node.address}" if node else ""
        slot = Slot(f"{self.name} {self._numbered}{where}", node)
        self._slots.all.append(slot)
        self._start_actor(slot)

    def tell_of_waiting(self) -> None:
        """Tells that no worker has got its device, where nodes that have some are there."""
        if self._slots.all:
            self._tell(
                f"No {self.name} has got a GPU yet: another command on the cluster may have them, "
                "and this one goes on when it ends; ray status shows who has what."
            )

    async def alive(self, slot: Slot) -> bool:
        """Whether a worker answers; one that does not is replaced.

        One that has been set up has to do so in the time of a call; before that, it may wait for a
        device that another command has.
        """
        actor = slot.actor
        if actor is None:
            return False
        try:
            async with asyncio.timeout(self._options.call_seconds if slot.ready else None):
                await actor.account.remote("", 0.0)
        except (RayError, TimeoutError) as error:
            if slot.actor is actor:
                self.lose(slot, error, begun=False)
            return False
        return slot.actor is actor

    def lose(self, slot: Slot, error: Exception, begun: bool = True) -> None:
        """Replaces a worker that died, or does not answer.

        Args:
            slot: Slot of the worker.
            error: Error by which the loss became known.
            begun: Whether the worker was doing the first of its calls, which may have killed it.
        """
        if slot.node and _is_gone(slot.node):
            self._leave(slot.node)
            return
        calls = slot.dismiss()
        if begun:
            blame(calls, slot, error)
        logger.info("%s was lost: %s", slot.name, error)
        unfit = Unfit.__name__ in str(error)  # Ray tells in words only what a factory raised
        self.strike(slot, reason(error), self._options.strikes if unfit else 1)
        if not slot.retired:
            self._start_actor(slot)
            self.start()
            if not self._lost_one:
                self._lost_one = True
                self._tell(
                    f"{titled(slot.name)} was lost and is replaced, as others will be without "
                    f"a word; what it was doing is done again: {reason(error)}."
                )

    def strike(self, slot: Slot, why: str, strikes: int = 1) -> None:
        """Counts strikes against a worker; one with too many in a row is given up."""
        slot.strikes += strikes
        if slot.strikes < self._options.strikes or slot.retired:
            return
        slot.retired = slot.settled = True
        slot.dismiss()
        left = sum(not other.retired for other in self._slots.all)
        times = f"failed {slot.strikes} times in a row and " if strikes == 1 else ""
        said = f"{titled(slot.name)} {times}is given up"
        self._tell(f"{said}, which leaves {counted(left, self.name)}: {why}.")
        if not left:
            self._slots.shut(f"{said}, the last there was: {why}")
        self._slots.dispatch()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._options.look_seconds)
            try:
                self._look(await asyncio.to_thread(self._nodes))
            except (RayError, RuntimeError, OSError):  # Ray's head is silent, perhaps for a moment
                logger.info("the nodes cannot be looked at", exc_info=True)
            self.start()

    def _look(self, found: tuple[Node, ...], first: bool = False) -> None:
        """Lets the actors of lost nodes go, and gives every node as many as it is to have."""
        living, slots = {node.id for node in found}, self._slots.all
        for node in {slot.node for slot in slots if slot.node and slot.node.id not in living}:
            self._leave(node)
        assert self._spread is not None
        for node in found:
            missing = self._spread(node) - len(self._on(node))
            for _ in range(missing):
                self.open(node)
            if missing > 0 and not first:
                self._tell(f"Node {node.address} joined, with {counted(missing, self.name)}.")

    def _leave(self, node: Node) -> None:
        """Drops a node that is gone, and its actors."""
        gone = self._on(node)
        for slot in gone:
            self._slots.all.remove(slot)
            slot.dismiss()
        left = any(not slot.retired for slot in self._slots.all)
        rest = "; what they were doing is done elsewhere" if left else ", the last there was"
        self._tell(f"Node {node.address} was lost, with {counted(len(gone), self.name)}{rest}.")
        if not (left or self._patient):
            self._slots.shut(f"Node {node.address} was lost, the last that had a {self.name}")
        self._slots.dispatch()

    def _on(self, node: Node) -> list[Slot]:
        return [slot for slot in self._slots.all if slot.node and slot.node.id == node.id]

    def _start_actor(self, slot: Slot) -> None:
        slot.actor = self._new(slot.name, slot.node)
        self._unsettled.append(slot)

    async def _settle(self, slot: Slot, actor: Any) -> None:
        """Lets a worker have calls once it is set up and has had all broadcasts.

        A worker that was lost meanwhile gets none.
        """
        if slot.actor is not actor:
            return
        if (slot.ready or await self.alive(slot)) and await self._received(slot):
            slot.ready = slot.settled = True
            slot.receiving = False
            self._slots.dispatch()

    async def _received(self, slot: Slot) -> bool:
        """Whether a worker has had all broadcasts; one that fails in one is replaced."""
        actor = slot.actor
        while slot.actor is actor and slot.received < len(self._broadcasts):
            method, args, kwargs = self._broadcasts[slot.received]
            try:
                async with asyncio.timeout(self._options.call_seconds):
                    said = await actor.call.remote(method, *args, **kwargs)
            except (RayError, TimeoutError) as error:
                if slot.actor is actor:
                    self.lose(slot, error)
                return False
            if slot.actor is actor:
                slot.received += 1
                if said and not slot.noted:
                    slot.noted = True
                    self._tell(f"{titled(slot.name)} {said}.")
        return slot.actor is actor


def _is_gone(node: Node) -> bool:
    """Whether a node has left the cluster, as far as Ray's head can tell."""
    try:
        return node.id not in {other.id for other in nodes()}
    except (RayError, RuntimeError, OSError):  # it is silent, perhaps for a moment
        return False
