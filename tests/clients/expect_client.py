"""Uploads as botocore does (botocore/awsrequest.py): the head with "Expect: 100-continue", up to a second of waiting, then by
what came: the body after 100 (Continue) or after nothing, or the final answer without having sent the body.

  expect_client.py URL SIZE      prints "100" or "nothing", the answer's status and its body
"""

import functools
import http.client
import select
import sys
import urllib.parse

PIECE = bytes(1 << 16)


class Response(http.client.HTTPResponse):
    """An answer whose first line has been read."""

    def __init__(self, *arguments, status_tuple, **options):
        super().__init__(*arguments, **options)
        self.status_tuple = status_tuple

    def _read_status(self):
        return self.status_tuple


class Connection(http.client.HTTPSConnection):
    """`continued`: whether the origin asked for the body."""

    continued = None
    answered = False

    def _send_output(self, message_body=None, *_, **__):
        head = b"\r\n".join([*self._buffer, b"", b""])
        self._buffer.clear()
        self.send(head)
        if select.select([self.sock], [], [], 1)[0]:
            return self.take_answer(message_body)
        self.continued = False
        return self.send_body(message_body)

    def take_answer(self, body):
        with self.sock.makefile("rb", 0) as file:
            version, status, reason = file.readline().split(None, 2)
            if status == b"100":
                while file.readline() != b"\r\n":
                    pass
                self.continued = True
                return self.send_body(body)
        self.answered = True
        line = (version.decode(), int(status), reason.decode())
        self.response_class = functools.partial(Response, status_tuple=line)
        return None

    def send_body(self, size):
        for _ in range(size // len(PIECE)):
            self.send(PIECE)

    def send(self, data):
        if not self.answered:
            super().send(data)


def main():
    url, size = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2])
    connection = Connection(url.netloc, timeout=60)
    connection.putrequest("PUT", url.path)
    connection.putheader("Content-Length", str(size))
    connection.putheader("Expect", "100-continue")
    try:
        connection.endheaders(size)
    except BrokenPipeError:
        pass  # As urllib3 does: whoever takes no more has answered.
    response = connection.getresponse()
    print("100" if connection.continued else "nothing", response.status, response.read().decode())


if __name__ == "__main__":
    main()
