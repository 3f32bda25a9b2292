//! Why something is not done: what every slice says, and every door translates.

/// Why a request is refused: a response code and its remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of RocketMQ's response codes.
    pub code: i32,
    /// For people.
    pub remark: String,
}

impl Refusal {
    /// `code`, saying `remark`.
    pub fn new(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }
}
