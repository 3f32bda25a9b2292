//! What one broker node says of itself, and its chores.

use std::collections::BTreeMap;

use protocol::command::admin::{
    BrokerConsumeStats, BrokerStatsData, GetBrokerConsumeStats, HaStatus, ViewBrokerStats,
};
use protocol::route::KvTable;
use protocol::{Command, RequestCode};

use super::{Admin, body};
use crate::error::ClientError;

impl Admin {
    /// Figures of a node, by name.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn runtime_info_at(&self, addr: &str) -> Result<BTreeMap<String, String>, ClientError> {
        let code = RequestCode::GET_BROKER_RUNTIME_INFO;
        let answer = self.call(addr, Command::request(code)).await?;
        Ok(body(addr, code, &answer, KvTable::read)?.table)
    }

    /// The configuration in force at a node, `name=value` a line.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn broker_config_at(&self, addr: &str) -> Result<String, ClientError> {
        let answer = self.call(addr, Command::request(RequestCode::GET_BROKER_CONFIG)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Changes the configuration of a node; `lines` as in a property file.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn update_broker_config_at(&self, addr: &str, lines: &str) -> Result<(), ClientError> {
        let request = Command::request(RequestCode::UPDATE_BROKER_CONFIG).with_body(lines.to_owned());
        self.call(addr, request).await.map(drop)
    }

    /// One statistic of a node, such as `TOPIC_PUT_NUMS` of a topic.
    ///
    /// # Errors
    /// Code 1 if it was never counted.
    pub async fn broker_stats_at(
        &self,
        addr: &str,
        name: &str,
        key: &str,
    ) -> Result<BrokerStatsData, ClientError> {
        let code = RequestCode::VIEW_BROKER_STATS_DATA;
        let header = ViewBrokerStats { stats_name: name.to_owned(), stats_key: key.to_owned() };
        let answer = self.call_with(addr, code, &header).await?;
        body(addr, code, &answer, BrokerStatsData::read)
    }

    /// How far every consumer group of a node has come.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn broker_consume_stats_at(
        &self,
        addr: &str,
        is_order: bool,
    ) -> Result<BrokerConsumeStats, ClientError> {
        let code = RequestCode::GET_BROKER_CONSUME_STATS;
        let answer = self.call_with(addr, code, &GetBrokerConsumeStats { is_order }).await?;
        body(addr, code, &answer, BrokerConsumeStats::read)
    }

    /// How the copies of a node's log are.
    ///
    /// # Errors
    /// If it refuses, as brokers in DLedger mode do.
    pub async fn ha_status_at(&self, addr: &str) -> Result<HaStatus, ClientError> {
        let code = RequestCode::GET_BROKER_HA_STATUS;
        let answer = self.call(addr, Command::request(code)).await?;
        body(addr, code, &answer, HaStatus::read)
    }

    /// Has a node drop consume queue files behind its retention.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn clean_expired_queues_at(&self, addr: &str) -> Result<(), ClientError> {
        self.call(addr, Command::request(RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE)).await.map(drop)
    }

    /// Has a node drop topics that nobody uses.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn clean_unused_topics_at(&self, addr: &str) -> Result<(), ClientError> {
        self.call(addr, Command::request(RequestCode::CLEAN_UNUSED_TOPIC)).await.map(drop)
    }

    /// Has a node drop commitlog segments behind its retention.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn delete_expired_commitlog_at(&self, addr: &str) -> Result<(), ClientError> {
        self.call(addr, Command::request(RequestCode::DELETE_EXPIRED_COMMITLOG)).await.map(drop)
    }
}
