//! Which function does what is asked, and on which node: one row a request code.
//!
//! A new request of a client or a tool: a function in the folder of its feature, and a row here.

use std::sync::Arc;

use protocol::{Command, RequestCode as code};

use crate::door::exchange::{Answer, Origin};
use crate::node::Node;
use crate::{admin, clients, consumer, pull, send};

/// Does what a request asks, and sees to it that an answer is sent now or later. Must not block.
pub type Function = fn(&Arc<Node>, Origin, Command, Answer);

/// Who may answer a request code, and with which function.
#[derive(Clone, Copy)]
pub enum Route {
    /// Any node, from what it holds itself.
    Any(Function),
    /// The leader only; other nodes forward.
    Leader(Function),
}

/// The row of a request code; `None` for one that is not supported.
pub fn route(request_code: i32) -> Option<Route> {
    use Route::{Any, Leader};
    Some(match request_code {
        code::SEND_MESSAGE | code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE => Leader(send::requests::send),
        code::CONSUMER_SEND_MSG_BACK => Leader(send::requests::send_back),
        code::PULL_MESSAGE | code::LITE_PULL_MESSAGE => Any(pull::requests::pull),
        code::HEART_BEAT => Any(clients::requests::heartbeat),
        code::UNREGISTER_CLIENT => Any(clients::requests::unregister),
        code::CHECK_CLIENT_CONFIG => Any(clients::requests::check_config),
        code::GET_CONSUMER_LIST_BY_GROUP => Any(clients::requests::consumer_list),
        code::QUERY_CONSUMER_OFFSET => Any(consumer::offset::query_consumer_offset),
        code::UPDATE_CONSUMER_OFFSET => Leader(consumer::offset::update_consumer_offset),
        code::GET_MAX_OFFSET => Leader(consumer::offset::max_offset),
        code::GET_MIN_OFFSET => Leader(consumer::offset::min_offset),
        code::SEARCH_OFFSET_BY_TIMESTAMP => Leader(consumer::offset::search_by_time),
        code::GET_EARLIEST_MSG_STORETIME => Leader(consumer::offset::earliest_store_time),
        code::GET_ALL_DELAY_OFFSET => Any(consumer::offset::all_delay_offsets),
        code::GET_ALL_CONSUMER_OFFSET => Any(consumer::offset::all_consumer_offsets),
        code::INVOKE_BROKER_TO_RESET_OFFSET => Leader(consumer::offset::reset),
        code::VIEW_MESSAGE_BY_ID => Any(admin::message_query::view_by_id),
        code::QUERY_MESSAGE => Any(admin::message_query::by_key),
        code::QUERY_CONSUME_QUEUE => Any(admin::message_query::consume_queue),
        code::LOCK_BATCH_MQ => Leader(consumer::lock::lock),
        code::UNLOCK_BATCH_MQ => Leader(consumer::lock::unlock),
        code::UPDATE_AND_CREATE_TOPIC => Leader(admin::topic::update),
        code::UPDATE_AND_CREATE_TOPIC_LIST => Leader(admin::topic::update_list),
        code::DELETE_TOPIC_IN_BROKER => Leader(admin::topic::delete),
        code::GET_ALL_TOPIC_CONFIG => Any(admin::topic::all),
        code::GET_TOPIC_CONFIG => Any(admin::topic::one),
        code::GET_TOPIC_STATS_INFO => Leader(admin::topic::stats),
        code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => Any(admin::topic::system_topics),
        code::QUERY_TOPIC_CONSUME_BY_WHO => Any(admin::topic::consumed_by),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => Leader(admin::group::update),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => Leader(admin::group::update_list),
        code::DELETE_SUBSCRIPTIONGROUP => Leader(admin::group::delete),
        code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => Any(admin::group::all),
        code::GET_SUBSCRIPTIONGROUP_CONFIG => Any(admin::group::one),
        code::GET_CONSUMER_CONNECTION_LIST => Any(admin::group::consumer_connections),
        code::GET_PRODUCER_CONNECTION_LIST => Any(admin::group::producer_connections),
        code::GET_ALL_PRODUCER_INFO => Any(admin::group::all_producers),
        code::QUERY_SUBSCRIPTION_BY_CONSUMER => Any(admin::group::subscription),
        code::UPDATE_AND_GET_GROUP_FORBIDDEN => Leader(admin::group::forbid),
        code::GET_CONSUME_STATS => Leader(consumer::progress::of_group),
        code::GET_BROKER_CONSUME_STATS => Leader(consumer::progress::of_broker),
        code::QUERY_CONSUME_TIME_SPAN => Leader(consumer::progress::time_span),
        code::QUERY_TOPICS_BY_CONSUMER => Any(consumer::progress::topics),
        code::QUERY_CORRECTION_OFFSET => Leader(consumer::progress::corrections),
        code::CLONE_GROUP_OFFSET => Leader(consumer::progress::clone_offsets),
        code::GET_CONSUMER_RUNNING_INFO => Any(clients::relay::running_info),
        code::CONSUME_MESSAGE_DIRECTLY => Any(clients::relay::consume_directly),
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => Any(clients::relay::consumer_status),
        code::QUERY_ASSIGNMENT => Any(consumer::assignment::query),
        code::SET_MESSAGE_REQUEST_MODE => Leader(consumer::assignment::set_mode),
        code::GET_ALL_MESSAGE_REQUEST_MODE => Any(consumer::assignment::all_modes),
        code::GET_BROKER_RUNTIME_INFO => Any(admin::runtime::runtime_info),
        code::GET_BROKER_CONFIG => Any(admin::config::get),
        code::UPDATE_BROKER_CONFIG => Leader(admin::config::update),
        code::VIEW_BROKER_STATS_DATA => Any(admin::runtime::stats),
        code::GET_BROKER_HA_STATUS => Any(admin::runtime::ha_status),
        code::DELETE_EXPIRED_COMMITLOG => Any(admin::runtime::delete_expired),
        code::CLEAN_EXPIRED_CONSUMEQUEUE | code::CLEAN_UNUSED_TOPIC => Any(admin::runtime::nothing_to_do),
        _ => return None,
    })
}
