//! The verbs, one file a verb or a small family. Names and flags are RocketMQ's.

mod again;
mod allocate_mq;
mod bootstrap;
mod broker;
mod broker_config;
mod broker_consume_stats;
mod cluster_list;
mod config_list;
mod connections;
mod consume_message;
mod consume_mode;
mod consumer_progress;
mod consumer_status;
mod delete_topic;
mod export;
mod ha_status;
mod kv_config;
mod leader;
mod namesrv_config;
mod period;
mod query_cq;
mod query_msg;
mod reset_offset;
mod send_message;
mod send_rt;
mod stats_all;
mod status;
mod sub_group;
mod topic_list;
mod topic_route;
mod topic_status;
mod trace;
mod track;
mod update_topic;
mod walk;
mod write_perm;

use clap::{ArgMatches, Command, FromArgMatches};

use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// Declares the list of verbs once, for help and for running them.
macro_rules! verbs {
    ($($heading:literal: [$($verb:ty),+ $(,)?])+) => {
        /// The commands of all verbs under their headings.
        pub(crate) fn by_heading() -> Vec<(&'static str, Vec<Command>)> {
            vec![$(($heading, vec![$(<$verb as Verb>::command()),+])),+]
        }

        /// Runs the verb of this name.
        pub(crate) async fn dispatch(name: &str, flags: &ArgMatches, context: &Context) -> anyhow::Result<Report> {
            match name {
                $($(<$verb as Verb>::NAME => <$verb>::from_arg_matches(flags)?.run(context).await,)+)+
                other => unreachable!("clap knows no verb {other}"),
            }
        }
    };
}

/// The commands of all verbs.
pub(crate) fn commands() -> Vec<Command> {
    by_heading().into_iter().flat_map(|(_, verbs)| verbs).collect()
}

verbs! {
    "Clusters and nodes": [
        cluster_list::ClusterList,
        leader::Leader,
        status::Status,
        status::Health,
        leader::TransferLeader,
        bootstrap::Bootstrap,
        ha_status::HaStatus,
        broker::BrokerStatus,
        broker_config::GetBrokerConfig,
        broker_config::UpdateBrokerConfig,
        write_perm::WipeWritePerm,
        write_perm::AddWritePerm,
        broker::CleanExpiredCq,
        broker::CleanUnusedTopic,
        broker::DeleteExpiredCommitLog,
    ]
    "Topics": [
        topic_list::TopicList,
        topic_list::TopicClusterList,
        topic_route::TopicRoute,
        topic_status::TopicStatus,
        stats_all::StatsAll,
        update_topic::UpdateTopic,
        config_list::UpdateTopicList,
        update_topic::UpdateTopicPerm,
        delete_topic::DeleteTopic,
        allocate_mq::AllocateMq,
        query_cq::QueryCq,
    ]
    "Consumer groups and clients": [
        consumer_progress::ConsumerProgress,
        broker_consume_stats::BrokerConsumeStats,
        connections::ConsumerConnection,
        consumer_status::ConsumerStatus,
        connections::ProducerConnection,
        connections::Producers,
        sub_group::UpdateSubGroup,
        config_list::UpdateSubGroupList,
        sub_group::DeleteSubGroup,
        sub_group::GetConsumerConfig,
        consume_mode::SetConsumeMode,
        reset_offset::ResetOffsetByTime,
        reset_offset::SkipAccumulatedMessage,
        reset_offset::CloneGroupOffset,
    ]
    "Messages": [
        send_message::SendMessage,
        consume_message::ConsumeMessage,
        consume_message::PrintMsg,
        consume_message::PrintMsgByQueue,
        query_msg::QueryMsgById,
        query_msg::QueryMsgByKey,
        query_msg::QueryMsgByUniqueKey,
        query_msg::QueryMsgByOffset,
        trace::QueryMsgTraceById,
        send_rt::CheckMsgSendRt,
        send_rt::ClusterRt,
        send_rt::SendMsgStatus,
    ]
    "Name servers": [
        namesrv_config::GetNamesrvConfig,
        namesrv_config::UpdateNamesrvConfig,
        kv_config::UpdateKvConfig,
        kv_config::DeleteKvConfig,
        kv_config::UpdateOrderConf,
    ]
    "Exports": [
        export::ExportMetadata,
        export::ExportConfigs,
        export::ExportMetrics,
    ]
}
