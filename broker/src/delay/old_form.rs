//! How a delivery was written below feature level 3, where an entry has no effects: each delivered unit names its
//! schedule record in its prepared-transaction offset, which no delayed message has a use for.
//!
//! Such entries are read for as long as a log may hold them, and written only while a member of the group reads nothing else.

use protocol::message::{self, UnitError};

use crate::state::LevelDelivered;

/// Set in the prepared-transaction offset: below it stand the level (8 bits) and the offset (48 bits) of the record.
const DELIVERS: i64 = 1 << 62;
const LEVEL_BITS: u32 = 48;
/// The last record that can be named.
pub const OFFSET_MAX: i64 = (1 << LEVEL_BITS) - 1;

/// What a delivered unit has in its prepared-transaction offset.
pub fn mark(level: i32, offset: i64) -> i64 {
    DELIVERS | i64::from(level) << LEVEL_BITS | offset
}

/// The deliveries that units of an entry without effects name, one a unit, in order.
///
/// # Errors
/// If these are not units.
pub fn deliveries(units: &[u8]) -> Result<Vec<LevelDelivered>, UnitError> {
    let mut found = Vec::new();
    for unit in message::walk(units) {
        // Cheap to look at, and zero in almost every unit.
        let mark = message::prepared_transaction_offset(unit?)?;
        if mark & DELIVERS != 0 && mark > 0 {
            let level = ((mark ^ DELIVERS) >> LEVEL_BITS) as i32;
            found.push(LevelDelivered { level, from: mark & OFFSET_MAX, count: 1 });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_and_offset_is_found_again_and_other_marks_are_none() {
        let places = [(1, 0), (18, 1), (127, OFFSET_MAX)];
        let marks = places.map(|(level, offset)| mark(level, offset));
        let units = [0, 4_096, -1].into_iter().chain(marks).map(|mark| crate::state::apply::unit("T", mark));
        let units = units.collect::<Vec<_>>().concat();
        let wanted = places.map(|(level, from)| LevelDelivered { level, from, count: 1 });
        assert_eq!(deliveries(&units).unwrap(), wanted);
        assert_eq!(deliveries(&[]).unwrap(), []);
        assert!(deliveries(b"no units").is_err());
    }
}
