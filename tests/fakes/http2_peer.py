"""One side of an HTTP/2 connection with one stream, a step at a time (python3-h2)."""

import contextlib

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings


class Http2Peer:
    """What comes is acknowledged when it is taken, so that a side that takes nothing stops the other. EOFError where the other
    side ends too early."""

    def __init__(self, connection, client):
        self.connection = connection
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        if not client:
            # WebSockets (RFC 8441).
            self.h2.local_settings = Settings(client=False, initial_values={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self.stream = 1 if client else None
        self.heads = []
        self.body = b""
        self.unacknowledged = 0
        self.ended = False
        self.pongs = 0
        self.gathers = False
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        if not self.gathers:
            self.connection.sendall(self.h2.data_to_send())

    @contextlib.contextmanager
    def gathered(self):
        """What is sent meanwhile goes out in one write."""
        self.gathers = True
        yield
        self.gathers = False
        self.flush()

    def fill(self):
        received = self.connection.recv(65536)
        if not received:
            raise EOFError("the other side has ended")
        ended_by = None
        for event in self.h2.receive_data(received):
            if isinstance(event, (events.RequestReceived, events.ResponseReceived, events.InformationalResponseReceived,
                                  events.TrailersReceived)):
                if event.stream_id != self.stream:
                    self.stream, self.ended = event.stream_id, False
                self.heads.append(dict(event.headers))
            elif isinstance(event, events.DataReceived):
                self.body += event.data
                self.unacknowledged += event.flow_controlled_length
            elif isinstance(event, events.StreamEnded):
                self.ended = True
            elif isinstance(event, events.PingAckReceived):
                self.pongs += 1
            elif isinstance(event, (events.StreamReset, events.ConnectionTerminated)):
                ended_by = event  # Others may have come together with it.
        if ended_by is not None:
            raise EOFError(f"ended by {ended_by}")
        self.flush()

    def send_head(self, *fields, end=False):
        self.h2.send_headers(self.stream, fields, end_stream=end)
        self.flush()

    def send_request(self, host, method="POST", end=False, fields=()):
        self.send_head((":method", method), (":scheme", "https"), (":authority", host), (":path", "/stream"), *fields, end=end)

    def send_websocket_request(self, host, path="/chat"):
        self.send_head((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", host), (":path", path),
                       ("sec-websocket-version", "13"))

    def send_answer(self, status=200):
        self.send_head((":status", str(status)), ("content-type", "text/event-stream"))

    def send_continue(self):
        self.send_head((":status", "100"))

    def read_status(self):
        return int(self.read_head()[":status"])

    def refuse(self, error):
        """RST_STREAM."""
        self.h2.reset_stream(self.stream, error)
        self.flush()

    def go_away(self, error=0):
        """As if no stream had been processed."""
        self.h2.close_connection(error, last_stream_id=0)
        self.flush()

    def await_read(self):
        """Until the other side has read all that was sent."""
        pongs = self.pongs
        self.h2.ping(b"read it?")
        self.flush()
        while self.pongs == pongs:
            self.fill()

    def read_head(self):
        while not self.heads:
            self.fill()
        return self.heads.pop(0)

    def send_piece(self, data):
        """As the other side's window lets it."""
        while data:
            room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.fill()
                continue
            self.h2.send_data(self.stream, data[:room])
            data = data[room:]
            self.flush()

    def read_piece(self, count):
        while len(self.body) < count:
            if self.ended:
                raise EOFError("the body has ended")
            self.acknowledge()
            self.fill()
        taken, self.body = self.body[:count], self.body[count:]
        if not self.body:
            self.acknowledge()
        return taken

    def acknowledge(self):
        if self.unacknowledged:
            self.h2.acknowledge_received_data(self.unacknowledged, self.stream)
            self.unacknowledged = 0
            self.flush()

    def next_stream(self):
        """For another request of the same connection."""
        self.stream, self.ended = self.h2.get_next_available_stream_id(), False

    def end(self):
        self.h2.end_stream(self.stream)
        self.flush()

    def read_end(self):
        """The trailers' fields, if there are any."""
        while not self.ended:
            self.fill()
        return self.heads.pop(0) if self.heads else {}
