"""The vectors that AWS publishes: the test suite of Signature Version 4, and the examples of Amazon S3's API reference."""

import hashlib
import unittest

import signature
from signature import Key, Scope

EMPTY = hashlib.sha256(b"").hexdigest()
SUITE = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
FORM = ("content-type", "application/x-www-form-urlencoded")
# Name, method, query, headers beside host and x-amz-date, body, signature.
SUITE_CASES = [
    ("get-vanilla", "GET", "", [], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "", [], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("get-vanilla-query-order-key-case", "GET", "Param2=value2&Param1=value1", [], "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("get-header-key-duplicate", "GET", "", [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")], "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    ("get-header-value-multiline", "GET", "", [("My-Header1", "value1"), ("My-Header1", "value2"), ("My-Header1", "value3")], "",
     "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"),
    ("post-x-www-form-urlencoded", "POST", "", [FORM], "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
]
S3 = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
# Method, path, query, headers beside host, x-amz-date and x-amz-content-sha256, body, signature.
S3_CASES = [
    ("GET", "/test.txt", "", [("range", "bytes=0-9")], "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("PUT", "/test%24file.text", "", [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
     "Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("GET", "/", "lifecycle", [], "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/", "prefix=J&max-keys=2", [], "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]


class SignatureTest(unittest.TestCase):
    def test_suite(self):
        for name, method, query, headers, body, expected in SUITE_CASES:
            with self.subTest(name):
                time = "20150830T123600Z"
                signed = [("Host", "example.amazonaws.com"), ("X-Amz-Date", time), *headers]
                value = signature.authorization(SUITE, Scope("us-east-1", "service"), time, method, "/", query, signed,
                                                hashlib.sha256(body.encode()).hexdigest())
                self.assertEqual(value.rpartition("Signature=")[2], expected)
                self.assertIn("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=", value)

    def test_s3(self):
        for method, path, query, headers, body, expected in S3_CASES:
            with self.subTest(path=path, query=query):
                time, payload = "20130524T000000Z", hashlib.sha256(body.encode()).hexdigest()
                signed = [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", time), ("x-amz-content-sha256", payload), *headers]
                value = signature.authorization(S3, Scope("us-east-1", "s3"), time, method, path, query, signed, payload)
                self.assertEqual(value.rpartition("Signature=")[2], expected)

    def test_paths(self):
        self.assertEqual(signature.canonical_path("/a%20b/%E1%88%B4+", "s3"), "/a%20b/%E1%88%B4%2B")
        self.assertEqual(signature.canonical_path("/a%20b", "dynamodb"), "/a%2520b")

    def test_query(self):
        self.assertEqual(signature.canonical_query("b=2&a=%2F&a=&B=x+y"), "B=x%20y&a=&a=%2F&b=2")

    def test_keys_are_not_shown(self):
        self.assertNotIn("wJal", repr(S3))


if __name__ == "__main__":
    unittest.main()
