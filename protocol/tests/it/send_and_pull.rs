//! The typed headers against every recorded request and answer.

use bytes::BytesMut;
use protocol::code::request;
use protocol::command::{admin, heartbeat, offset, pull, query, route, send};
use protocol::frame::decode;
use protocol::{Command, ExtFields, FieldError, Header};

use crate::vectors::{Recorded, frames};

/// Fields that every client may add and no header has.
const EXTRA_FIELDS: [&str; 14] = [
    "bname",
    "n",
    "ns",
    "nsd",
    "oway",
    "lo",
    "ReqT",
    "AccessKey",
    "Signature",
    "OnsChannel",
    "SecurityToken",
    "force",
    "MSG_REGION",
    "TRACE_ON",
];

/// Answer fields that the header of their answer does not carry.
const EXTRA_ANSWER_FIELDS: [&str; 2] = ["recallHandle", "batchUniqId"];

/// Reads a header, writes it, and expects what was there to be there again.
fn reads_and_writes<H: Header>(name: &str, command: &Command) -> Result<(), FieldError> {
    let header = H::read(command)?;
    let mut written = ExtFields::new();
    header.write(&mut written);
    for (field, value) in command.ext.iter() {
        if EXTRA_FIELDS.contains(&field)
            || EXTRA_ANSWER_FIELDS.contains(&field)
            || written.get(field) == Some(value)
        {
            continue;
        }
        let is_boolean = matches!(written.get(field), Some("true" | "false"));
        assert!(
            is_boolean && !value.eq_ignore_ascii_case("true"),
            "{name}: {field} is {:?}",
            written.get(field)
        );
    }
    Ok(())
}

