//! Message units: parsing, writing, sealing.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::hash::body_crc;
use super::layout::{
    BODY_AT, BODY_CRC_AT, BODY_SIZE_AT, BORN_HOST_AT, BORN_TIMESTAMP_AT, FLAG_AT, MAGIC_AT, MAGIC_V1,
    MAGIC_V2, PHYSICAL_OFFSET_AT, PREPARED_TRANSACTION_OFFSET_AT, PROPERTIES_BYTES_MAX, QUEUE_ID_AT,
    QUEUE_OFFSET_AT, RECONSUME_TIMES_AT, SIZE_AT, STORE_HOST_AT, STORE_TIMESTAMP_AT, SYS_FLAG_AT,
    UNIT_BYTES_MIN, V1_TOPIC_BYTES_MAX, V2_TOPIC_BYTES_MAX, V6_EXTRA_BYTES,
};
use super::sys_flag;

/// What is wrong with a unit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// There are fewer bytes than the unit needs.
    #[error("message unit needs {needed} bytes, {got} are there")]
    Truncated {
        /// What it needs, as far as that is known.
        needed: usize,
        /// What is there.
        got: usize,
    },
    /// More bytes are there than the unit has.
    #[error("message unit of {unit_bytes} bytes is followed by {extra} more")]
    TrailingBytes {
        /// The unit's own size.
        unit_bytes: usize,
        /// The bytes behind it.
        extra: usize,
    },
    /// The size field is negative, or below the shortest unit.
    #[error("message unit claims {size} bytes, the least is {least}")]
    Size {
        /// What it claims.
        size: i32,
        /// [`UNIT_BYTES_MIN`]
        least: usize,
    },
    /// The magic is not that of a unit.
    #[error("magic {magic:#010x} is not that of a message unit")]
    Magic {
        /// What stands there.
        magic: u32,
    },
    /// A length inside the unit is negative.
    #[error("length of the {field} is negative: {length}")]
    NegativeLength {
        /// The field.
        field: &'static str,
        /// The length.
        length: i32,
    },
    /// The lengths inside the unit do not add up to its size.
    #[error("message unit claims {claimed} bytes, its fields have {computed}")]
    SizeMismatch {
        /// What the size field says.
        claimed: usize,
        /// What the fields have.
        computed: usize,
    },
    /// A host has a port that is not a port number.
    #[error("port {port} of the {host} host is out of range")]
    Port {
        /// `born` or `store`
        host: &'static str,
        /// What stands there.
        port: i32,
    },
    /// The topic is not UTF-8.
    #[error("topic is not UTF-8")]
    TopicNotUtf8,
    /// The body is not what the checksum was made of.
    #[error("body checksum is {stored:#010x}, the body has {computed:#010x}")]
    BodyCrc {
        /// What the unit says.
        stored: i32,
        /// What its body has.
        computed: i32,
    },
    /// A field is too long to be written.
    #[error("{field} of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// The field, or the whole unit.
        field: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most it can have.
        limit: usize,
    },
}

/// Which layout a unit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One byte for the length of the topic: what every client reads.
    V1,
    /// Two bytes, for topics above 127 bytes. Only Java 5 reads it.
    V2,
}

/// A parsed unit. It borrows from the bytes it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// The whole unit.
    pub unit: &'a [u8],
    /// Its layout.
    pub version: Version,
    /// Checksum of the stored body. See [`MessageView::verify_body`].
    pub body_crc: i32,
    /// The queue of the topic.
    pub queue_id: i32,
    /// The sender's own flag, stored as it came.
    pub flag: i32,
    /// The place in the queue; 0 for half messages.
    pub queue_offset: i64,
    /// The commitlog offset of the unit's first byte.
    pub physical_offset: i64,
    /// See [`sys_flag`].
    pub sys_flag: i32,
    /// When it was sent, by the sender's clock.
    pub born_timestamp_ms: i64,
    /// Who sent it.
    pub born_host: SocketAddr,
    /// When it was stored, by the broker's clock.
    pub store_timestamp_ms: i64,
    /// Who stored it.
    pub store_host: SocketAddr,
    /// How often a consumer has sent it back.
    pub reconsume_times: i32,
    /// The commitlog offset of the half message, in the final one of a transaction; else 0.
    pub prepared_transaction_offset: i64,
    /// The body as stored, perhaps compressed.
    pub body: &'a [u8],
    /// The topic.
    pub topic: &'a str,
    /// The properties text, see [`super::properties`]. Invalid UTF-8 has become U+FFFD.
    pub properties: Cow<'a, str>,
}

