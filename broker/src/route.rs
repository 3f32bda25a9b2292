//! Which function does what is asked, on which node, and whether it may have to wait for a disk: one row a request code.
//!
//! A new request of a client or a tool: a function in the folder of its feature, and a row here.

use std::sync::Arc;

use protocol::{Command, RequestCode as code};

use crate::door::exchange::{Answer, Origin};
use crate::node::Node;
use crate::{admin, clients, consumer, pull, send};

/// Does what a request asks, and sees to it that an answer is sent now or later. Must not block, unless
/// its row says that it reads.
pub type Function = fn(&Arc<Node>, Origin, Command, Answer);

/// Who may answer a request code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Any node, from what it holds itself.
    Any,
    /// The leader only; other nodes forward.
    Leader,
}

/// One row.
#[derive(Clone, Copy)]
pub struct Route {
    /// Who may answer.
    pub answers: Answers,
    /// It may have to read a cold file, and has its turn among the readers instead of holding up its connection.
    pub reads: bool,
    /// What does it.
    pub function: Function,
}

impl Route {
    const fn any(function: Function) -> Self {
        Self { answers: Answers::Any, reads: false, function }
    }

    const fn leader(function: Function) -> Self {
        Self { answers: Answers::Leader, reads: false, function }
    }

    const fn reading(self) -> Self {
        Self { reads: true, ..self }
    }
}

/// The row of a request code; `None` for one that is not supported.
pub fn route(request_code: i32) -> Option<Route> {
    let (any, leader) = (Route::any, Route::leader);
    Some(match request_code {
        code::SEND_MESSAGE | code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE => leader(send::requests::send),
        code::CONSUMER_SEND_MSG_BACK => leader(send::requests::send_back),
        code::PULL_MESSAGE | code::LITE_PULL_MESSAGE => any(pull::requests::pull),
        code::HEART_BEAT => any(clients::requests::heartbeat),
        code::UNREGISTER_CLIENT => any(clients::requests::unregister),
        code::CHECK_CLIENT_CONFIG => any(clients::requests::check_config),
        code::GET_CONSUMER_LIST_BY_GROUP => any(clients::requests::consumer_list),
        code::QUERY_CONSUMER_OFFSET => any(consumer::offset::query_consumer_offset),
        code::UPDATE_CONSUMER_OFFSET => leader(consumer::offset::update_consumer_offset),
        code::GET_MAX_OFFSET => leader(consumer::offset::max_offset),
        code::GET_MIN_OFFSET => leader(consumer::offset::min_offset),
        code::SEARCH_OFFSET_BY_TIMESTAMP => leader(consumer::offset::search_by_time).reading(),
        code::GET_EARLIEST_MSG_STORETIME => leader(consumer::offset::earliest_store_time).reading(),
        code::GET_ALL_DELAY_OFFSET => any(consumer::offset::all_delay_offsets),
        code::GET_ALL_CONSUMER_OFFSET => any(consumer::offset::all_consumer_offsets),
        code::INVOKE_BROKER_TO_RESET_OFFSET => leader(consumer::offset::reset).reading(),
        code::VIEW_MESSAGE_BY_ID => any(admin::message_query::view_by_id).reading(),
        code::QUERY_MESSAGE => any(admin::message_query::by_key).reading(),
        code::QUERY_CONSUME_QUEUE => any(admin::message_query::consume_queue).reading(),
        code::LOCK_BATCH_MQ => leader(consumer::lock::lock),
        code::UNLOCK_BATCH_MQ => leader(consumer::lock::unlock),
        code::UPDATE_AND_CREATE_TOPIC => leader(admin::topic::update),
        code::UPDATE_AND_CREATE_TOPIC_LIST => leader(admin::topic::update_list),
        code::DELETE_TOPIC_IN_BROKER => leader(admin::topic::delete),
        code::GET_ALL_TOPIC_CONFIG => any(admin::topic::all),
        code::GET_TOPIC_CONFIG => any(admin::topic::one),
        code::GET_TOPIC_STATS_INFO => leader(admin::topic::stats).reading(),
        code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => any(admin::topic::system_topics),
        code::QUERY_TOPIC_CONSUME_BY_WHO => any(admin::topic::consumed_by),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => leader(admin::group::update),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => leader(admin::group::update_list),
        code::DELETE_SUBSCRIPTIONGROUP => leader(admin::group::delete),
        code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => any(admin::group::all),
        code::GET_SUBSCRIPTIONGROUP_CONFIG => any(admin::group::one),
        code::GET_CONSUMER_CONNECTION_LIST => any(admin::group::consumer_connections),
        code::GET_PRODUCER_CONNECTION_LIST => any(admin::group::producer_connections),
        code::GET_ALL_PRODUCER_INFO => any(admin::group::all_producers),
        code::QUERY_SUBSCRIPTION_BY_CONSUMER => any(admin::group::subscription),
        code::UPDATE_AND_GET_GROUP_FORBIDDEN => leader(admin::group::forbid),
        code::GET_CONSUME_STATS => leader(consumer::progress::of_group).reading(),
        code::GET_BROKER_CONSUME_STATS => leader(consumer::progress::of_broker).reading(),
        code::QUERY_CONSUME_TIME_SPAN => leader(consumer::progress::time_span).reading(),
        code::QUERY_TOPICS_BY_CONSUMER => any(consumer::progress::topics),
        code::QUERY_CORRECTION_OFFSET => leader(consumer::progress::corrections),
        code::CLONE_GROUP_OFFSET => leader(consumer::progress::clone_offsets),
        code::GET_CONSUMER_RUNNING_INFO => any(clients::relay::running_info),
        code::CONSUME_MESSAGE_DIRECTLY => any(clients::relay::consume_directly).reading(),
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => any(clients::relay::consumer_status),
        code::QUERY_ASSIGNMENT => any(consumer::assignment::query),
        code::SET_MESSAGE_REQUEST_MODE => leader(consumer::assignment::set_mode),
        code::GET_ALL_MESSAGE_REQUEST_MODE => any(consumer::assignment::all_modes),
        code::GET_BROKER_RUNTIME_INFO => any(admin::runtime::runtime_info).reading(),
        code::GET_BROKER_CONFIG => any(admin::config::get),
        code::UPDATE_BROKER_CONFIG => leader(admin::config::update),
        code::VIEW_BROKER_STATS_DATA => any(admin::runtime::stats),
        code::GET_BROKER_HA_STATUS => any(admin::runtime::ha_status),
        code::DELETE_EXPIRED_COMMITLOG => any(admin::runtime::delete_expired),
        code::CLEAN_EXPIRED_CONSUMEQUEUE | code::CLEAN_UNUSED_TOPIC => any(admin::runtime::nothing_to_do),
        _ => return None,
    })
}
