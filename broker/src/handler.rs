//! The door for clients: connections come and go here, and every request finds its processor.

use std::sync::Arc;

use protocol::{Command, RequestCode as code, ResponseCode};
use remoting::{Connection, Handler, Responder};
use tracing::debug;

use crate::exchange::{Answer, Origin, refuse};
use crate::processor;
use crate::server::Broker;

/// Takes requests from a remoting server into the broker.
pub struct ClientDoor(pub Arc<Broker>);

impl Handler for ClientDoor {
    fn on_request(&self, connection: &Arc<Connection>, request: Command, responder: Responder) {
        let running = self.0.rpc_times.begin(request.code, request.is_oneway());
        dispatch(&self.0, Origin::direct(connection), request, Answer::to_client(responder, running));
    }

    fn on_open(&self, connection: &Arc<Connection>) {
        self.0.lock_connections().insert(connection.id(), Arc::clone(connection));
    }

    fn on_close(&self, connection: &Arc<Connection>) {
        self.0.lock_connections().remove(&connection.id());
        processor::client::closed(&self.0, connection.id());
    }
}

/// A processor: takes the request, and sees to it that an answer is sent now or later. Must not block.
pub type Processor = fn(&Arc<Broker>, Origin, Command, Answer);

/// Who may answer a request code.
#[derive(Clone, Copy)]
enum Route {
    /// Any node, from what it holds itself.
    Local(Processor),
    /// The leader only; other nodes forward.
    Leader(Processor),
}

/// Takes one request to its processor.
pub fn dispatch(broker: &Arc<Broker>, origin: Origin, request: Command, answer: Answer) {
    match route(request.code) {
        Some(Route::Local(processor)) => processor(broker, origin, request, answer),
        Some(Route::Leader(processor)) if broker.is_ready() => processor(broker, origin, request, answer),
        Some(Route::Leader(processor)) => {
            let broker = Arc::clone(broker);
            tokio::spawn(broker.answer_elsewhere(
                origin,
                request,
                answer,
                move |broker, origin, request, answer| {
                    processor(&broker, origin, request, answer);
                },
            ));
        }
        None => {
            debug!(code = request.code, client = %origin.client, "request code not supported");
            let remark = format!(" request type {} not supported", request.code);
            answer.send(refuse(&request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark));
        }
    }
}

fn route(request_code: i32) -> Option<Route> {
    use Route::{Leader, Local};
    use processor::{
        admin, assignment, client, config_admin, group_admin, lock, message_query, offset, progress, pull,
        relay, send, send_back, topic_admin,
    };
    Some(match request_code {
        code::SEND_MESSAGE | code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE => Leader(send::send),
        code::CONSUMER_SEND_MSG_BACK => Leader(send_back::send_back),
        code::PULL_MESSAGE | code::LITE_PULL_MESSAGE => Local(pull::pull),
        code::HEART_BEAT => Local(client::heartbeat),
        code::UNREGISTER_CLIENT => Local(client::unregister),
        code::CHECK_CLIENT_CONFIG => Local(client::check_config),
        code::GET_CONSUMER_LIST_BY_GROUP => Local(client::consumer_list),
        code::QUERY_CONSUMER_OFFSET => Local(offset::query_consumer_offset),
        code::UPDATE_CONSUMER_OFFSET => Leader(offset::update_consumer_offset),
        code::GET_MAX_OFFSET => Leader(offset::max_offset),
        code::GET_MIN_OFFSET => Leader(offset::min_offset),
        code::SEARCH_OFFSET_BY_TIMESTAMP => Leader(offset::search_by_time),
        code::GET_EARLIEST_MSG_STORETIME => Leader(offset::earliest_store_time),
        code::GET_ALL_DELAY_OFFSET => Local(offset::all_delay_offsets),
        code::GET_ALL_CONSUMER_OFFSET => Local(offset::all_consumer_offsets),
        code::INVOKE_BROKER_TO_RESET_OFFSET => Leader(offset::reset),
        code::VIEW_MESSAGE_BY_ID => Local(message_query::view_by_id),
        code::QUERY_MESSAGE => Local(message_query::by_key),
        code::QUERY_CONSUME_QUEUE => Local(message_query::consume_queue),
        code::LOCK_BATCH_MQ => Leader(lock::lock),
        code::UNLOCK_BATCH_MQ => Leader(lock::unlock),
        code::UPDATE_AND_CREATE_TOPIC => Leader(topic_admin::update),
        code::UPDATE_AND_CREATE_TOPIC_LIST => Leader(topic_admin::update_list),
        code::DELETE_TOPIC_IN_BROKER => Leader(topic_admin::delete),
        code::GET_ALL_TOPIC_CONFIG => Local(topic_admin::all),
        code::GET_TOPIC_CONFIG => Local(topic_admin::one),
        code::GET_TOPIC_STATS_INFO => Leader(topic_admin::stats),
        code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => Local(topic_admin::system_topics),
        code::QUERY_TOPIC_CONSUME_BY_WHO => Local(topic_admin::consumed_by),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => Leader(group_admin::update),
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => Leader(group_admin::update_list),
        code::DELETE_SUBSCRIPTIONGROUP => Leader(group_admin::delete),
        code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => Local(group_admin::all),
        code::GET_SUBSCRIPTIONGROUP_CONFIG => Local(group_admin::one),
        code::GET_CONSUMER_CONNECTION_LIST => Local(group_admin::consumer_connections),
        code::GET_PRODUCER_CONNECTION_LIST => Local(group_admin::producer_connections),
        code::GET_ALL_PRODUCER_INFO => Local(group_admin::all_producers),
        code::QUERY_SUBSCRIPTION_BY_CONSUMER => Local(group_admin::subscription),
        code::UPDATE_AND_GET_GROUP_FORBIDDEN => Leader(group_admin::forbid),
        code::GET_CONSUME_STATS => Leader(progress::of_group),
        code::GET_BROKER_CONSUME_STATS => Leader(progress::of_broker),
        code::QUERY_CONSUME_TIME_SPAN => Leader(progress::time_span),
        code::QUERY_TOPICS_BY_CONSUMER => Local(progress::topics),
        code::QUERY_CORRECTION_OFFSET => Leader(progress::corrections),
        code::CLONE_GROUP_OFFSET => Leader(progress::clone_offsets),
        code::GET_CONSUMER_RUNNING_INFO => Local(relay::running_info),
        code::CONSUME_MESSAGE_DIRECTLY => Local(relay::consume_directly),
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => Local(relay::consumer_status),
        code::QUERY_ASSIGNMENT => Local(assignment::query),
        code::SET_MESSAGE_REQUEST_MODE => Leader(assignment::set_mode),
        code::GET_ALL_MESSAGE_REQUEST_MODE => Local(assignment::all_modes),
        code::GET_BROKER_RUNTIME_INFO => Local(admin::runtime_info),
        code::GET_BROKER_CONFIG => Local(config_admin::get),
        code::UPDATE_BROKER_CONFIG => Leader(config_admin::update),
        code::VIEW_BROKER_STATS_DATA => Local(admin::stats),
        code::GET_BROKER_HA_STATUS => Local(admin::ha_status),
        code::DELETE_EXPIRED_COMMITLOG => Local(admin::delete_expired),
        code::CLEAN_EXPIRED_CONSUMEQUEUE | code::CLEAN_UNUSED_TOPIC => Local(admin::nothing_to_do),
        _ => return None,
    })
}
