"""A name server that sends clients to a follower.

It passes every request on to the real one, and changes only routes: the address under broker id 0, where clients send
to, becomes a follower's. So a client lives with the wrong leader for as long as it likes, and what it asks must be
forwarded.
"""

import json
import socket
import struct
import threading

from .remoting import GET_ROUTE_BY_TOPIC, MASTER, read_exactly, read_lenient


class Detour:
    """Listens until it is closed; `follower` says who is to be shown as master now."""

    def __init__(self, namesrv, follower):
        self.namesrv = namesrv
        self.follower = follower
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """One thread a connection; the suite has few."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """Request by request, until one side hangs up."""
        host, port = self.namesrv.rsplit(":", 1)
        with client, socket.create_connection((host, int(port))) as server:
            try:
                while True:
                    request = read_raw(client)
                    server.sendall(request)
                    if is_oneway(request):
                        continue
                    answer = read_raw(server)
                    client.sendall(self.changed(answer) if code_of(request) == GET_ROUTE_BY_TOPIC else answer)
            except OSError:
                return

    def changed(self, answer):
        """The route with a follower's address under id 0."""
        head_bytes = struct.unpack(">I", answer[4:8])[0] & 0xFFFFFF
        head, body = answer[4:8 + head_bytes], answer[8 + head_bytes:]
        if not body:
            return answer
        route = read_lenient(body)
        for broker in route["brokerDatas"]:
            if MASTER in broker["brokerAddrs"]:
                broker["brokerAddrs"] = {MASTER: self.follower()}
        body = json.dumps(route, separators=(",", ":")).encode()
        return struct.pack(">I", len(head) + len(body)) + head + body

    def close(self):
        """Takes no more connections."""
        self.listener.close()


def read_raw(connection):
    """The next frame, whole."""
    prefix = read_exactly(connection, 4)
    return prefix + read_exactly(connection, struct.unpack(">I", prefix)[0])


def header_of(frame):
    """The JSON header of a frame."""
    head_bytes = struct.unpack(">I", frame[4:8])[0] & 0xFFFFFF
    return json.loads(frame[8:8 + head_bytes])


def code_of(frame):
    """The request code of a frame."""
    return header_of(frame)["code"]


def is_oneway(frame):
    """Whether nobody waits for an answer."""
    return bool(header_of(frame).get("flag", 0) & 2)
