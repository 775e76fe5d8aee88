"""What DNS one container may use: questions of its own, those that go to the operator's resolvers, and answers that are kept."""

import itertools
import time
import unittest

from budgets import GOOD, BudgetCase
from dns_client import REFUSED, SERVFAIL, ask_dns, dns_query, response_code
from harness import eventually

# Four such answers fit into the bytes that are kept, and five do not: they take about 900 each.
LARGE = "\n".join(f"*.large.test A 198.51.100.{number}" for number in range(1, 9))
ZONE = f"""
*.small.test A {GOOD}
*.silent.test DROP
{LARGE}
"""


class DnsBudgetTest(BudgetCase):
    LIMITS = {
        "dns_queries_per_second": 60, "dns_queries_burst_seconds": 1, "dns_name_bytes_at_once": 300, "dns_name_bytes_per_minute": 60,
        "dns_upstream_per_second": 1, "dns_upstream_burst_seconds": 15, "dns_upstream_queries": 4, "dns_cached_answers": 6,
        "dns_cached_bytes": 4096,
    }
    UPSTREAM_AT_ONCE = LIMITS["dns_upstream_per_second"] * LIMITS["dns_upstream_burst_seconds"]

    @classmethod
    def setUpClass(cls):
        cls.start_world(addresses=[GOOD], zone=ZONE)
        cls.world.apply_class("open")
        cls.other = cls.world.container("open", "other")

    def codes(self, *names, container=None):
        """One after the other."""
        return [response_code(ask_dns(container or self.container, dns_query(name, number))[0]) for number, name in enumerate(names)]

    def upstream(self, name):
        """How often the operator's resolver was asked for it."""
        return self.world.dns.text().count(f"query {name} A udp")

    def test_queries_beyond_are_refused(self):
        begin = time.monotonic()
        flood = [response_code(answer) for answer in ask_dns(self.container, *(dns_query("good.test", number) for number in range(100)))]
        seconds = time.monotonic() - begin
        rate = self.LIMITS["dns_queries_per_second"]
        self.assertEqual(set(flood), {0, REFUSED})
        self.assertLessEqual(flood.count(0), rate + rate * seconds + 1)
        self.assertEqual(self.limit("dns_queries_per_second")[1], flood.count(REFUSED))
        self.assertIn("dns_queries_per_second", self.world.cli_text("status"))
        self.assertEqual(self.codes("good.test", container=self.other), [0])
        self.assert_other_untouched("dns_queries_per_second")

    def test_new_names_beyond_are_refused(self):
        codes = self.codes(*(f"{number:02d}{'a' * 60}.tunnel.test" for number in range(10)))
        self.assertGreaterEqual(codes.count(REFUSED), 5)
        self.assertEqual(self.limit("dns_name_bytes_per_minute")[1], codes.count(REFUSED))
        self.assertIn("dns_name_bytes_per_minute", self.world.cli_text("status"))
        self.assert_other_untouched("dns_name_bytes_per_minute")

    def test_questions_to_the_resolvers_beyond_fail(self):
        names = [f"n{number}.small.test" for number in range(self.UPSTREAM_AT_ONCE + 30)]
        begin = time.monotonic()
        codes = self.codes(*names)
        seconds = time.monotonic() - begin
        self.assertEqual(codes[:self.UPSTREAM_AT_ONCE], [0] * self.UPSTREAM_AT_ONCE)
        self.assertEqual(set(codes), {0, SERVFAIL})
        self.assertLessEqual(codes.count(0), self.UPSTREAM_AT_ONCE + self.LIMITS["dns_upstream_per_second"] * seconds + 1)
        self.assertEqual(self.limit("dns_upstream_per_second")[1], codes.count(SERVFAIL))
        # Those did not leave.
        self.assertEqual([self.upstream(name) for name in names], [int(code == 0) for code in codes])
        # What is kept costs nothing.
        last = max(number for number, code in enumerate(codes) if code == 0)
        self.assertEqual(self.codes(names[last]), [0])
        self.assertEqual(self.codes("other.small.test", container=self.other), [0])
        self.assert_other_untouched("dns_upstream_per_second")
        eventually(lambda: self.codes("later.small.test") == [0], what="a question that may be asked again")

    def test_egress_asks_within_the_same_budget(self):
        self.codes(*(f"e{number}.small.test" for number in range(self.UPSTREAM_AT_ONCE + 5)))
        numbers = itertools.count()

        def fails():
            """Unless there is one more by now."""
            self.codes(f"more{next(numbers)}.small.test")
            exceeded = self.limit("dns_upstream_per_second")[1]
            answer = self.container.curl(f"http://egress{next(numbers)}.small.test/", address=GOOD)
            return (answer.status, answer.reason) == (503, "overloaded") and self.limit("dns_upstream_per_second")[1] > exceeded

        eventually(fails, what="egress without a budget")
        eventually(lambda: self.container.curl("http://egress.small.test/", address=GOOD).status == 200, what="egress again")

    def test_questions_under_way_beyond_fail_at_once(self):
        most = self.LIMITS["dns_upstream_queries"]
        begin = time.monotonic()
        answers = ask_dns(self.container, *(dns_query(f"n{number}.silent.test", number) for number in range(most + 2)))
        # The two that were too many are told first, and the others when the resolver has been silent for as long as it may be.
        self.assertEqual([response_code(answer) for answer in answers], [SERVFAIL] * (most + 2))
        self.assertEqual({answer[1] for answer in answers[:2]}, {most, most + 1})
        self.assertGreater(time.monotonic() - begin, 1)
        self.assertEqual(self.limit("dns_upstream_queries")[1], 2)
        self.assertEqual([self.upstream(f"n{number}.silent.test") > 0 for number in range(most + 2)], [True] * most + [False] * 2)
        self.assertEqual(self.codes("again.small.test"), [0])
        self.assertEqual(self.limit("dns_upstream_queries")[1], 2)
        self.assert_other_untouched("dns_upstream_queries")

    def assert_keeps(self, suffix, most):
        """So many answers, those that were used last."""
        names = [f"c{number}.{suffix}" for number in range(most + 1)]
        self.assertEqual(self.codes("kept.small.test", container=self.other), [0])
        before = self.upstream("kept.small.test")
        self.assertEqual(self.codes(*names[:-1]), [0] * most)
        self.assertEqual(self.codes(*names[:-1]), [0] * most)
        self.assertEqual([self.upstream(name) for name in names], [1] * most + [0])
        # The first makes room for one more.
        self.assertEqual(self.codes(names[-1], *names[1:], names[0]), [0] * (most + 2))
        self.assertEqual([self.upstream(name) for name in names], [2] + [1] * most)
        # The other container's stay.
        self.assertEqual(self.codes("kept.small.test", container=self.other), [0])
        self.assertEqual(self.upstream("kept.small.test"), before)

    def test_answers_beyond_are_not_kept(self):
        self.assert_keeps("small.test", self.LIMITS["dns_cached_answers"])

    def test_bytes_of_answers_beyond_are_not_kept(self):
        self.assert_keeps("large.test", 4)


if __name__ == "__main__":
    unittest.main()