/// The check of a request's header; `None` for codes without one.
fn request_check(code: i32, name: &str, command: &Command) -> Option<Result<(), FieldError>> {
    Some(match code {
        request::SEND_MESSAGE | request::SEND_REPLY_MESSAGE => {
            send::SendRequest::read(command).map(|header| {
                assert_eq!(header.to_command(code).ext.get("topic"), command.ext.get("topic"), "{name}");
            })
        }
        request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE | request::SEND_REPLY_MESSAGE_V2 => {
            reads_and_writes::<send::SendRequest>(name, command)
        }
        request::PULL_MESSAGE | request::LITE_PULL_MESSAGE => {
            reads_and_writes::<pull::PullRequest>(name, command)
        }
        request::QUERY_MESSAGE => reads_and_writes::<query::QueryMessage>(name, command),
        request::VIEW_MESSAGE_BY_ID => reads_and_writes::<query::ViewMessage>(name, command),
        request::QUERY_CONSUME_QUEUE => reads_and_writes::<query::QueryConsumeQueue>(name, command),
        request::QUERY_CONSUMER_OFFSET => reads_and_writes::<offset::QueryConsumerOffset>(name, command),
        request::UPDATE_CONSUMER_OFFSET => reads_and_writes::<offset::UpdateConsumerOffset>(name, command),
        request::SEARCH_OFFSET_BY_TIMESTAMP => reads_and_writes::<offset::SearchOffset>(name, command),
        request::GET_MIN_OFFSET => reads_and_writes::<offset::QueueOffsetRequest>(name, command),
        request::GET_EARLIEST_MSG_STORETIME => reads_and_writes::<offset::EarliestStoreTime>(name, command),
        request::INVOKE_BROKER_TO_RESET_OFFSET => reads_and_writes::<offset::ResetOffset>(name, command),
        request::QUERY_CORRECTION_OFFSET => reads_and_writes::<offset::QueryCorrectionOffset>(name, command),
        request::CLONE_GROUP_OFFSET => reads_and_writes::<offset::CloneGroupOffset>(name, command),
        request::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => {
            reads_and_writes::<offset::ConsumerStatus>(name, command)
        }
        request::UNREGISTER_CLIENT => reads_and_writes::<heartbeat::UnregisterClient>(name, command),
        request::GET_CONSUMER_LIST_BY_GROUP => reads_and_writes::<heartbeat::GetConsumerList>(name, command),
        request::NOTIFY_CONSUMER_IDS_CHANGED => {
            reads_and_writes::<heartbeat::NotifyConsumerIdsChanged>(name, command)
        }
        request::CONSUMER_SEND_MSG_BACK => reads_and_writes::<send::SendBackRequest>(name, command),
        request::END_TRANSACTION => reads_and_writes::<send::EndTransaction>(name, command),
        request::CHECK_TRANSACTION_STATE => reads_and_writes::<send::CheckTransactionState>(name, command),
        request::PUSH_REPLY_MESSAGE_TO_CLIENT => reads_and_writes::<send::PushReply>(name, command),
        request::RECALL_MESSAGE => reads_and_writes::<send::RecallMessage>(name, command),
        request::REGISTER_BROKER => reads_and_writes::<route::RegisterBroker>(name, command),
        request::UNREGISTER_BROKER => reads_and_writes::<route::UnregisterBroker>(name, command),
        request::QUERY_DATA_VERSION => reads_and_writes::<route::QueryDataVersion>(name, command),
        request::BROKER_HEARTBEAT => reads_and_writes::<route::BrokerHeartbeat>(name, command),
        request::GET_ROUTEINFO_BY_TOPIC => reads_and_writes::<route::GetRouteInfo>(name, command),
        request::GET_BROKER_MEMBER_GROUP => reads_and_writes::<route::GetBrokerMemberGroup>(name, command),
        request::PUT_KV_CONFIG => reads_and_writes::<route::PutKvConfig>(name, command),
        request::GET_KV_CONFIG => reads_and_writes::<route::GetKvConfig>(name, command),
        request::DELETE_KV_CONFIG => reads_and_writes::<route::DeleteKvConfig>(name, command),
        request::GET_KVLIST_BY_NAMESPACE => reads_and_writes::<route::GetKvList>(name, command),
        request::WIPE_WRITE_PERM_OF_BROKER | request::ADD_WRITE_PERM_OF_BROKER => {
            reads_and_writes::<route::WritePerm>(name, command)
        }
        request::DELETE_TOPIC_IN_NAMESRV => reads_and_writes::<route::DeleteTopicInNamesrv>(name, command),
        request::REGISTER_TOPIC_IN_NAMESRV => reads_and_writes::<route::RegisterTopic>(name, command),
        request::GET_TOPICS_BY_CLUSTER => reads_and_writes::<route::GetTopicsByCluster>(name, command),
        request::UPDATE_AND_CREATE_TOPIC => reads_and_writes::<admin::CreateTopic>(name, command),
        request::DELETE_TOPIC_IN_BROKER
        | request::GET_TOPIC_STATS_INFO
        | request::QUERY_TOPIC_CONSUME_BY_WHO => reads_and_writes::<admin::TopicRequest>(name, command),
        request::GET_TOPIC_CONFIG => reads_and_writes::<admin::GetTopicConfig>(name, command),
        request::GET_ALL_TOPIC_CONFIG => reads_and_writes::<admin::GetAllTopicConfig>(name, command),
        request::DELETE_SUBSCRIPTIONGROUP => reads_and_writes::<admin::DeleteGroup>(name, command),
        request::GET_SUBSCRIPTIONGROUP_CONFIG | request::QUERY_TOPICS_BY_CONSUMER => {
            reads_and_writes::<admin::GroupRequest>(name, command)
        }
        request::GET_CONSUMER_CONNECTION_LIST => {
            reads_and_writes::<admin::GetConsumerConnections>(name, command)
        }
        request::GET_PRODUCER_CONNECTION_LIST => {
            reads_and_writes::<admin::GetProducerConnections>(name, command)
        }
        request::GET_CONSUME_STATS => reads_and_writes::<admin::GetConsumeStats>(name, command),
        request::QUERY_CONSUME_TIME_SPAN | request::QUERY_SUBSCRIPTION_BY_CONSUMER => {
            reads_and_writes::<admin::TopicGroupRequest>(name, command)
        }
        request::GET_BROKER_CONSUME_STATS => reads_and_writes::<admin::GetBrokerConsumeStats>(name, command),
        request::VIEW_BROKER_STATS_DATA => reads_and_writes::<admin::ViewBrokerStats>(name, command),
        request::UPDATE_AND_GET_GROUP_FORBIDDEN => {
            reads_and_writes::<admin::UpdateGroupForbidden>(name, command)
        }
        request::GET_CONSUMER_RUNNING_INFO => {
            reads_and_writes::<admin::GetConsumerRunningInfo>(name, command)
        }
        request::CONSUME_MESSAGE_DIRECTLY => reads_and_writes::<admin::ConsumeMessageDirectly>(name, command),
        request::RESUME_CHECK_HALF_MESSAGE => {
            reads_and_writes::<admin::ResumeCheckHalfMessage>(name, command)
        }
        _ => return None,
    })
}