impl MessageView<'_> {
    /// The size of the unit in bytes.
    pub fn unit_bytes(&self) -> usize {
        self.unit.len()
    }

    /// The value of a property, if the message has it.
    pub fn property(&self, name: &str) -> Option<&str> {
        super::properties::get(&self.properties, name)
    }

    /// The tag hash that the consume queue keeps for this message.
    pub fn tag_hash(&self) -> i64 {
        super::hash::tag_hash(self.property(super::properties::TAGS).unwrap_or_default())
    }

    /// Compares the body with its checksum. A checksum of 0 says that none was made.
    ///
    /// # Errors
    /// If they differ.
    pub fn verify_body(&self) -> Result<(), UnitError> {
        let computed = body_crc(self.body);
        if self.body_crc == 0 || self.body_crc == computed {
            return Ok(());
        }
        Err(UnitError::BodyCrc { stored: self.body_crc, computed })
    }
}

/// The size that the unit at the front of `prefix` claims, checked against its magic and the shortest unit, not
/// against the bytes that are there.
///
/// # Errors
/// If 8 bytes are not there, or no unit begins here.
pub fn unit_size(prefix: &[u8]) -> Result<usize, UnitError> {
    if prefix.len() < BODY_CRC_AT {
        return Err(UnitError::Truncated { needed: BODY_CRC_AT, got: prefix.len() });
    }
    let size = read_i32(prefix, SIZE_AT);
    let magic = read_i32(prefix, MAGIC_AT) as u32;
    if magic != MAGIC_V1 && magic != MAGIC_V2 {
        return Err(UnitError::Magic { magic });
    }
    let bytes = usize::try_from(size).ok().filter(|bytes| *bytes >= UNIT_BYTES_MIN);
    bytes.ok_or(UnitError::Size { size, least: UNIT_BYTES_MIN })
}

