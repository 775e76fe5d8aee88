"""Many connections of a container that ask without pause, while policy changes: every answer is held against what the policy was
when the request was sent."""

import contextlib
import ssl
import sys
import threading

from sockets import read_response

ROUND_SECONDS = 60


class Hammer:
    """A request counts as sent after a change if its first byte was written after the change's answer had been read.

    `history` is what requests are to get, by number of changes. A request may get what any of the states gives that held
    between its sending and its answer; if no change was begun meanwhile, that is one, and the request is conclusive.
    """

    def __init__(self, container, address, host, by_scheme, first):
        """`by_scheme`: how many connections of "http" and of "https". `first`: what requests get before any change."""
        self.container = container
        self.address = address
        self.host = host
        self.schemes = [scheme for scheme, count in by_scheme.items() for _ in range(count)]
        self.history = [first]
        self.begun = 0
        self.answered = 0
        self.wrong = []
        self.requests = 0
        self.conclusive = [0] * len(self.schemes)
        self.stopping = False
        self.progress = threading.Condition()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(len(self.schemes))]

    def __enter__(self):
        # The thread that makes the changes must not wait for sixteen others to be done with their turn.
        self.switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        for thread in self.threads:
            thread.start()
        self.await_round()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        sys.setswitchinterval(self.switch_interval)

    def change(self, expected, call):
        """Makes a change, and returns when every connection has had a conclusive answer after it."""
        self.history.append(expected)
        self.begun += 1
        call()
        self.answered = self.begun
        self.await_round()

    def await_round(self):
        with self.progress:
            begin = list(self.conclusive)
            done = self.progress.wait_for(
                lambda: self.wrong or all(now > then for now, then in zip(self.conclusive, begin)), ROUND_SECONDS)
        if self.wrong or not done:
            raise AssertionError(f"after change {self.answered}: {self.wrong or 'a connection gets no answers'}")

    def run(self, number):
        try:
            with contextlib.closing(self.open(self.schemes[number])) as connection:
                while not self.stopping:
                    self.ask(number, connection)
        except Exception as error:  # Whatever it is, the test has to see it.
            with self.progress:
                self.wrong.append(f"connection {number} ({self.schemes[number]}): {error!r}")
                self.progress.notify_all()

    def open(self, scheme):
        connection = self.container.connect(self.address, 443 if scheme == "https" else 80, timeout=30)
        if scheme == "http":
            return connection
        context = ssl.create_default_context(cafile=self.container.ca)
        return context.wrap_socket(connection, server_hostname=self.host)

    def ask(self, number, connection):
        since = self.answered
        connection.sendall(f"GET /{number} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        got = outcome(*read_response(connection))
        until = self.begun
        expected = {of_scheme(state, self.schemes[number]) for state in self.history[since:until + 1]}
        with self.progress:
            self.requests += 1
            if got not in expected:
                self.wrong.append(f"connection {number} ({self.schemes[number]}), after change {since}: {got}, not {expected}")
            self.conclusive[number] += since == until
            self.progress.notify_all()


def of_scheme(state, scheme):
    return state[scheme] if isinstance(state, dict) else state


def outcome(status, headers, body):
    """ "origin", the reason of a denial, or the name of the handler that answered."""
    if "sallyport-reason" in headers:
        return headers["sallyport-reason"]
    if status == 200 and body.startswith("origin "):
        return "origin"
    return body.split('"handler":"')[1].split('"')[0] if '"handler":"' in body else f"status {status}: {body[:80]}"
