//! A harness over real processes: it starts, kills and pauses a name server and the nodes of a broker group, and cuts
//! the links between them. The stories are in `cluster-tests`; `jepsen` runs its loads over it.
//!
//! A story begins with [`Cluster::start`], does something bad by [`Cluster::kill`], [`Cluster::pause`] or
//! [`Cluster::links`] under a [`load::Load`], waits by [`Cluster::wait_for`], asks [`audit::audit`] whether
//! all is well, and ends with [`Cluster::finish`], which removes the group's directory. A story that fails
//! before keeps it, and says where it is.

pub mod audit;
pub mod binary;
pub mod body;
mod cluster;
pub mod files;
mod hang;
pub mod load;
pub mod outcome;
mod process;
mod proxy;
pub mod raw_client;
mod rig;
pub mod seed;
mod slow;
mod view;
mod wait;

pub use cluster::{CLUSTER_NAME, Cluster, ClusterOptions, GROUP_NAME, WAIT};
pub use proxy::Links;
pub use rig::StoreDisk;
pub use view::{NodeView, Run, Silence, View, node_name};
pub use wait::{WaitError, eventually};
pub use web::views;
