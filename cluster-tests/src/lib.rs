//! Stories over real processes: a harness that starts, kills and pauses a name server and the nodes of a
//! broker group, and cuts the links between them. The stories themselves are in `tests/`.

pub mod seed;
