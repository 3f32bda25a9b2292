"""The conformance program of the two Python clients: `rocketmq` and `rocketmq-python-cvs`.

Both install a package named `rocketmq` over a C++ core, so one file serves both; which one it meets is decided by
the interpreter that runs it. Command line and output lines are described in conformance/README.md.
"""

import argparse
import sys
import threading
import time

from rocketmq.client import Message, Producer, PullConsumer, PushConsumer, SendStatus

PROPERTY = ("city", "上海")
RETRY_PAUSE_S = 0.1

line_lock = threading.Lock()


def say(*words):
    """One protocol line in one write, so that lines of several threads do not mix."""
    with line_lock:
        sys.stdout.write(" ".join(str(word) for word in words) + "\n")
        sys.stdout.flush()


def one_line(error):
    """An error as one word-separated line."""
    return " ".join(str(error).split()) or type(error).__name__


def body_of(number):
    return f"第 {number} 号消息：你好，世界 🚣"


def tag_of(number):
    return "TagA" if number % 2 == 0 else "TagB"


def key_of(number):
    return f"key-{number}"


def message_of(topic, number):
    message = Message(topic)
    message.set_keys(key_of(number))
    message.set_tags(tag_of(number))
    message.set_body(body_of(number))
    message.set_property(*PROPERTY)
    return message


def text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else (value or "")


def report(message):
    """Prints what arrived: RECV, and BAD beside it when the content is not what was sent."""
    tag, key, body = text(message.tags), text(message.keys), text(message.body)
    number = int(key.rpartition("-")[2]) if key.startswith("key-") else -1
    say("RECV", number, tag, key, message.queue_id, message.queue_offset)
    if number < 0:
        say("BAD", number, f"key {key!r}")
    elif body != body_of(number):
        say("BAD", number, f"body {body!r}")
    elif tag != tag_of(number):
        say("BAD", number, f"tag {tag!r}")
    elif text(message.get_property(PROPERTY[0])) != PROPERTY[1]:
        say("BAD", number, f"property {PROPERTY[0]} {text(message.get_property(PROPERTY[0]))!r}")


def wait_for_stop():
    """Returns when the runner says STOP or has gone away."""
    for line in sys.stdin:
        if line.strip() == "STOP":
            return


def send(options):
    producer = Producer(options.group)
    producer.set_namesrv_addr(options.namesrv)
    producer.start()
    say("READY")
    give_up_at = time.monotonic() + options.give_up_s
    number = options.first
    for _ in range(options.sync):
        send_until_acked(producer, options.topic, number, give_up_at)
        number += 1
        if options.interval_ms:
            time.sleep(options.interval_ms / 1000)
    for _ in range(options.oneway):
        try:
            producer.send_oneway(message_of(options.topic, number))
            say("SENT", number)
        except Exception as error:
            say("FAIL", number, one_line(error))
        number += 1
    send_async(producer, options.topic, range(number, number + options.asynchronous), give_up_at)
    producer.shutdown()


def send_until_acked(producer, topic, number, give_up_at):
    while True:
        try:
            result = producer.send_sync(message_of(topic, number))
            if result.status == SendStatus.OK:
                say("ACK", number, result.msg_id, "-", result.offset)
                return
            say("FAIL", number, result.status.name)
        except Exception as error:
            say("FAIL", number, one_line(error))
        if time.monotonic() > give_up_at:
            return
        time.sleep(RETRY_PAUSE_S)


def send_async(producer, topic, numbers, give_up_at):
    answered = threading.Semaphore(0)
    sent = []
    for number in numbers:
        def on_success(result, number=number):
            say("ACK", number, result.msg_id, "-", result.offset)
            answered.release()

        def on_exception(error, number=number):
            say("FAIL", number, one_line(error))
            answered.release()

        message = message_of(topic, number)
        sent.append(message)  # the core reads it after the call has returned
        producer.send_async(message, on_success, on_exception)
    for _ in sent:
        if not answered.acquire(timeout=max(0, give_up_at - time.monotonic())):
            return


def push(options):
    consumer = PushConsumer(options.group)
    consumer.set_namesrv_addr(options.namesrv)
    consumer.subscribe(options.topic, report, options.tag)
    consumer.start()
    say("READY")
    wait_for_stop()
    consumer.shutdown()


def pull(options):
    consumer = PullConsumer(options.group)
    consumer.set_namesrv_addr(options.namesrv)
    consumer.start()
    say("READY")
    stop = threading.Event()
    threading.Thread(target=lambda: (wait_for_stop(), stop.set()), daemon=True).start()
    while not stop.is_set():
        try:
            for message in consumer.pull(options.topic, options.tag):
                report(message)
        except Exception as error:
            say("FAIL", -1, one_line(error))
        stop.wait(RETRY_PAUSE_S)
    consumer.shutdown()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["send", "push", "pull"])
    parser.add_argument("--namesrv", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--tag", default="*")
    parser.add_argument("--poll-ms", type=int, default=3000, help="taken and ignored: the C interface cannot set it")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sync", type=int, default=0)
    parser.add_argument("--oneway", type=int, default=0)
    parser.add_argument("--async", type=int, default=0, dest="asynchronous")
    parser.add_argument("--interval-ms", type=int, default=0)
    parser.add_argument("--give-up-s", type=int, default=60)
    options = parser.parse_args()
    {"send": send, "push": push, "pull": pull}[options.role](options)
    say("DONE")


if __name__ == "__main__":
    main()
