//! What is asked of a node over HTTP.

use std::time::Duration;

use anyhow::{Result, ensure};
use platform::TokioNet;
use serde_json::Value;
use web::client;
use web::views::{Ask, Leader, Status, ViewError};

use super::Cluster;
use crate::view::node_name;

/// How long a node that has nothing to wait for may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

impl Cluster {
    /// What a node says of itself.
    ///
    /// # Errors
    /// No answer, or one that is not a status.
    pub async fn status(&self, id: usize) -> Result<Status, ViewError> {
        Status::ask(&TokioNet, &self.http_addr(id), ANSWER_WITHIN).await
    }

    /// Who leads, by a node's word.
    ///
    /// # Errors
    /// No answer, or that no majority confirms it.
    pub async fn ask_leader(&self, id: usize, ask: Ask) -> Result<Leader, ViewError> {
        Leader::ask(&TokioNet, &self.http_addr(id), ask, ANSWER_WITHIN).await
    }

    /// Hands leadership over, as an operator would.
    ///
    /// # Errors
    /// What the leader answers if it refuses.
    pub async fn transfer_leader(&self, from: usize, to: usize) -> Result<()> {
        let path = format!("/leader/transfer?to={}", node_name(to));
        let answer = client::post(&TokioNet, &self.http_addr(from), &path, Duration::from_secs(10)).await?;
        ensure!(answer.is_ok(), "transfer to {}: {} {}", node_name(to), answer.status, answer.json());
        Ok(())
    }

    /// The fingerprint of a node's log from `from` to `upto`, of its queues and of its tables.
    ///
    /// # Errors
    /// What the node answers if it does not hold that range.
    pub async fn digest(&self, id: usize, from: u64, upto: u64) -> Result<Value> {
        let path = format!("/debug/digest?from={from}&upto={upto}");
        let answer = client::get(&TokioNet, &self.http_addr(id), &path, Duration::from_secs(30)).await?;
        ensure!(answer.is_ok(), "digest of {}: {} {}", node_name(id), answer.status, answer.json());
        Ok(answer.json())
    }
}
