//! C20, crash: a node that ended though nobody had ended it. A failed assertion is one.

use super::verdict::Verdict;
use crate::history::History;

/// Checks that no process ended by itself.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C20", "crash");
    for (at, what) in &history.exits {
        verdict.reject(what.clone(), [at.event]);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only};

    #[test]
    fn a_node_that_ended_by_itself_is_told() {
        let mut script = Script::new();
        script.acked(1, "a", 0).exit("n1", "signal: 6 (SIGABRT)").drain_all(&["a"]);
        let verdict = assert_only(&script.history(), &["C20"]);
        assert_eq!(verdict.witnesses[0].what, "n1: signal: 6 (SIGABRT)");
    }
}
