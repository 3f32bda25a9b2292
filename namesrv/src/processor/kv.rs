//! The KV config (100, 101, 102, 219) and the name server's own properties (318).

use protocol::Command;
use protocol::code::response;
use protocol::command::route::{DeleteKvConfig, GetKvConfig, GetKvConfigResponse, GetKvList};
use protocol::route::KvTable;

use super::answer::{Answer, Failure, read, success};
use super::shared::Shared;
use crate::config::UpdateError;

/// Writes a file: not for an async worker.
pub(super) fn put(shared: &Shared, command: &Command) -> Answer {
    let (Some(namespace), Some(key)) = (command.ext.get("namespace"), command.ext.get("key")) else {
        return Err(Failure::system("namespace or key is null"));
    };
    let value = command.ext.required("value")?;
    shared.kv.put(namespace, key, value).map_err(|error| failed(&error))?;
    tracing::info!(namespace, key, "KV config set");
    Ok(success(command))
}

pub(super) fn get(shared: &Shared, command: &Command) -> Answer {
    let GetKvConfig { namespace, key } = read(command)?;
    let Some(value) = shared.kv.get(&namespace, &key) else {
        let remark = format!("No config item, Namespace: {namespace} Key: {key}");
        return Err(Failure::new(response::QUERY_NOT_FOUND, remark));
    };
    Ok(success(command).with_header(&GetKvConfigResponse { value: Some(value) }))
}

/// Writes a file: not for an async worker.
pub(super) fn delete(shared: &Shared, command: &Command) -> Answer {
    let DeleteKvConfig { namespace, key } = read(command)?;
    shared.kv.delete(&namespace, &key).map_err(|error| failed(&error))?;
    tracing::info!(namespace, key, "KV config deleted");
    Ok(success(command))
}

/// Logged here, once: the disk is the operator's concern, not the caller's.
pub(super) fn failed(error: &crate::KvError) -> Failure {
    tracing::error!(%error, "KV config not changed");
    Failure::system(error.to_string())
}

pub(super) fn list(shared: &Shared, command: &Command) -> Answer {
    let GetKvList { namespace } = read(command)?;
    let Some(table) = shared.kv.list(&namespace) else {
        return Err(Failure::new(
            response::QUERY_NOT_FOUND,
            format!("No config item, Namespace: {namespace}"),
        ));
    };
    Ok(success(command).with_body(KvTable { table }.to_bytes()))
}

pub(super) fn update_properties(shared: &Shared, command: &Command) -> Answer {
    shared.live.update(&command.body).map_err(|error| {
        let code = match error {
            UpdateError::BlackListed => response::NO_PERMISSION,
            _ => response::SYSTEM_ERROR,
        };
        Failure::new(code, error.to_string())
    })?;
    Ok(success(command))
}