/// Parses one unit, which `unit` holds from its first to its last byte. The body's checksum is not compared.
///
/// # Errors
/// If the bytes are not such a unit. Every length is checked before it is used.
pub fn parse(unit: &[u8]) -> Result<MessageView<'_>, UnitError> {
    let claimed = unit_size(unit)?;
    if unit.len() < claimed {
        return Err(UnitError::Truncated { needed: claimed, got: unit.len() });
    }
    if unit.len() > claimed {
        return Err(UnitError::TrailingBytes { unit_bytes: claimed, extra: unit.len() - claimed });
    }
    let version = if read_i32(unit, MAGIC_AT) as u32 == MAGIC_V1 { Version::V1 } else { Version::V2 };
    let sys_flag = read_i32(unit, SYS_FLAG_AT);
    let (born_extra, store_extra) = host_extras(sys_flag);
    let extra = born_extra + store_extra;
    if unit.len() < UNIT_BYTES_MIN + extra {
        return Err(UnitError::Truncated { needed: UNIT_BYTES_MIN + extra, got: unit.len() });
    }

    let mut tail = Tail { unit, at: BODY_AT + extra };
    let body_bytes = read_i32(unit, BODY_SIZE_AT + extra);
    let body = tail.take("body", body_bytes)?;
    let topic_bytes = match version {
        Version::V1 => i32::from(tail.array::<1>()?[0]),
        Version::V2 => i32::from(i16::from_be_bytes(tail.array()?)),
    };
    let topic = tail.take("topic", topic_bytes)?;
    let properties_bytes = i32::from(i16::from_be_bytes(tail.array()?));
    let properties = tail.take("properties", properties_bytes)?;
    if tail.at != claimed {
        return Err(UnitError::SizeMismatch { claimed, computed: tail.at });
    }

    Ok(MessageView {
        unit,
        version,
        body_crc: read_i32(unit, BODY_CRC_AT),
        queue_id: read_i32(unit, QUEUE_ID_AT),
        flag: read_i32(unit, FLAG_AT),
        queue_offset: read_i64(unit, QUEUE_OFFSET_AT),
        physical_offset: read_i64(unit, PHYSICAL_OFFSET_AT),
        sys_flag,
        born_timestamp_ms: read_i64(unit, BORN_TIMESTAMP_AT),
        born_host: read_host(unit, BORN_HOST_AT, born_extra > 0, "born")?,
        store_timestamp_ms: read_i64(unit, STORE_TIMESTAMP_AT + born_extra),
        store_host: read_host(unit, STORE_HOST_AT + born_extra, store_extra > 0, "store")?,
        reconsume_times: read_i32(unit, RECONSUME_TIMES_AT + extra),
        prepared_transaction_offset: read_i64(unit, PREPARED_TRANSACTION_OFFSET_AT + extra),
        body,
        topic: std::str::from_utf8(topic).map_err(|_| UnitError::TopicNotUtf8)?,
        properties: String::from_utf8_lossy(properties),
    })
}

/// By how much a unit's born host and its store host are longer than IPv4 ones.
fn host_extras(sys_flag: i32) -> (usize, usize) {
    let extra = |bit: i32| if sys_flag & bit == 0 { 0 } else { V6_EXTRA_BYTES };
    (extra(sys_flag::BORN_HOST_V6), extra(sys_flag::STORE_HOST_V6))
}

/// A unit's prepared-transaction offset, read without looking at the rest.
///
/// # Errors
/// If the unit ends before it.
pub fn prepared_transaction_offset(unit: &[u8]) -> Result<i64, UnitError> {
    if unit.len() < UNIT_BYTES_MIN {
        return Err(UnitError::Truncated { needed: UNIT_BYTES_MIN, got: unit.len() });
    }
    let (born_extra, store_extra) = host_extras(read_i32(unit, SYS_FLAG_AT));
    let at = PREPARED_TRANSACTION_OFFSET_AT + born_extra + store_extra;
    let needed = at + size_of::<i64>();
    if unit.len() < needed {
        return Err(UnitError::Truncated { needed, got: unit.len() });
    }
    Ok(read_i64(unit, at))
}

/// The part of a unit whose offsets depend on lengths inside it.
struct Tail<'a> {
    unit: &'a [u8],
    at: usize,
}

