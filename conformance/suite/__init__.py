"""The conformance suite: unmodified RocketMQ clients against a Trireme group."""
