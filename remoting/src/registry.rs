//! The connections of one server or one client, from their start until both their tasks have ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tracing::Instrument;

use crate::config::Limits;
use crate::connection::Connection;
use crate::log_limit::LogLimit;
use crate::reply::Handler;
use crate::{read, write};

/// Owns the connections' tasks: they are over when it is empty.
#[derive(Default)]
pub(crate) struct Registry {
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Told when the last connection has ended.
    emptied: Notify,
    /// One for all lines about peers that misbehave.
    pub log_limit: LogLimit,
}

impl Registry {
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.lock().values().cloned().collect()
    }

    /// Waits until no connection's task runs.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable(); // before looking, so that none is missed in between
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Starts both tasks of a connection. `place` is free again when both are over.
    pub fn start(
        self: &Arc<Self>,
        socket: platform::Connection,
        handler: Arc<dyn Handler>,
        limits: Limits,
        place: Option<OwnedSemaphorePermit>,
    ) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(socket.peer, socket.local, limits));
        self.lock().insert(connection.id(), connection.clone());
        let span = tracing::info_span!("connection", id = connection.id(), peer = %connection.peer());
        let entry = Entry { registry: self.clone(), connection: connection.clone(), _place: place };
        let writing = tokio::spawn(write::run(socket.writer, connection.clone()).instrument(span.clone()));
        tokio::spawn(
            async move {
                let entry = entry; // dropped last, also when the handler panics
                read::run(socket.reader, &entry.connection, handler, &entry.registry.log_limit).await;
                // It can only have failed by being cancelled with its whole runtime.
                let _ = writing.await;
            }
            .instrument(span),
        );
        connection
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().expect("nothing panics under this lock")
    }
}

struct Entry {
    registry: Arc<Registry>,
    connection: Arc<Connection>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let is_empty = {
            let mut connections = self.registry.lock();
            connections.remove(&self.connection.id());
            connections.is_empty()
        };
        if is_empty {
            self.registry.emptied.notify_waiters();
        }
    }
}
