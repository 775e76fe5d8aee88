import itertools
import random
import unittest

from redactor import MASK, Redactor


def redact(secrets, pieces):
    redactor = Redactor(secrets)
    return b"".join([*map(redactor.feed, pieces), redactor.end()])


class RedactorTest(unittest.TestCase):
    def test_wherever_it_is_cut(self):
        text = b"a s3cret-1, s3cret-22 and s3cret-1s3cret-1 s3cre"
        expected = b"a %s, %s and %s%s s3cre" % ((MASK,) * 4)
        for first, second in itertools.combinations(range(len(text) + 1), 2):
            pieces = [text[:first], text[first:second], text[second:]]
            self.assertEqual(redact([b"s3cret-1", b"s3cret-22"], pieces), expected, pieces)
        self.assertEqual(redact([b"s3cret-1", b"s3cret-22"], [bytes([byte]) for byte in text]), expected)

    def test_overlapping_secrets_leave_nothing(self):
        for count in range(1, 9):
            text = b"xabcdefgy"
            pieces = [text[at:at + count] for at in range(0, len(text), count)]
            self.assertEqual(redact([b"abcde", b"defg"], pieces), b"x" + MASK + b"y")

    def test_random_texts_as_if_whole(self):
        chance = random.Random(1)
        for _ in range(2000):
            secrets = ["".join(chance.choices("ab", k=chance.randint(1, 4))).encode() for _ in range(3)]
            text = "".join(chance.choices("abc", k=30)).encode()
            pieces, at = [], 0
            while at < len(text):
                step = chance.randint(1, 5)
                pieces.append(text[at:at + step])
                at += step
            result = redact(secrets, pieces)
            self.assertEqual(result, redact(secrets, [text]))
            for part in result.split(MASK):
                self.assertFalse(any(secret in part for secret in secrets), (secrets, text, result))

    def test_an_event_does_not_wait(self):
        redactor = Redactor([b"s3cret-1"])
        self.assertEqual(redactor.feed(b"data: x\n\n"), b"data: x\n\n")
        self.assertEqual(redactor.feed(b"data: s3c"), b"data: ")
        self.assertEqual(redactor.feed(b"ond\n\n"), b"s3cond\n\n")

    def test_no_secrets(self):
        self.assertEqual(redact([], [b"a", b"b"]), b"ab")


if __name__ == "__main__":
    unittest.main()
