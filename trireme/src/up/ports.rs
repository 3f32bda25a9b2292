//! Whether the addresses of a plan are free, asked before anything starts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use platform::Net;

use super::plan::Plan;

/// The last processes of an `up` that was just killed may need this long to be gone.
const LINGER: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Checks every address that the plan listens on.
///
/// # Errors
/// A sentence that names the first address which is not free, and what to do.
pub(crate) async fn check(net: &dyn Net, plan: &Plan) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + LINGER;
    for process in plan.processes() {
        for (what, addr) in &process.listens {
            while let Err(error) = net.listen(*addr).await.map(drop) {
                let is_last = tokio::time::Instant::now() >= deadline;
                if error.kind() != io::ErrorKind::AddrInUse || is_last {
                    anyhow::bail!(sentence(&process.name, what, *addr, &error));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
    Ok(())
}

fn sentence(name: &str, what: &str, addr: SocketAddr, error: &io::Error) -> String {
    let (port, ip) = (addr.port(), addr.ip());
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is in use ({name}: {what}); stop what listens there, or move all ports with --port-offset N"
        ),
        io::ErrorKind::PermissionDenied => format!("no permission to listen on port {port} ({name}: {what})"),
        io::ErrorKind::AddrNotAvailable => format!("{ip} is not an address of this machine; see --host"),
        _ => format!("cannot listen on {addr} ({name}: {what}): {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use platform::TokioNet;
    use std::path::Path;

    fn plan(args: &[&str]) -> Plan {
        let args = ["trireme", "up"].iter().chain(args);
        let crate::cli::Command::Up(args) = crate::cli::Cli::parse_from(args).command else { panic!() };
        Plan::new(&args, Path::new("/d"), Path::new("/bin/trireme"), 3).unwrap().0
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_it_was_wanted_for() {
        // Of all offsets, one whose first ports are free: other tests run on this machine too.
        for offset in (11_000..24_000).step_by(97) {
            let plan = plan(&["--port-offset", &offset.to_string()]);
            if check(&TokioNet, &plan).await.is_err() {
                continue;
            }
            let Ok(taken) = TokioNet.listen(plan.nodes[1].http).await else { continue };
            let port = taken.local_addr().port();
            let error = check(&TokioNet, &plan).await.unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("port {port} is in use (n1: HTTP); stop what listens there")),
                "{error}"
            );
            return;
        }
        panic!("no free range of ports");
    }

    #[tokio::test]
    async fn a_foreign_address_is_told_as_such() {
        let error = check(&TokioNet, &plan(&["--host", "192.0.2.1"])).await.unwrap_err().to_string();
        assert_eq!(error, "192.0.2.1 is not an address of this machine; see --host");
    }
}