impl<'a> Tail<'a> {
    fn take(&mut self, field: &'static str, length: i32) -> Result<&'a [u8], UnitError> {
        let bytes = usize::try_from(length).map_err(|_| UnitError::NegativeLength { field, length })?;
        let end = self.at + bytes;
        let taken = self.unit.get(self.at..end);
        let taken = taken.ok_or(UnitError::SizeMismatch { claimed: self.unit.len(), computed: end })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnitError> {
        let rest = &self.unit[self.at..];
        let computed = self.at + N;
        let taken = rest.first_chunk::<N>();
        let taken = taken.ok_or(UnitError::SizeMismatch { claimed: self.unit.len(), computed })?;
        self.at = computed;
        Ok(*taken)
    }
}

fn read_i32(bytes: &[u8], at: usize) -> i32 {
    let field = bytes[at..].first_chunk().expect("the caller has checked the length");
    i32::from_be_bytes(*field)
}

fn read_i64(bytes: &[u8], at: usize) -> i64 {
    let field = bytes[at..].first_chunk().expect("the caller has checked the length");
    i64::from_be_bytes(*field)
}

fn read_host(unit: &[u8], at: usize, is_v6: bool, host: &'static str) -> Result<SocketAddr, UnitError> {
    let rest = &unit[at..];
    let (ip, port_at) = if is_v6 {
        let octets: [u8; 16] = *rest.first_chunk().expect("the caller has checked the length");
        (IpAddr::V6(Ipv6Addr::from(octets)), at + 16)
    } else {
        let octets: [u8; 4] = *rest.first_chunk().expect("the caller has checked the length");
        (IpAddr::V4(Ipv4Addr::from(octets)), at + 4)
    };
    let port = read_i32(unit, port_at);
    let port = u16::try_from(port).map_err(|_| UnitError::Port { host, port })?;
    Ok(SocketAddr::new(ip, port))
}

/// What a unit is made of, but for what only the log knows: its queue offset, commitlog offset and store timestamp.
#[derive(Debug, Clone, Copy)]
pub struct UnitFields<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue of the topic.
    pub queue_id: i32,
    /// The sender's own flag.
    pub flag: i32,
    /// See [`sys_flag`]. Its two host bits are not taken from here but from the hosts.
    pub sys_flag: i32,
    /// When it was sent, by the sender's clock.
    pub born_timestamp_ms: i64,
    /// Who sent it. IPv4 in IPv6 is stored as IPv4, for C++ and Go clients cannot read IPv6.
    pub born_host: SocketAddr,
    /// Who stores it; likewise.
    pub store_host: SocketAddr,
    /// How often a consumer has sent it back.
    pub reconsume_times: i32,
    /// The commitlog offset of the half message, or 0.
    pub prepared_transaction_offset: i64,
    /// The body, perhaps compressed.
    pub body: &'a [u8],
    /// The properties text, see [`super::properties`].
    pub properties: &'a str,
}

impl<'a> UnitFields<'a> {
    /// What `view` was made of, for a copy that differs in a few fields. The properties text is `properties`, for the
    /// view's own may be only as long-lived as the view.
    pub fn copy_of(view: &MessageView<'a>, properties: &'a str) -> Self {
        Self {
            topic: view.topic,
            queue_id: view.queue_id,
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp_ms: view.born_timestamp_ms,
            born_host: view.born_host,
            store_host: view.store_host,
            reconsume_times: view.reconsume_times,
            prepared_transaction_offset: view.prepared_transaction_offset,
            body: view.body,
            properties,
        }
    }

    /// How many bytes the unit will have.
    ///
    /// # Errors
    /// If a field is too long.
    pub fn unit_bytes(&self) -> Result<usize, UnitError> {
        let limited = |field, bytes: usize, limit: usize| {
            if bytes > limit { Err(UnitError::TooLong { field, bytes, limit }) } else { Ok(()) }
        };
        limited("topic", self.topic.len(), V2_TOPIC_BYTES_MAX)?;
        limited("properties", self.properties.len(), PROPERTIES_BYTES_MAX)?;
        let hosts_extra = [self.born_host, self.store_host].iter().filter(|host| is_v6(**host)).count();
        let rest = UNIT_BYTES_MIN
            + hosts_extra * V6_EXTRA_BYTES
            + usize::from(self.version() == Version::V2)
            + self.topic.len()
            + self.properties.len();
        limited("body", self.body.len(), i32::MAX as usize - rest)?;
        Ok(rest + self.body.len())
    }

