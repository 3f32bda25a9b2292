//! The bytes that every version of every kind once had, kept in the tree, and the two questions asked of them.
//!
//! `testdata/<name>-v<version>.bin` holds the sample records of one version, one behind the other, and is written
//! once: with `TRIREME_WRITE_GOLDEN=1` a test adds a file that is missing, and never touches one that is there.

use std::fmt::Debug;
use std::path::Path;

use super::{Record, decode_first, encode_into};

/// Holds `newest`, the samples of today's version, against the golden bytes in `dir`, and reads the golden bytes
/// of every version in `old` as what they stood for.
///
/// # Panics
/// If an old version does not decode to its samples, if today's bytes are not the newest golden ones, or if a
/// version has no golden bytes.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test reads its own data")]
pub fn check<R: Record + PartialEq + Debug>(dir: &Path, newest: &[R], old: &[(u16, &[R])]) {
    let name = R::NAME;
    let path = |version: u16| dir.join(format!("{name}-v{version}.bin"));
    let mut today = Vec::new();
    for sample in newest {
        encode_into(sample, &mut today).expect("a sample fits its limit");
    }
    let file = path(R::VERSION);
    if std::env::var_os("TRIREME_WRITE_GOLDEN").is_some() && !file.exists() {
        std::fs::create_dir_all(dir).expect("testdata can be made");
        std::fs::write(&file, &today).expect("golden bytes can be written");
    }
    let versions = old.iter().copied().chain([(R::VERSION, newest)]);
    let told: Vec<u16> = versions.clone().map(|(version, _)| version).collect();
    let wanted: Vec<u16> = (R::OLDEST..=R::VERSION).collect();
    assert_eq!(told, wanted, "{name}: every version that is read has its samples, in order");
    for (version, samples) in versions {
        let file = path(version);
        let golden = std::fs::read(&file).unwrap_or_else(|error| {
            panic!("{}: {error}: add the golden bytes of {name} with TRIREME_WRITE_GOLDEN=1", file.display())
        });
        let mut rest = golden.as_slice();
        for sample in samples {
            let read: R = decode_first(&mut rest)
                .unwrap_or_else(|error| panic!("{name} version {version} is not read any more: {error}"));
            assert_eq!(read, *sample, "{name} version {version} does not stand for what it stood for");
        }
        assert!(rest.is_empty(), "{name} version {version}: {} golden bytes are left over", rest.len());
        assert!(
            version != R::VERSION || golden == today,
            "{name} is not written as it was: raise the version of {name}, keep the reader of the old one, and \
             add its golden bytes"
        );
    }
}
