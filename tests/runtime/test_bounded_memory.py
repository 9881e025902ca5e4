"""What is remembered, how much of it, and for how long."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.bounded_memory import BoundedMemory


def kept(memory: BoundedMemory[str, int]) -> str:
    """Which of the keys a to f are in a memory."""
    return "".join(key for key in "abcdef" if memory.get(key) is not None)


class NumberTests(SynchronousTestCase):
    def test_same_key(self) -> None:
        """A value is there for its key, and for no other."""
        memory: BoundedMemory[str, int] = BoundedMemory(3)
        memory.put("a", 1)
        self.assertEqual((memory.get("a"), memory.get("b")), (1, None))

    def test_put_longest_ago_leaves(self) -> None:
        """What is put again is the newest; what is looked at stays where it is."""
        memory: BoundedMemory[str, int] = BoundedMemory(3)
        for key in "abca":
            memory.put(key, 1)
        memory.get("b")
        memory.put("d", 1)
        self.assertEqual((kept(memory), len(memory)), ("acd", 3))

    def test_used_longest_ago_leaves(self) -> None:
        """What is used stays."""
        memory: BoundedMemory[str, int] = BoundedMemory(3)
        for key in "abc":
            memory.put(key, 1)
        self.assertEqual(memory.use("a"), 1)
        self.assertIsNone(memory.use("x"))
        memory.put("d", 1)
        self.assertEqual(kept(memory), "acd")

    def test_pop(self) -> None:
        """What is taken out is gone; nothing is there a second time."""
        memory: BoundedMemory[str, int] = BoundedMemory(3)
        memory.put("a", 1)
        self.assertEqual((memory.pop("a"), memory.pop("a")), (1, None))
        self.assertIsNone(memory.pop_oldest())

    def test_false_values(self) -> None:
        """A value that is false is a value."""
        memory: BoundedMemory[str, int] = BoundedMemory(1)
        memory.put("a", 0)
        self.assertEqual((memory.get("a"), memory.use("a"), memory.pop("a")), (0, 0, 0))


class WeightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory: BoundedMemory[str, int] = BoundedMemory(
            4, weigh=lambda value: value, max_weight=10
        )

    def test_as_many_leave_as_needed(self) -> None:
        """A heavy value takes the place of several."""
        for key in "abc":
            self.memory.put(key, 3)
        self.memory.put("d", 6)
        self.assertEqual(kept(self.memory), "cd")

    def test_number(self) -> None:
        """Light values are bounded by their number."""
        for key in "abcdef":
            self.memory.put(key, 1)
        self.assertEqual(kept(self.memory), "cdef")

    def test_replaced_and_popped(self) -> None:
        """What has left weighs nothing."""
        self.memory.put("a", 9)
        self.memory.put("a", 5)
        self.memory.put("b", 5)
        self.assertEqual(kept(self.memory), "ab")
        self.memory.pop("a")
        self.memory.put("c", 5)
        self.assertEqual(kept(self.memory), "bc")

    def test_too_heavy(self) -> None:
        """What is heavier than all may be is not kept."""
        self.memory.put("a", 1)
        self.memory.put("b", 11)
        self.memory.put("c", 10)
        self.assertEqual(kept(self.memory), "c")


class AgeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.memory: BoundedMemory[str, int] = BoundedMemory(
            8, now=self.clock.seconds, max_age=60
        )

    def test_max_age(self) -> None:
        """A value is forgotten at its age, however often it is used."""
        self.memory.put("a", 1)
        self.clock.advance(59.5)
        self.assertEqual(self.memory.use("a"), 1)
        self.clock.advance(0.5)
        self.assertIsNone(self.memory.use("a"))
        self.assertEqual(len(self.memory), 0)

    def test_put_again(self) -> None:
        """What is put again begins anew."""
        self.memory.put("a", 1)
        self.clock.advance(59)
        self.memory.put("a", 2)
        self.clock.advance(59)
        self.assertEqual(self.memory.get("a"), 2)

    def test_old_ones_take_no_room(self) -> None:
        """What has become old leaves with the next value that is put."""
        self.memory.put("a", 1)
        self.memory.put("b", 1)
        self.clock.advance(60)
        self.memory.put("c", 1)
        self.assertEqual(len(self.memory), 1)


class LeavingTests(SynchronousTestCase):
    def test_told_of_all_that_leave(self) -> None:
        """Pushed out, replaced, too old, taken out or cleared: each is told once."""
        clock = Clock()
        left: list[tuple[str, int]] = []
        memory: BoundedMemory[str, int] = BoundedMemory(
            2,
            now=clock.seconds,
            max_age=60,
            on_leave=lambda key, value: left.append((key, value)),
        )
        for key, value in (("a", 1), ("b", 2), ("c", 3), ("b", 4)):
            memory.put(key, value)
        self.assertEqual(left, [("a", 1), ("b", 2)])
        clock.advance(60)
        memory.get("b")
        memory.put("d", 5)
        self.assertEqual(left[2:], [("b", 4), ("c", 3)])
        memory.put("e", 6)
        memory.pop("d")
        memory.put("f", 7)
        memory.clear()
        self.assertEqual(left[4:], [("d", 5), ("e", 6), ("f", 7)])
