//! The two ids of a message: where it lies (made by the broker), and what its sender calls it.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use thiserror::Error;

/// Why a text is not an offset message id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// It has neither the length with an IPv4 nor that with an IPv6 address.
    #[error("message id of {chars} characters, expected {v4} or {v6}", v4 = V4_CHARS, v6 = V6_CHARS)]
    Length {
        /// Its bytes.
        chars: usize,
    },
    /// It is not a hexadecimal number.
    #[error("message id has a character that is not a hexadecimal digit")]
    NotHex,
    /// Its port is not a port number: it is some other kind of id.
    #[error("port {port} in the message id is out of range")]
    Port {
        /// What stands there.
        port: i32,
    },
}

const V4_CHARS: usize = 2 * (4 + size_of::<i32>() + size_of::<i64>());
const V6_CHARS: usize = 2 * (16 + size_of::<i32>() + size_of::<i64>());
const _: () = assert!(V4_CHARS == 32 && V6_CHARS == 56);

/// The id that tells where a message lies: the host that stored it and its commitlog offset, as upper-case
/// hexadecimal digits. Source: Java's `MessageDecoder.createMessageId`.
pub fn offset_message_id(store_host: SocketAddr, physical_offset: i64) -> String {
    let mut id = String::with_capacity(V6_CHARS);
    push_ip(&mut id, store_host.ip().to_canonical());
    push_hex(&mut id, &i32::from(store_host.port()).to_be_bytes());
    push_hex(&mut id, &physical_offset.to_be_bytes());
    id
}

/// Reads an id of [`offset_message_id`]. A unique key has the same lengths and usually fails by its port.
///
/// # Errors
/// If it is not such an id.
pub fn parse_offset_message_id(id: &str) -> Result<(SocketAddr, i64), IdError> {
    let bytes = bytes_of(id)?;
    let (ip, rest) = if let Some((octets, rest)) =
        bytes.split_first_chunk::<4>().filter(|_| id.len() == V4_CHARS)
    {
        (IpAddr::V4(Ipv4Addr::from(*octets)), rest)
    } else {
        let (octets, rest) = bytes.split_first_chunk::<16>().ok_or(IdError::Length { chars: id.len() })?;
        (IpAddr::V6(Ipv6Addr::from(*octets)), rest)
    };
    let (port, offset) = rest.split_first_chunk::<4>().ok_or(IdError::Length { chars: id.len() })?;
    let port = i32::from_be_bytes(*port);
    let port = u16::try_from(port).map_err(|_| IdError::Port { port })?;
    let offset = offset.first_chunk().ok_or(IdError::Length { chars: id.len() })?;
    Ok((SocketAddr::new(ip, port), i64::from_be_bytes(*offset)))
}

fn bytes_of(id: &str) -> Result<Vec<u8>, IdError> {
    if id.len() != V4_CHARS && id.len() != V6_CHARS {
        return Err(IdError::Length { chars: id.len() });
    }
    let digit = |c: u8| char::from(c).to_digit(16).ok_or(IdError::NotHex);
    id.as_bytes().chunks_exact(2).map(|pair| Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

fn push_ip(id: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => push_hex(id, &ip.octets()),
        IpAddr::V6(ip) => push_hex(id, &ip.octets()),
    }
}

fn push_hex(id: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(id, "{byte:02X}").expect("writing to a string never fails");
    }
}

/// Makes unique keys, the id that a sender gives a message: address, process id, a number of the program's run,
/// milliseconds since the start of the month, and a counter. Source: Java's `MessageClientIDSetter`.
///
/// To everybody else the key is an opaque text.
#[derive(Debug)]
pub struct UniqueKeys {
    /// Address, process id and run, as hexadecimal digits.
    prefix: String,
    counter: AtomicU16,
}

impl UniqueKeys {
    /// Keys of one process: its address, the low 16 bits of its id, and a number that differs between its runs
    /// (Java takes the hash of a class loader).
    pub fn new(ip: IpAddr, process_id: u32, run: u32) -> Self {
        let mut prefix = String::with_capacity(V6_CHARS);
        push_ip(&mut prefix, ip);
        push_hex(&mut prefix, &(process_id as u16).to_be_bytes());
        push_hex(&mut prefix, &run.to_be_bytes());
        Self { prefix, counter: AtomicU16::new(0) }
    }

    /// The next key. `now_ms` is the wall clock in milliseconds since 1970; the month is that of UTC.
    pub fn next(&self, now_ms: i64) -> String {
        let in_month_ms = (now_ms - month_start_ms(now_ms)) as u32;
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut key = String::with_capacity(V6_CHARS);
        key.push_str(&self.prefix);
        push_hex(&mut key, &in_month_ms.to_be_bytes());
        push_hex(&mut key, &count.to_be_bytes());
        key
    }
}

/// The first millisecond of the month, in UTC. The day of the month comes from the days-to-civil-date formula over
/// eras of 400 years that begin in March, so that the leap day is the last of its year.
fn month_start_ms(now_ms: i64) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    const ERA_DAYS: i64 = 146_097;
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH_DAYS: i64 = 719_468;
    let days = now_ms.div_euclid(DAY_MS);
    let day_of_era = (days + EPOCH_DAYS).rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5;
    (days - day_of_month) * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_starts_on_its_first_day() {
        let cases = [
            (0, 0),
            (1_700_000_000_000, 1_698_796_800_000), // 2023-11-14 -> 2023-11-01
            (1_709_251_199_999, 1_706_745_600_000), // the last of 2024-02-29 -> 2024-02-01
            (1_709_251_200_000, 1_709_251_200_000), // 2024-03-01
            (-1, -2_678_400_000),                   // 1969-12-31 -> 1969-12-01
        ];
        for (now, start) in cases {
            assert_eq!(month_start_ms(now), start, "now {now}");
        }
    }

    #[test]
    fn unique_keys_have_javas_layout_and_count_up() {
        let keys = UniqueKeys::new("10.0.0.1".parse().unwrap(), 0x1_1A2B, 0x18B4_AAC2);
        assert_eq!(keys.next(1_698_796_800_000 + 0x000F_4240), "0A0000011A2B18B4AAC2000F42400000");
        assert_eq!(keys.next(1_698_796_800_000 + 0x000F_4240), "0A0000011A2B18B4AAC2000F42400001");
    }
}
