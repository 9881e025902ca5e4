"""What a generation takes over."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.inheritance import Inheritance


class InheritanceTests(SynchronousTestCase):
    def test_equal_value(self) -> None:
        """An equal value gets the object of the generation before."""
        first = Inheritance()
        made = first.get("upstream", "a", ("url", 1), object)
        second = Inheritance(first)
        self.assertIs(second.get("upstream", "a", ("url", 1), object), made)
        self.assertIs(
            Inheritance(second).get("upstream", "a", ("url", 1), object), made
        )

    def test_other_value(self) -> None:
        """Another value, name or kind gets an object of its own."""
        first = Inheritance()
        made = first.get("upstream", "a", 1, object)
        second = Inheritance(first)
        self.assertIsNot(second.get("upstream", "a", 2, object), made)
        self.assertIsNot(second.get("upstream", "b", 1, object), made)
        self.assertIsNot(second.get("accounts", "a", 1, object), made)

    def test_back_again(self) -> None:
        """What was left out in between is made anew."""
        first = Inheritance()
        made = first.get("upstream", "a", 1, object)
        between = Inheritance(first)
        self.assertIsNot(Inheritance(between).get("upstream", "a", 1, object), made)

    def test_done(self) -> None:
        """A generation that is built holds the one before no longer."""
        first = Inheritance()
        made = first.get("upstream", "a", 1, object)
        second = Inheritance(first)
        second.is_done()
        self.assertIsNot(second.get("upstream", "a", 1, object), made)
