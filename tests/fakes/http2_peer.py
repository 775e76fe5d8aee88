"""One side of an HTTP/2 connection with one stream, a step at a time (python3-h2)."""

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection


class Http2Peer:
    """What comes is acknowledged when it is taken, so that a side that takes nothing stops the other. EOFError where the other
    side ends too early."""

    def __init__(self, connection, client):
        self.connection = connection
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        self.stream = 1 if client else None
        self.heads = []
        self.body = b""
        self.unacknowledged = 0
        self.ended = False
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.connection.sendall(self.h2.data_to_send())

    def fill(self):
        received = self.connection.recv(65536)
        if not received:
            raise EOFError("the other side has ended")
        for event in self.h2.receive_data(received):
            if isinstance(event, (events.RequestReceived, events.ResponseReceived, events.InformationalResponseReceived,
                                  events.TrailersReceived)):
                self.stream = event.stream_id
                self.heads.append(dict(event.headers))
            elif isinstance(event, events.DataReceived):
                self.body += event.data
                self.unacknowledged += event.flow_controlled_length
            elif isinstance(event, events.StreamEnded):
                self.ended = True
            elif isinstance(event, (events.StreamReset, events.ConnectionTerminated)):
                raise EOFError(f"ended by {event}")
        self.flush()

    def send_head(self, *fields, end=False):
        self.h2.send_headers(self.stream, fields, end_stream=end)
        self.flush()

    def send_request(self, host, method="POST", end=False):
        self.send_head((":method", method), (":scheme", "https"), (":authority", host), (":path", "/stream"), end=end)

    def send_answer(self):
        self.send_head((":status", "200"), ("content-type", "text/event-stream"))

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

    def end(self):
        self.h2.end_stream(self.stream)
        self.flush()

    def read_end(self):
        """The trailers' fields, if there are any."""
        while not self.ended:
            self.fill()
        return self.heads.pop(0) if self.heads else {}
