"""Identity tokens: what is verified, and what of the context shows them."""

import base64
import json
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from proxy import Proxy

from sallyport import Handlers, IdentityError, Response, verify_identity

# RFC 8037 appendix A: the key, its public half and its thumbprint.
KEY = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
JWK = {"kty": "OKP", "crv": "Ed25519", "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
       "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "host": "host-7"}
OTHER = {**JWK, "kid": "other", "x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")}
JWKS = {"keys": [OTHER, JWK]}
NOW = 1_800_000_000
CLAIMS = {"iss": "host-7", "sub": "web-1", "aud": "keys", "iat": NOW, "nbf": NOW, "exp": NOW + 300, "class": "agents", "handler": "keys"}
HEADER = {"alg": "EdDSA", "kid": JWK["kid"], "typ": "JWT"}


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(header=HEADER, **claims):
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, {**CLAIMS, **claims}))
    return f"{signed}.{encode(KEY.sign(signed.encode()))}"


class VerifyTest(unittest.TestCase):
    def refused(self, text, jwks=JWKS, audience="keys", now=NOW):
        with self.assertRaises(IdentityError) as refused:
            verify_identity(text, jwks, audience, now=now)
        return str(refused.exception)

    def test_one_that_holds(self):
        self.assertEqual(verify_identity(token(), JWKS, "keys", now=NOW), CLAIMS)
        self.assertEqual(verify_identity(token(), json.dumps(JWKS), "keys", now=NOW + 329), CLAIMS)

    def test_times(self):
        self.assertIn("expired", self.refused(token(), now=NOW + 330))
        self.assertIn("does not hold yet", self.refused(token(), now=NOW - 31))
        self.assertIn("no exp", self.refused(token(exp=True)))
        self.assertIn("no nbf", self.refused(token(nbf=None)))

    def test_whom_it_is_for_and_of(self):
        self.assertIn("it is for 'keys', not for 'other'", self.refused(token(), audience="other"))
        self.assertIn("names the host 'host-8', and the key is of 'host-7'", self.refused(token(iss="host-8")))
        self.assertIn("names no container", self.refused(token(sub=None)))

    def test_keys_and_signatures(self):
        self.assertIn("fetch them again", self.refused(token(), {"keys": [OTHER]}))
        self.assertIn("fetch them again", self.refused(token({**HEADER, "kid": None})))
        self.assertIn("signature is wrong", self.refused(token({**HEADER, "kid": "other"})))
        head, _, signature = token().rpartition(".")
        forged = ".".join([head.split(".")[0], encode(json.dumps({**CLAIMS, "sub": "web-2"}).encode()), signature])
        self.assertIn("signature is wrong", self.refused(forged))
        self.assertIn("signature is wrong", self.refused(f"{head}."))
        for algorithm in ("none", "HS256", "eddsa", None):
            self.assertIn("EdDSA", self.refused(token({**HEADER, "alg": algorithm})))

    def test_what_is_no_token(self):
        self.assertEqual(self.refused(""), "there is no token")
        for text in ("x", "a.b", "a.b.c.d", "é.é.é", "e30.e30", "W10.W10.W10", "!.!.!"):
            with self.subTest(text):
                self.refused(text)


class ContextTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_token_is_of_the_call_and_is_not_printed(self):
        handlers = Handlers()

        @handlers.handler("who")
        async def who(request, context):
            return Response(json.dumps([context.identity_token, "canary" in repr(context)]))

        async with Proxy(handlers) as proxy:
            for metadata, token_ in ((None, ""), ((("sallyport-identity", "canary"),), "canary")):
                stream = await proxy.ask("who", metadata=metadata)
                await stream.expect("respond")
                self.assertEqual(json.loads((await stream.body())[0]), [token_, False])


if __name__ == "__main__":
    unittest.main()
