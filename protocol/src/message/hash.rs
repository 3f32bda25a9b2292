//! Java's hashes, on which tags, keys and bodies depend.

/// Java's `String.hashCode`: over UTF-16 units, `h = 31 * h + unit`, wrapping.
pub fn java_hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The tag hash of a consume queue's unit: the hash code of the `TAGS` property, sign-extended; 0 for no tags.
pub fn tag_hash(tags: &str) -> i64 {
    i64::from(java_hash_code(tags))
}

/// The hash under which the key index files `topic#key`: the hash code without its sign. The one number whose sign
/// cannot be taken away becomes 0. Source: Java's `IndexFile`.
pub fn index_key_hash(topic_and_key: &str) -> i32 {
    java_hash_code(topic_and_key).checked_abs().unwrap_or(0)
}

/// The checksum of a stored body: CRC-32 (IEEE) without its top bit. Source: Java's `UtilAll.crc32`.
pub fn body_crc(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF) as i32
}
