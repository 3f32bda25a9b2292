//! When the first messages that groups have not consumed were stored, as far as it was looked up.

use std::collections::HashMap;
use std::sync::Mutex;

/// Topic and group joined by `@`, and a queue.
pub(super) type Place = (String, i32);

/// When the first messages that are not consumed were stored: queue offset and time.
#[derive(Default)]
pub struct LagAges(pub(super) Mutex<HashMap<Place, (i64, i64)>>);