    /// Which layout the unit will have.
    pub fn version(&self) -> Version {
        if self.topic.len() > V1_TOPIC_BYTES_MAX { Version::V2 } else { Version::V1 }
    }
}

/// Whether a host is stored with 16 bytes.
fn is_v6(host: SocketAddr) -> bool {
    matches!(host.ip().to_canonical(), IpAddr::V6(_))
}

/// Appends a unit: version 1, or 2 for a topic above 127 bytes. Queue offset, commitlog offset and store timestamp
/// are 0 in it until [`seal_unit`].
///
/// # Errors
/// If a field is too long; `out` is unchanged then.
///
/// # Panics
/// If the bytes written are not as many as were computed, which would be our own mistake.
pub fn encode_unit(fields: &UnitFields<'_>, out: &mut BytesMut) -> Result<(), UnitError> {
    let unit_bytes = fields.unit_bytes()?;
    let start = out.len();
    out.reserve(unit_bytes);
    let mut sys_flag = sys_flag::without_host_bits(fields.sys_flag);
    sys_flag |= if is_v6(fields.born_host) { sys_flag::BORN_HOST_V6 } else { 0 };
    sys_flag |= if is_v6(fields.store_host) { sys_flag::STORE_HOST_V6 } else { 0 };

    out.put_i32(unit_bytes as i32);
    out.put_u32(if fields.version() == Version::V1 { MAGIC_V1 } else { MAGIC_V2 });
    out.put_i32(body_crc(fields.body));
    out.put_i32(fields.queue_id);
    out.put_i32(fields.flag);
    out.put_i64(0); // queue offset
    out.put_i64(0); // commitlog offset
    out.put_i32(sys_flag);
    out.put_i64(fields.born_timestamp_ms);
    put_host(out, fields.born_host);
    out.put_i64(0); // store timestamp
    put_host(out, fields.store_host);
    out.put_i32(fields.reconsume_times);
    out.put_i64(fields.prepared_transaction_offset);
    out.put_i32(fields.body.len() as i32);
    out.put_slice(fields.body);
    match fields.version() {
        Version::V1 => out.put_u8(fields.topic.len() as u8),
        Version::V2 => out.put_i16(fields.topic.len() as i16),
    }
    out.put_slice(fields.topic.as_bytes());
    out.put_i16(fields.properties.len() as i16);
    out.put_slice(fields.properties.as_bytes());
    assert!(out.len() - start == unit_bytes, "unit of {} bytes, computed {unit_bytes}", out.len() - start);
    Ok(())
}

fn put_host(out: &mut BytesMut, host: SocketAddr) {
    match host.ip().to_canonical() {
        IpAddr::V4(ip) => out.put_slice(&ip.octets()),
        IpAddr::V6(ip) => out.put_slice(&ip.octets()),
    }
    out.put_i32(i32::from(host.port()));
}

/// Writes the three fields of a unit that only the log knows.
///
/// # Panics
/// If `unit` is not one whole unit.
pub fn seal_unit(unit: &mut [u8], queue_offset: i64, physical_offset: i64, store_timestamp_ms: i64) {
    let claimed = unit_size(unit);
    assert!(claimed == Ok(unit.len()), "sealing {} bytes that claim {claimed:?}", unit.len());
    let born_is_v6 = read_i32(unit, SYS_FLAG_AT) & sys_flag::BORN_HOST_V6 != 0;
    let store_timestamp_at = STORE_TIMESTAMP_AT + if born_is_v6 { V6_EXTRA_BYTES } else { 0 };
    let mut put =
        |at: usize, value: i64| unit[at..at + size_of::<i64>()].copy_from_slice(&value.to_be_bytes());
    put(QUEUE_OFFSET_AT, queue_offset);
    put(PHYSICAL_OFFSET_AT, physical_offset);
    put(store_timestamp_at, store_timestamp_ms);
}

/// Walks over units that lie end to end, as in a pull answer. Each item is one whole unit, not yet parsed; after
/// an error nothing more comes.
pub fn walk(units: &[u8]) -> Walk<'_> {
    Walk { rest: units }
}

/// The iterator of [`walk`].
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<&'a [u8], UnitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let next = unit_size(self.rest).and_then(|needed| {
            let got = self.rest.len();
            self.rest.split_at_checked(needed).ok_or(UnitError::Truncated { needed, got })
        });
        let (unit, rest) = next.as_ref().map_or((&[][..], &[][..]), |split| *split);
        self.rest = rest;
        Some(next.map(|_| unit))
    }
}
