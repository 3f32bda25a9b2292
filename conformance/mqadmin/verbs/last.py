"""What ends things, and what the tool itself refuses."""

from verb import CLUSTER, KEY, TOPIC, Verb, both, on_leader, rows, says, says_not, sent

from .words import ABSENT_GROUP, ABSENT_TOPIC, FIVE, FOUR, NOWHERE

LAST_VERBS = [
    Verb("getNamesrvConfig, absent", ["getNamesrvConfig", "-n", NOWHERE], refused="connect to"),
    Verb("queryMsgById, sent again", lambda story: ["queryMsgById", "-t", TOPIC, "-i", story.offset_id, "-s", "true"],
         says("SEND_OK"), versions=FIVE, shape="words"),
    Verb("queryMsgById, sent again", lambda story: ["queryMsgById", "-i", story.offset_id, "-s", "true"],
         says("SEND_OK"), versions=FOUR, shape="words"),
    Verb("queryMsgByKey of both", ["queryMsgByKey", "-t", TOPIC, "-k", KEY], rows(r"^[0-9A-F]{32}", 2), within_s=5,
         shape="words"),
    Verb("deleteSubGroup", ["deleteSubGroup", "-c", CLUSTER, "-g", "AdminClone", "-r", "true"], says("success")),
    Verb("deleteSubGroup, absent", ["deleteSubGroup", "-c", CLUSTER, "-g", ABSENT_GROUP]),
    Verb("deleteSubGroup -b", on_leader("deleteSubGroup", "-g", "AdminGroupFlags"), says("success")),
    Verb("deleteTopic", ["deleteTopic", "-c", CLUSTER, "-t", "AdminOther"], says("success")),
    Verb("topicRoute after deleteTopic", ["topicRoute", "-t", "AdminOther"],
         refused="CODE: 17  DESC: No topic route info in name server for the topic: AdminOther"),
    Verb("deleteTopic, absent", ["deleteTopic", "-c", CLUSTER, "-t", ABSENT_TOPIC]),
    Verb("deleteTopic, system topic", ["deleteTopic", "-c", CLUSTER, "-t", "TBW102"],
         refused="CODE: 29  DESC: The topic[TBW102] is conflict with system topic."),
    Verb("deleteTopic, absent cluster", ["deleteTopic", "-c", "NoCluster", "-t", TOPIC]),
    Verb("topicList after deleteTopic", ["topicList"], both(says(TOPIC), says_not("AdminOther"))),
    Verb("sendMessage -m", ["sendMessage", "-t", "AdminTraced", "-p", "one", "-m", "true"], sent),
    Verb("an unknown verb", ["noSuchVerb"]),
    Verb("a verb without its words", ["updateTopic"], refused="usage: mqadmin updateTopic"),
]
