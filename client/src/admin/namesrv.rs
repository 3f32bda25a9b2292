//! What name servers know and keep.

use std::collections::BTreeMap;

use protocol::command::route::{
    AddWritePermResponse, DeleteKvConfig, DeleteTopicInNamesrv, GetKvConfig, GetKvConfigResponse, GetKvList,
    GetTopicsByCluster, PutKvConfig, WipeWritePermResponse, WritePerm,
};
use protocol::route::{ClusterInfo, KvTable, TopicList, TopicRouteData};
use protocol::{Command, Header, RequestCode, ResponseCode};

use super::{Admin, body};
use crate::error::ClientError;
use crate::transport::{bad_answer, refused};

impl Admin {
    /// All clusters, broker groups and nodes.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, ClientError> {
        let (answer, code) = self.ask_namesrv(Command::request(RequestCode::GET_BROKER_CLUSTER_INFO)).await?;
        body(&self.all_namesrv(), code, &answer, ClusterInfo::read)
    }

    /// The route of a topic.
    ///
    /// # Errors
    /// [`ClientError::NoRoute`] if it has none.
    pub async fn topic_route(&self, topic: &str) -> Result<TopicRouteData, ClientError> {
        let route = self.core.routes.namesrv().route(topic).await?;
        route.ok_or_else(|| ClientError::NoRoute { topic: topic.to_owned() })
    }

    /// All topics, those of the system too.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn topics(&self) -> Result<Vec<String>, ClientError> {
        let request = Command::request(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
        let (answer, code) = self.ask_namesrv(request).await?;
        Ok(body(&self.all_namesrv(), code, &answer, TopicList::read)?.topic_list)
    }

    /// The topics that have a queue in a cluster.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn topics_of_cluster(&self, cluster: &str) -> Result<Vec<String>, ClientError> {
        let header = GetTopicsByCluster { cluster: cluster.to_owned() };
        let request = Command::request(RequestCode::GET_TOPICS_BY_CLUSTER).with_header(&header);
        let (answer, code) = self.ask_namesrv(request).await?;
        Ok(body(&self.all_namesrv(), code, &answer, TopicList::read)?.topic_list)
    }

    /// Removes a topic from every name server; with a cluster, only what that cluster has of it.
    ///
    /// # Errors
    /// The first failure; name servers before it have done it.
    pub async fn delete_topic_in_namesrv(
        &self,
        topic: &str,
        cluster: Option<&str>,
    ) -> Result<(), ClientError> {
        let header =
            DeleteTopicInNamesrv { topic: topic.to_owned(), cluster_name: cluster.map(str::to_owned) };
        self.tell_all(RequestCode::DELETE_TOPIC_IN_NAMESRV, &header).await
    }

    /// Puts a value into the key-value store of every name server.
    ///
    /// # Errors
    /// The first failure; name servers before it have done it.
    pub async fn put_kv(&self, namespace: &str, key: &str, value: &str) -> Result<(), ClientError> {
        let header =
            PutKvConfig { namespace: namespace.to_owned(), key: key.to_owned(), value: value.to_owned() };
        self.tell_all(RequestCode::PUT_KV_CONFIG, &header).await
    }

    /// A value of the key-value store; `None` if there is none.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn get_kv(&self, namespace: &str, key: &str) -> Result<Option<String>, ClientError> {
        let header = GetKvConfig { namespace: namespace.to_owned(), key: key.to_owned() };
        let request = Command::request(RequestCode::GET_KV_CONFIG).with_header(&header);
        match self.ask_namesrv(request).await {
            Err(error) if error.code() == Some(ResponseCode::QUERY_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
            Ok((answer, code)) => GetKvConfigResponse::read(&answer)
                .map(|header| header.value)
                .map_err(|error| bad_answer(&self.all_namesrv(), code, "header", error)),
        }
    }

    /// Removes a value from the key-value store of every name server.
    ///
    /// # Errors
    /// The first failure; name servers before it have done it.
    pub async fn delete_kv(&self, namespace: &str, key: &str) -> Result<(), ClientError> {
        let header = DeleteKvConfig { namespace: namespace.to_owned(), key: key.to_owned() };
        self.tell_all(RequestCode::DELETE_KV_CONFIG, &header).await
    }

    /// All values of a namespace of the key-value store.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn list_kv(&self, namespace: &str) -> Result<BTreeMap<String, String>, ClientError> {
        let header = GetKvList { namespace: namespace.to_owned() };
        let request = Command::request(RequestCode::GET_KVLIST_BY_NAMESPACE).with_header(&header);
        match self.ask_namesrv(request).await {
            Err(error) if error.code() == Some(ResponseCode::QUERY_NOT_FOUND) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
            Ok((answer, code)) => Ok(body(&self.all_namesrv(), code, &answer, KvTable::read)?.table),
        }
    }

    /// Takes the write permission of a broker group's queues away, at every name server: producers go elsewhere,
    /// consumers read on. Returns how many topics that concerned, by name server.
    ///
    /// # Errors
    /// The first failure; name servers before it have done it.
    pub async fn wipe_write_perm(&self, broker_name: &str) -> Result<Vec<(String, i32)>, ClientError> {
        let header = WritePerm { broker_name: broker_name.to_owned() };
        let code = RequestCode::WIPE_WRITE_PERM_OF_BROKER;
        let mut counts = Vec::new();
        for (addr, answer) in self.ask_all(code, &header).await? {
            let response = WipeWritePermResponse::read(&answer)
                .map_err(|error| bad_answer(&addr, code, "header", error))?;
            counts.push((addr, response.wipe_topic_count));
        }
        Ok(counts)
    }

    /// Gives the permission back. Returns how many topics that concerned, by name server.
    ///
    /// # Errors
    /// The first failure; name servers before it have done it.
    pub async fn add_write_perm(&self, broker_name: &str) -> Result<Vec<(String, i32)>, ClientError> {
        let header = WritePerm { broker_name: broker_name.to_owned() };
        let code = RequestCode::ADD_WRITE_PERM_OF_BROKER;
        let mut counts = Vec::new();
        for (addr, answer) in self.ask_all(code, &header).await? {
            let response = AddWritePermResponse::read(&answer)
                .map_err(|error| bad_answer(&addr, code, "header", error))?;
            counts.push((addr, response.add_topic_count));
        }
        Ok(counts)
    }

    /// The configuration of one name server, `name=value` a line.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn namesrv_config_at(&self, addr: &str) -> Result<String, ClientError> {
        let answer = self.call(addr, Command::request(RequestCode::GET_NAMESRV_CONFIG)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Changes the configuration of one name server; `lines` as in a property file.
    ///
    /// # Errors
    /// If it refuses or does not answer.
    pub async fn update_namesrv_config_at(&self, addr: &str, lines: &str) -> Result<(), ClientError> {
        let request = Command::request(RequestCode::UPDATE_NAMESRV_CONFIG).with_body(lines.to_owned());
        self.call(addr, request).await.map(drop)
    }

    async fn ask_namesrv(&self, request: Command) -> Result<(Command, i32), ClientError> {
        let code = request.code;
        let answer = self.core.routes.namesrv().ask(&request).await?;
        if answer.code == ResponseCode::SUCCESS {
            Ok((answer, code))
        } else {
            Err(refused(&self.all_namesrv(), code, &answer))
        }
    }

    async fn ask_all(&self, code: i32, header: &impl Header) -> Result<Vec<(String, Command)>, ClientError> {
        let mut answers = Vec::new();
        for addr in self.namesrv_addrs() {
            answers.push((addr.clone(), self.call_with(addr, code, header).await?));
        }
        Ok(answers)
    }

    async fn tell_all(&self, code: i32, header: &impl Header) -> Result<(), ClientError> {
        self.ask_all(code, header).await.map(drop)
    }

    fn all_namesrv(&self) -> String {
        self.namesrv_addrs().join(";")
    }
}
