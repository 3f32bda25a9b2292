//! Routes of the topics in use: asked once, kept, and asked anew when something failed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::names;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::namesrv::NameServers;
use crate::route::TopicRoute;

/// Routes by topic. Many callers may want the same refresh at once; one question answers them all.
pub(crate) struct RouteCache {
    namesrv: NameServers,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    /// Topics whose route proved not to be the best.
    doubted: Mutex<BTreeSet<String>>,
    doubts: Notify,
    /// Told when a route brings an address that was not there before.
    pub(crate) new_nodes: Notify,
}

/// One topic's route and the order of its refreshes.
struct Topic {
    state: Mutex<State>,
    /// Held while a name server is asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    route: Option<Arc<TopicRoute>>,
    /// Refreshes begun so far; a refresh that began after a caller's wish fulfils it.
    begun: u64,
    /// Number of the refresh that `route` comes from.
    done: u64,
    /// When it ended.
    done_at: Option<Instant>,
}

/// What to do about a topic that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Report it.
    Fail,
    /// Send by the route of the template topic, `TBW102`, with at most this many queues a group: the broker makes the
    /// topic.
    UseTemplate {
        /// Queues that the new topic will have in each broker group.
        queues: i32,
    },
}

impl RouteCache {
    pub(crate) fn new(namesrv: NameServers) -> Self {
        Self {
            namesrv,
            topics: Mutex::default(),
            doubted: Mutex::default(),
            doubts: Notify::new(),
            new_nodes: Notify::new(),
        }
    }

    pub(crate) fn namesrv(&self) -> &NameServers {
        &self.namesrv
    }

    /// The route at hand, asked for if there is none.
    pub(crate) async fn get(&self, topic: &str, missing: Missing) -> Result<Arc<TopicRoute>, ClientError> {
        match self.known(topic) {
            Some(route) => Ok(route),
            None => self.refresh(topic, missing).await,
        }
    }

    /// The route at hand.
    pub(crate) fn known(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        let topics = self.topics.lock().expect("no panic while it is held");
        let topic = topics.get(topic)?;
        topic.state.lock().expect("no panic while it is held").route.clone()
    }

    /// The route as a name server tells it now, that is, by a question asked after this call.
    pub(crate) async fn refresh(&self, name: &str, missing: Missing) -> Result<Arc<TopicRoute>, ClientError> {
        let topic = self.topic(name);
        let wish = topic.state.lock().expect("no panic while it is held").begun;
        let _asking = topic.asking.lock().await;
        {
            let mut state = topic.state.lock().expect("no panic while it is held");
            if state.done > wish
                && let Some(route) = &state.route
            {
                return Ok(route.clone());
            }
            state.begun += 1;
        }
        let route = Arc::new(self.ask(name, missing).await?);
        let mut state = topic.state.lock().expect("no panic while it is held");
        let is_news = state.route.as_ref().is_none_or(|old| brings_nodes(old, &route));
        state.done = state.begun;
        state.done_at = Some(Instant::now());
        state.route = Some(route.clone());
        drop(state);
        if is_news {
            self.new_nodes.notify_one();
        }
        Ok(route)
    }

    /// The route at hand if it is no older than `age`, or as a name server tells it now. Many who look again and again
    /// ask together no more often than one.
    pub(crate) async fn recent(
        &self,
        name: &str,
        age: Duration,
        missing: Missing,
    ) -> Result<Arc<TopicRoute>, ClientError> {
        let at_hand = {
            let topic = self.topic(name);
            let state = topic.state.lock().expect("no panic while it is held");
            state.route.clone().filter(|_| state.done_at.is_some_and(|at| at.elapsed() < age))
        };
        match at_hand {
            Some(route) => Ok(route),
            None => self.refresh(name, missing).await,
        }
    }

    /// Notes that the route at hand is not the best one: whoever polls routes asks for it next.
    pub(crate) fn doubt(&self, topic: &str) {
        let mut doubted = self.doubted.lock().expect("no panic while it is held");
        if !doubted.contains(topic) {
            doubted.insert(topic.to_owned());
            self.doubts.notify_one();
        }
    }

    /// Waits for doubts, then tells and forgets them.
    pub(crate) async fn doubted(&self) -> BTreeSet<String> {
        self.doubts.notified().await;
        std::mem::take(&mut *self.doubted.lock().expect("no panic while it is held"))
    }

    /// The route after `failed`, a node of `broker_name`, proved to be no use. If the name server still tells
    /// that it leads, the next one is asked: the first may be behind.
    pub(crate) async fn refresh_after_failure(
        &self,
        topic: &str,
        broker_name: &str,
        failed: &str,
        missing: Missing,
    ) -> Result<Arc<TopicRoute>, ClientError> {
        let mut route = self.refresh(topic, missing).await?;
        for _ in 1..self.namesrv.addrs().len() {
            let is_news = route.leader(broker_name).is_some_and(|leader| leader != failed);
            if is_news || !self.namesrv.doubt_current() {
                break;
            }
            route = self.refresh(topic, missing).await?;
        }
        Ok(route)
    }

    async fn ask(&self, topic: &str, missing: Missing) -> Result<TopicRoute, ClientError> {
        if let Some(data) = self.namesrv.route(topic).await? {
            return Ok(TopicRoute::new(&data));
        }
        if let Missing::UseTemplate { queues } = missing
            && let Some(data) = self.namesrv.route(names::AUTO_CREATE_TOPIC).await?
        {
            return Ok(TopicRoute::of_template(&data, queues));
        }
        Err(ClientError::NoRoute { topic: topic.to_owned() })
    }

    /// Topics that have a route, for the periodic poll.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.topics.lock().expect("no panic while it is held").keys().cloned().collect()
    }

    /// Every node of every route at hand, each once, with whether it leads a group.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let topics = self.topics.lock().expect("no panic while it is held");
        let mut nodes: Vec<String> = Vec::new();
        for topic in topics.values() {
            if let Some(route) = &topic.state.lock().expect("no panic while it is held").route {
                nodes.extend(route.all_nodes().map(str::to_owned));
            }
        }
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn topic(&self, name: &str) -> Arc<Topic> {
        let mut topics = self.topics.lock().expect("no panic while it is held");
        if let Some(topic) = topics.get(name) {
            return topic.clone();
        }
        let topic = Arc::new(Topic { state: Mutex::default(), asking: tokio::sync::Mutex::default() });
        topics.insert(name.to_owned(), topic.clone());
        topic
    }
}

fn brings_nodes(old: &TopicRoute, new: &TopicRoute) -> bool {
    new.all_nodes().any(|addr| old.all_nodes().all(|known| known != addr))
}