/// The check of the header of a successful answer; `None` for codes without one.
fn response_check(code: i32, name: &str, command: &Command) -> Option<Result<(), FieldError>> {
    Some(match code {
        request::SEND_MESSAGE
        | request::SEND_MESSAGE_V2
        | request::SEND_BATCH_MESSAGE
        | request::SEND_REPLY_MESSAGE
        | request::SEND_REPLY_MESSAGE_V2 => reads_and_writes::<send::SendResponse>(name, command),
        request::PULL_MESSAGE | request::LITE_PULL_MESSAGE => {
            reads_and_writes::<pull::PullResponse>(name, command)
        }
        request::QUERY_MESSAGE => reads_and_writes::<query::QueryMessageResponse>(name, command),
        request::QUERY_CONSUMER_OFFSET
        | request::SEARCH_OFFSET_BY_TIMESTAMP
        | request::GET_MAX_OFFSET
        | request::GET_MIN_OFFSET => reads_and_writes::<offset::OffsetResponse>(name, command),
        request::GET_EARLIEST_MSG_STORETIME => reads_and_writes::<offset::TimestampResponse>(name, command),
        request::REGISTER_BROKER => reads_and_writes::<route::RegisterBrokerResponse>(name, command),
        request::QUERY_DATA_VERSION => reads_and_writes::<route::QueryDataVersionResponse>(name, command),
        request::GET_KV_CONFIG => reads_and_writes::<route::GetKvConfigResponse>(name, command),
        request::WIPE_WRITE_PERM_OF_BROKER => reads_and_writes::<route::WipeWritePermResponse>(name, command),
        request::ADD_WRITE_PERM_OF_BROKER => reads_and_writes::<route::AddWritePermResponse>(name, command),
        request::GET_BROKER_CONFIG => reads_and_writes::<admin::GetBrokerConfigResponse>(name, command),
        request::EXCHANGE_BROKER_HA_INFO => reads_and_writes::<admin::HaInfoResponse>(name, command),
        _ => return None,
    })
}

fn command_of(recorded: &Recorded) -> Command {
    decode(&mut BytesMut::from(recorded.bytes)).unwrap().unwrap()
}

#[test]
fn requests_of_real_clients_are_read_by_their_headers() {
    let mut read = 0;
    for recorded in frames().iter().filter(|frame| frame.is_request()) {
        let command = command_of(recorded);
        let checked = request_check(recorded.request_code() as i32, &recorded.name(), &command);
        match checked {
            Some(Ok(())) => read += 1,
            // Hand-made requests leave required fields away on purpose.
            Some(Err(error)) => assert!(
                recorded.line["file"].as_str().unwrap().starts_with("handmade"),
                "{}: {error}",
                recorded.name()
            ),
            None => {}
        }
    }
    assert!(read > 1200, "only {read}");
}

#[test]
fn answers_of_real_brokers_are_read_by_their_headers() {
    let mut read = 0;
    for recorded in frames().iter().filter(|frame| !frame.is_request()) {
        let command = command_of(recorded);
        if command.code != 0 || !command.is_response() || command.ext.is_empty() {
            continue;
        }
        if let Some(checked) = response_check(recorded.request_code() as i32, &recorded.name(), &command) {
            checked.unwrap_or_else(|error| panic!("{}: {error}", recorded.name()));
            read += 1;
        }
    }
    assert!(read > 300, "only {read}");
}

#[test]
fn both_forms_of_a_send_say_the_same() {
    let header = send::SendRequest {
        producer_group: "PG".to_owned(),
        topic: "T".to_owned(),
        default_topic: "TBW102".to_owned(),
        default_topic_queue_nums: 4,
        queue_id: -1,
        sys_flag: 1,
        born_timestamp_ms: 1_700_000_000_000,
        flag: 7,
        properties: "TAGS\u{1}a\u{2}".to_owned(),
        reconsume_times: 2,
        unit_mode: true,
        max_reconsume_times: Some(16),
        batch: true,
    };
    for code in [10, 310, 320, 324, 325] {
        let command = header.to_command(code);
        assert_eq!(send::SendRequest::read(&command).unwrap(), header, "{code}");
        let is_short = command.ext.contains("b");
        assert_eq!(is_short, [310, 320, 325].contains(&code), "{code}");
    }
    let error = send::SendRequest::read(&Command::request(310).with("a", "PG")).unwrap_err();
    assert_eq!(error, FieldError::missing("b"));
}
