//! The flags of RocketMQ's own tool, held against ours.

use anyhow::{Context as _, ensure};
use clap::{Arg, Command};

/// Verb, and its flags in RocketMQ 5.3.3: short name, `=` if a value follows and `/` if none does, long name with `_` for
/// a blank. 4.9.8 has no flag that is not here. Source: `buildCommandlineOptions` of RocketMQ's `SubCommand`s.
const FLAGS: &[(&str, &str)] = &[
    ("addWritePerm", "b=brokerName"),
    ("allocateMQ", "t=topic i=ipList"),
    ("brokerConsumeStats", "b=brokerAddr t=timeoutMillis l=level o=order"),
    ("brokerStatus", "b=brokerAddr c=clusterName"),
    ("checkMsgSendRT", "t=topic a=amount s=size"),
    ("cleanExpiredCQ", "b=brokerAddr c=cluster"),
    ("cleanUnusedTopic", "b=brokerAddr c=cluster"),
    ("cloneGroupOffset", "s=srcGroup d=destGroup t=topic o=offline"),
    ("clusterList", "m/moreStats i=interval c=clusterName"),
    ("clusterRT", "a=amount s=size c=cluster p=print_log m=machine_room i=interval"),
    (
        "consumeMessage",
        "t=topic b=brokerName i=queueId o=offset g=consumerGroup s=beginTimestamp e=endTimestamp c=MessageNumber",
    ),
    ("consumerConnection", "g=consumerGroup b=brokerAddr"),
    ("consumerProgress", "g=groupName t=topicName s=showClientIP c=cluster"),
    ("consumerStatus", "g=consumerGroup i=clientId b=brokerAddr s/jstack"),
    ("deleteExpiredCommitLog", "b=brokerAddr c=cluster"),
    ("deleteKvConfig", "s=namespace k=key"),
    ("deleteSubGroup", "b=brokerAddr c=clusterName g=groupName r=removeOffset"),
    ("deleteTopic", "t=topic c=clusterName"),
    ("exportConfigs", "c=clusterName f=filePath"),
    ("exportMetadata", "c=clusterName b=brokerAddr f=filePath t/topic g/subscriptionGroup s/specialTopic"),
    ("exportMetrics", "c=clusterName f=filePath"),
    ("getBrokerConfig", "b=brokerAddr c=clusterName"),
    ("getConsumerConfig", "g=groupName"),
    ("haStatus", "c=clusterName b=brokerAddr i=interval"),
    (
        "printMsg",
        "t=topic c=charsetName s=subExpression b=beginTimestamp e=endTimestamp d=printBody l=lmqParentTopic",
    ),
    (
        "printMsgByQueue",
        "t=topic a=brokerName i=queueId c=charsetName s=subExpression b=beginTimestamp e=endTimestamp p=print_msg d=printBody f=calculate",
    ),
    ("producer", "b=broker"),
    ("producerConnection", "g=producerGroup t=topic"),
    ("queryCq", "t=topic q=queue i=index c=count b=broker g=consumer"),
    (
        "queryMsgById",
        "t=topic i=msgId g=consumerGroup d=clientId s=sendMessage u=unitName f=bodyFormat c=cluster",
    ),
    ("queryMsgByKey", "t=topic k=msgKey b=beginTimestamp e=endTimestamp m=maxNum c=cluster"),
    ("queryMsgByOffset", "t=topic b=brokerName i=queueId o=offset f=bodyFormat"),
    ("queryMsgByUniqueKey", "i=msgId g=consumerGroup d=clientId t=topic a/showAll c=cluster"),
    ("queryMsgTraceById", "i=msgId t=traceTopic b=beginTimestamp e=endTimestamp c=maxNum"),
    ("resetOffsetByTime", "g=group t=topic s=timestamp f=force c/cplus b=broker q=queue o=offset c=cluster"),
    ("sendMessage", "t=topic p=body k=key c=tags b=broker i=qid m=msgTraceEnable"),
    ("sendMsgStatus", "b=brokerName s=messageSize c=count"),
    ("setConsumeMode", "b=brokerAddr c=clusterName t=topicName g=groupName m=mode q=popShareQueueNum"),
    ("skipAccumulatedMessage", "g=group t=topic f=force c=cluster"),
    ("statsAll", "a/activeTopic t=topic"),
    ("topicClusterList", "t=topic"),
    ("topicList", "c/clusterModel"),
    ("topicRoute", "t=topic l/list"),
    ("topicStatus", "t=topic c=cluster"),
    ("updateBrokerConfig", "b=brokerAddr c=clusterName a=updateAllBroker k=key v=value"),
    ("updateKvConfig", "s=namespace k=key v=value"),
    ("updateNamesrvConfig", "k=key v=value"),
    ("updateOrderConf", "t=topic m=method v=orderConf"),
    (
        "updateSubGroup",
        "b=brokerAddr c=clusterName g=groupName s=consumeEnable m=consumeFromMinEnable d=consumeBroadcastEnable o=consumeMessageOrderly q=retryQueueNums r=retryMaxTimes p=groupRetryPolicy i=brokerId w=whichBrokerWhenConsumeSlowly a=notifyConsumerIdsChanged =attributes",
    ),
    ("updateSubGroupList", "b=brokerAddr c=clusterName f=filename"),
    (
        "updateTopic",
        "b=brokerAddr c=clusterName a=attributes t=topic r=readQueueNums w=writeQueueNums o=order u=unit s=hasUnitSub p=perm",
    ),
    ("updateTopicList", "b=brokerAddr c=clusterName f=filename"),
    ("updateTopicPerm", "b=brokerAddr c=clusterName t=topic p=perm"),
    ("wipeWritePerm", "b=brokerName"),
];

/// Whether one flag of the table is understood.
fn understands(verb: &Command, flag: &str) -> anyhow::Result<()> {
    let at = flag.find(['=', '/']).context("neither = nor /")?;
    let (short, long) = (flag[..at].chars().next(), flag[at + 1..].replace('_', " "));
    let has_long = |arg: &&Arg| {
        arg.get_long() == Some(&long)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long.as_str()))
    };
    let arg = verb.get_arguments().find(has_long).context("no such long name")?;
    ensure!(arg.get_short() == short, "its short name is {:?}", arg.get_short());
    let counts = arg.get_num_args().unwrap_or_else(|| usize::from(arg.get_action().takes_values()).into());
    let count = usize::from(&flag[at..=at] == "=");
    ensure!(counts.min_values() <= count && count <= counts.max_values(), "it takes {counts} values");
    Ok(())
}

#[test]
fn every_flag_of_rocketmq_is_understood() {
    let verbs = crate::verbs::commands();
    for (name, flags) in FLAGS {
        let verb = verbs.iter().find(|verb| verb.get_name() == *name);
        let verb = verb.unwrap_or_else(|| panic!("no verb {name}"));
        for flag in flags.split(' ') {
            understands(verb, flag).unwrap_or_else(|error| panic!("{name} {flag}: {error}"));
        }
    }
}
