//! How the queues of a topic are shared among the consumers of a group. Every consumer computes it for itself, from
//! the same sorted lists. Source: Java's `AllocateMessageQueueAveragely` and `…AveragelyByCircle`.

/// A strategy by which queues are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Neighbouring queues: the first consumer has the first ones.
    #[default]
    Average,
    /// Queues in turn, as cards are dealt.
    AverageByCircle,
}

impl Strategy {
    /// The strategy of a name on the wire, such as `AVG`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "AVG" => Some(Self::Average),
            "AVG_BY_CIRCLE" => Some(Self::AverageByCircle),
            _ => None,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "AVG",
            Self::AverageByCircle => "AVG_BY_CIRCLE",
        }
    }

    /// The queues of one consumer. `queues` must be sorted by [`MessageQueue`](crate::route::MessageQueue)'s order and
    /// `client_ids` as text, both the same for every consumer. Nothing for a client that is not among them.
    pub fn allocate<Q: Clone>(self, client_id: &str, queues: &[Q], client_ids: &[String]) -> Vec<Q> {
        let Some(index) = client_ids.iter().position(|id| id == client_id) else { return Vec::new() };
        match self {
            Self::Average => average(index, client_ids.len(), queues),
            Self::AverageByCircle => queues.iter().skip(index).step_by(client_ids.len()).cloned().collect(),
        }
    }
}

/// The first `queues % clients` consumers have one queue more than the others.
fn average<Q: Clone>(index: usize, clients: usize, queues: &[Q]) -> Vec<Q> {
    let (share, rest) = (queues.len() / clients, queues.len() % clients);
    let start = index * share + index.min(rest);
    let count = share + usize::from(index < rest);
    queues[start..start + count].to_vec()
}
