"""As much of the remoting protocol as the suite itself needs: one request, one answer, on a connection of its own."""

import json
import re
import socket
import struct

UPDATE_AND_CREATE_TOPIC = 17
GET_BROKER_CLUSTER_INFO = 106
GET_ROUTE_BY_TOPIC = 105
QUERY_CONSUMER_OFFSET = 14
SUCCESS = 0
MASTER = "0"
RESPONSE = 1


class Refused(ValueError):
    """The server answered, but not with success."""


def call(address, code, fields=None, body=b"", timeout_s=5):
    """Sends one request and returns the body of its answer; raises Refused on any response code but 0."""
    return exchange(address, code, fields, body, timeout_s)[1]


def exchange(address, code, fields=None, body=b"", timeout_s=5):
    """Sends one request and returns the fields and the body of its answer; raises Refused as `call` does."""
    header = {"code": code, "language": "PYTHON", "version": 479, "opaque": 1, "flag": 0,
              "serializeTypeCurrentRPC": "JSON", "extFields": fields or {}}
    head = json.dumps(header).encode()
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">II", 4 + len(head) + len(body), len(head)) + head + body)
        answer, answer_body = None, b""
        # The broker may ask something itself on this connection before it answers.
        while answer is None or not answer["flag"] & RESPONSE:
            answer, answer_body = read_frame(connection)
    if answer["code"] != SUCCESS:
        raise Refused(f"{address} answered request {code} with {answer['code']}: {answer.get('remark')}")
    return answer.get("extFields", {}), answer_body


def read_frame(connection):
    """The header and the body of the next frame."""
    frame = read_exactly(connection, struct.unpack(">I", read_exactly(connection, 4))[0])
    head_bytes = struct.unpack(">I", frame[:4])[0] & 0xFFFFFF
    return json.loads(frame[4:4 + head_bytes]), frame[4 + head_bytes:]


def read_exactly(connection, count):
    """Reads `count` bytes or raises ConnectionError."""
    received = bytearray()
    while len(received) < count:
        piece = connection.recv(count - len(received))
        if not piece:
            raise ConnectionError(f"closed after {len(received)} of {count} bytes")
        received += piece
    return bytes(received)


def create_topic(namesrv, topic, queues=4):
    """What `mqadmin updateTopic` does: asks the leader of every group for the topic."""
    for address in masters(namesrv):
        call(address, UPDATE_AND_CREATE_TOPIC, {
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": str(queues), "writeQueueNums": str(queues),
            "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false"})


def masters(namesrv):
    """The address of the broker with id 0 of each group that has one now."""
    brokers = read_lenient(call(namesrv, GET_BROKER_CLUSTER_INFO)).get("brokerAddrTable", {})
    return [broker["brokerAddrs"][MASTER] for broker in brokers.values() if MASTER in broker["brokerAddrs"]]


def route(namesrv, topic):
    """The route of `topic` as the name server shows it."""
    return read_lenient(call(namesrv, GET_ROUTE_BY_TOPIC, {"topic": topic}))


def consumed(namesrv, topic, group):
    """How many messages of `topic` lie before the offsets that `group` has stored."""
    total = 0
    for queues in route(namesrv, topic)["queueDatas"]:
        for queue in range(queues["readQueueNums"]):
            fields, _ = exchange(masters(namesrv)[0], QUERY_CONSUMER_OFFSET,
                                 {"consumerGroup": group, "topic": topic, "queueId": str(queue)})
            total += int(fields["offset"])
    return total


def read_lenient(text):
    """JSON whose numeric map keys may stand without quotes, as Java's own name server writes them."""
    return json.loads(re.sub(r"([{,])(\d+):", r'\1"\2":', text.decode()))
