"""The verbs that are tried, in order. Each leaves the group as the ones after it need it."""

from .brokers import BROKER_VERBS
from .groups import GROUP_VERBS
from .last import LAST_VERBS
from .messages import MESSAGE_VERBS
from .not_built import NOT_BUILT_VERBS
from .topics import TOPIC_VERBS

VERBS = [*TOPIC_VERBS, *MESSAGE_VERBS, *GROUP_VERBS, *BROKER_VERBS, *NOT_BUILT_VERBS, *LAST_VERBS]


def verbs_of(version):
    """The verbs of one version, in order."""
    return [verb for verb in VERBS if version[0] in verb.versions]
