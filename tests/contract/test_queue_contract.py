from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from tests.contract.worlds import World, local_world

from storage.base import Delivery, JobMessage, Storage

MESSAGE = JobMessage("job_20240115_aaaaaaaaaaaaaaaa", "req_1", "corr_1")


@pytest.fixture
def make_world(make_world_of_files: Callable[[Path], World]) -> Callable[[Path], World]:
    return make_world_of_files


def receive(storage: Storage, visibility_s: float = 30) -> Delivery:
    delivery = storage.queue.receive(visibility_s)
    assert delivery is not None
    return delivery


def test_a_message_arrives_whole_and_once(storage: Storage) -> None:
    assert storage.queue.receive(30) is None
    storage.queue.send(MESSAGE)
    delivery = receive(storage)
    assert (delivery.message, delivery.count) == (MESSAGE, 1)
    assert storage.queue.receive(30) is None
    storage.queue.acknowledge(delivery)
    assert storage.queue.receive(30) is None


def test_what_is_not_acknowledged_comes_again_and_is_counted(world: World) -> None:
    queue = world.storage.queue
    queue.send(MESSAGE)
    for count in (1, 2, 3):
        delivery = receive(world.storage, world.lease_s)
        assert (delivery.message, delivery.count) == (MESSAGE, count)
        world.pass_queue_time(world.lease_s - 1)
        assert queue.receive(30) is None
        world.pass_queue_time(1)


def test_heartbeats_keep_a_message_hidden(world: World) -> None:
    queue = world.storage.queue
    queue.send(MESSAGE)
    delivery = receive(world.storage, world.lease_s)
    for _ in range(4):
        world.pass_queue_time(world.lease_s - 1)
        assert queue.extend(delivery, world.lease_s) is True
    world.pass_queue_time(world.lease_s - 1)
    assert queue.receive(30) is None
    queue.acknowledge(delivery)
    world.pass_queue_time(world.lease_s)
    assert queue.receive(30) is None
    assert queue.extend(delivery, 30) is False


def test_a_lease_that_ran_out_cannot_be_extended(world: World) -> None:
    world.storage.queue.send(MESSAGE)
    delivery = receive(world.storage, world.lease_s)
    world.pass_queue_time(world.lease_s)
    assert world.storage.queue.extend(delivery, 30) is False
    assert receive(world.storage).count == 2


def test_an_old_receipt_has_no_power_over_the_next_delivery(world: World) -> None:
    queue = world.storage.queue
    queue.send(MESSAGE)
    old = receive(world.storage, world.lease_s)
    world.pass_queue_time(world.lease_s)
    new = receive(world.storage)
    assert new.receipt != old.receipt
    assert queue.extend(old, 300) is False
    queue.release(old, 0)
    assert queue.receive(30) is None
    queue.acknowledge(old)
    assert queue.extend(new, world.lease_s) is True
    world.pass_queue_time(world.lease_s)
    assert receive(world.storage).count == 3


def test_a_released_message_comes_after_its_delay(world: World) -> None:
    queue = world.storage.queue
    queue.send(MESSAGE)
    queue.release(receive(world.storage), 0)
    second = receive(world.storage)
    assert second.count == 2
    queue.release(second, world.lease_s)
    world.pass_queue_time(world.lease_s - 1)
    assert queue.receive(30) is None
    world.pass_queue_time(1)
    assert receive(world.storage).count == 3
    queue.release(second, 0)  # its receipt is no longer good
    assert queue.receive(30) is None


def test_messages_of_one_job_are_two_messages(storage: Storage) -> None:
    storage.queue.send(MESSAGE)
    storage.queue.send(MESSAGE)
    first, second = receive(storage), receive(storage)
    assert first.receipt != second.receipt
    storage.queue.acknowledge(first)
    assert storage.queue.extend(second, 30) is True


def test_a_forged_receipt_does_nothing(storage: Storage) -> None:
    storage.queue.send(MESSAGE)
    delivery = receive(storage)
    for receipt in ("", "x", "%", delivery.receipt[:-1]):
        forged = replace(delivery, receipt=receipt)
        assert storage.queue.extend(forged, 30) is False
        storage.queue.acknowledge(forged)
        storage.queue.release(forged, 0)
    assert storage.queue.receive(30) is None
    assert storage.queue.extend(delivery, 30) is True


@dataclass
class Letter:
    """A message as the model knows it; `unsure` if a late acknowledgement may or may not have counted."""

    visible_s: float
    unsure: bool = False
    count: int = 0
    receipt: str | None = None


class QueueModel(RuleBasedStateMachine):
    """No message is lost, none is handed to two at once, and a receipt is good exactly as long as its lease."""

    make_world: Callable[[Path], World]
    deliveries = Bundle("deliveries")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = type(self).make_world(self.folder)
        self.queue = self.world.storage.queue
        self.letters: dict[str, Letter] = {}
        self.now_s, self.sent = 0.0, 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def holder(self, delivery: Delivery) -> Letter | None:
        letter = self.letters.get(delivery.message.job_id)
        good = letter is not None and letter.receipt == delivery.receipt and letter.visible_s > self.now_s
        return letter if good else None

    @rule()
    def send(self) -> None:
        self.sent += 1
        self.queue.send(JobMessage(str(self.sent), "r", "c"))
        self.letters[str(self.sent)] = Letter(self.now_s)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_queue_time(seconds)
        self.now_s += seconds

    @rule(target=deliveries, visibility_s=st.sampled_from([5.0, 30.0]))
    def receive(self, visibility_s: float) -> object:
        visible = {name for name, letter in self.letters.items() if letter.visible_s <= self.now_s}
        delivery = self.queue.receive(visibility_s)
        if delivery is None:
            assert all(self.letters[name].unsure for name in visible)
            return multiple()
        assert delivery.message.job_id in visible
        letter = self.letters[delivery.message.job_id]
        letter.unsure = False
        letter.count += 1
        letter.receipt, letter.visible_s = delivery.receipt, self.now_s + visibility_s
        assert delivery.count == letter.count
        return delivery

    @rule(delivery=deliveries)
    def extend(self, delivery: Delivery) -> None:
        letter = self.holder(delivery)
        assert self.queue.extend(delivery, 30) is (letter is not None)
        if letter is not None:
            letter.visible_s = self.now_s + 30

    @rule(delivery=deliveries)
    def acknowledge(self, delivery: Delivery) -> None:
        letter = self.holder(delivery)
        self.queue.acknowledge(delivery)
        if letter is not None:
            del self.letters[delivery.message.job_id]
            return
        late = self.letters.get(delivery.message.job_id)
        if late is not None and late.receipt == delivery.receipt:
            late.unsure = True  # nobody else has it: a world may take the word for it

    @rule(delivery=deliveries, delay_s=st.sampled_from([0.0, 10.0]))
    def release(self, delivery: Delivery, delay_s: float) -> None:
        letter = self.holder(delivery)
        self.queue.release(delivery, delay_s)
        if letter is not None:
            letter.visible_s, letter.receipt = self.now_s + delay_s, None

    @invariant()
    def nothing_comes_from_nowhere(self) -> None:
        assert len(self.letters) <= self.sent


def test_any_series_of_deliveries(make_clocked_world: Callable[[Path], World]) -> None:
    machine = type("Deliveries", (QueueModel,), {"make_world": staticmethod(make_clocked_world)})
    examples = 20 if make_clocked_world is local_world else 8
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None))
