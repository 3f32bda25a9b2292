//! Bits of a message's system flag. Source: Java's `MessageSysFlag`.

/// The body is compressed, by what [`COMPRESSION_TYPE_MASK`] says.
pub const COMPRESSED: i32 = 0x1;
/// The topic has the filter type `MULTI_TAG`.
pub const MULTI_TAGS: i32 = 0x2;
/// The bits of the transaction state.
pub const TRANSACTION_MASK: i32 = 0xC;
/// Transaction state: not part of a transaction.
pub const TRANSACTION_NONE: i32 = 0;
/// Transaction state: a half message.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// Transaction state: the final message of a transaction.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// Transaction state: rolled back.
pub const TRANSACTION_ROLLBACK: i32 = 0xC;
/// The born host is IPv6. Only who stores the message may set it.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is IPv6. Only who stores the message may set it.
pub const STORE_HOST_V6: i32 = 0x20;
/// An inner batch that clients take apart.
pub const NEED_UNWRAP: i32 = 0x40;
/// An inner batch.
pub const INNER_BATCH: i32 = 0x80;
/// The bits of the compression type; none set means zlib, as old clients have it.
pub const COMPRESSION_TYPE_MASK: i32 = 0x700;
/// Compression type: LZ4 frames.
pub const COMPRESSION_LZ4: i32 = 0x100;
/// Compression type: Zstandard.
pub const COMPRESSION_ZSTD: i32 = 0x200;
/// Compression type: zlib.
pub const COMPRESSION_ZLIB: i32 = 0x300;

/// The flag of an incoming message without the two bits that tell how hosts are stored. A client that sets them
/// would make the record unreadable: Java keeps them, and loses the message (recorded).
pub fn without_host_bits(sys_flag: i32) -> i32 {
    sys_flag & !(BORN_HOST_V6 | STORE_HOST_V6)
}

/// The transaction state, one of the four `TRANSACTION_…` values.
pub fn transaction(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_MASK
}

/// The flag with another transaction state.
pub fn with_transaction(sys_flag: i32, state: i32) -> i32 {
    (sys_flag & !TRANSACTION_MASK) | (state & TRANSACTION_MASK)
}
