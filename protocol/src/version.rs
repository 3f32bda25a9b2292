//! Release numbers as they travel in the `version` member of a header: the ordinal in Java's `MQVersion`.

/// The release whose behaviour our answers claim: 5.3.3.
///
/// Java refuses SQL filters when a broker claims less than 232, and a name server below 401 would be asked for
/// old route JSON. Above 475 a client may be sent `GO_AWAY`, which we never do.
pub const VERSION: i32 = 479;

/// 3.0.11: from here on the body of a broker registration is JSON (or compressed), not a bare topic table.
pub const V3_0_11: i32 = 37;
/// 3.1.8-SNAPSHOT: the oldest consumer that answers a request for its running info.
pub const V3_1_8_SNAPSHOT: i32 = 62;
/// 3.4.9: from here on a client's own `maxReconsumeTimes` overrides its group's.
pub const V3_4_9: i32 = 121;
/// 4.9.4: from here on a client asks for strictly quoted route JSON.
pub const V4_9_4: i32 = 401;
/// 5.0.0: from here on a compressed registration ends with a section on static topics.
pub const V5_0_0: i32 = 413;

/// The name Java prints for `version`, such as `V5_3_3` for [`VERSION`], as far as it follows the regular
/// numbering of the releases we talk to; `None` for others.
pub fn name(version: i32) -> Option<&'static str> {
    NAMES.iter().find(|(ordinal, _)| *ordinal == version).map(|(_, name)| *name)
}

/// The releases that matter to us, oldest first.
const NAMES: [(i32, &str); 22] = [
    (V3_0_11, "V3_0_11"),
    (V3_1_8_SNAPSHOT, "V3_1_8_SNAPSHOT"),
    (V3_4_9, "V3_4_9"),
    (232, "V4_1_0_SNAPSHOT"),
    (317, "V4_5_2"),
    (333, "V4_6_0"),
    (355, "V4_7_1"),
    (373, "V4_8_0"),
    (393, "V4_9_0"),
    (399, "V4_9_3"),
    (V4_9_4, "V4_9_4"),
    (403, "V4_9_5"),
    (405, "V4_9_6"),
    (407, "V4_9_7"),
    (409, "V4_9_8"),
    (V5_0_0, "V5_0_0"),
    (441, "V5_1_4"),
    (453, "V5_2_0"),
    (473, "V5_3_0"),
    (475, "V5_3_1"),
    (477, "V5_3_2"),
    (VERSION, "V5_3_3"),
];
