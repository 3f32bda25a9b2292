//! The recorded bytes, read at compile time: see `tests/vectors/README.md`.

use serde_json::Value;

macro_rules! frame_files {
    ($($name:literal),+ $(,)?) => {
        /// The recorded frames by the name of their file.
        const FRAME_FILES: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../vectors/frames/", $name, ".bin")))),+];
    };
}

frame_files!(
    "client-cpp-3.1.8-broker-5.3.3",
    "client-cpp-3.1.8-namesrv-5.3.3",
    "client-cpp-4.6.0-broker-5.3.3",
    "client-cpp-4.6.0-namesrv-5.3.3",
    "client-go-4.5.2-broker-5.3.3",
    "client-go-4.5.2-namesrv-5.3.3",
    "client-java-3.4.9-broker-5.3.3",
    "client-java-3.4.9-namesrv-5.3.3",
    "client-java-4.9.7-broker-4.9.7",
    "client-java-4.9.7-broker-5.3.3",
    "client-java-4.9.7-namesrv-4.9.7",
    "client-java-4.9.7-namesrv-5.3.3",
    "client-java-5.3.3-broker-4.9.7",
    "client-java-5.3.3-broker-5.3.3",
    "client-java-5.3.3-broker-5.3.3-binary",
    "client-java-5.3.3-namesrv-4.9.7",
    "client-java-5.3.3-namesrv-5.3.3",
    "client-java-5.3.3-namesrv-5.3.3-binary",
    "handmade-broker-4.9.7",
    "handmade-broker-5.3.3",
    "handmade-broker-5.3.3-binary",
    "handmade-namesrv-4.9.7",
    "handmade-namesrv-5.3.3",
    "handmade-namesrv-5.3.3-binary",
    "pushed-by-broker-4.9.7",
    "pushed-by-broker-5.3.3",
    "pushed-by-broker-5.3.3-binary",
);

/// One recorded frame.
pub struct Recorded {
    /// Its line of the index.
    pub line: Value,
    /// Its bytes, the length included.
    pub bytes: &'static [u8],
}

impl Recorded {
    /// What to call it when a check fails.
    pub fn name(&self) -> String {
        format!("frame {} ({}, {})", self.line["id"], self.line["file"], self.line["scenario"])
    }

    /// The code of a request, or of the request that a response answers; -1 if the index does not say.
    pub fn request_code(&self) -> i64 {
        let code = if self.is_request() { &self.line["code"] } else { &self.line["request_code"] };
        code.as_i64().unwrap_or(-1)
    }

    pub fn is_request(&self) -> bool {
        self.line["kind"] == "request"
    }

    pub fn scenario(&self) -> &str {
        self.line["scenario"].as_str().unwrap()
    }

    /// What follows the header.
    pub fn body(&self) -> &'static [u8] {
        let bytes = self.line["body_length"].as_u64().unwrap_or(0) as usize;
        &self.bytes[self.bytes.len() - bytes..]
    }
}

/// All recorded frames.
pub fn frames() -> Vec<Recorded> {
    let index = include_str!("../vectors/frames/index.jsonl");
    let frames: Vec<_> = lines(index)
        .map(|line| {
            let (_, file) = FRAME_FILES.iter().find(|(name, _)| line["file"] == *name).unwrap();
            let offset = line["offset"].as_u64().unwrap() as usize;
            let bytes = &file[offset..][..line["length"].as_u64().unwrap() as usize];
            Recorded { line, bytes }
        })
        .collect();
    assert!(frames.len() > 3500, "only {} frames", frames.len());
    frames
}

/// The recorded broken input and what brokers did with it.
pub fn malformed() -> Vec<Value> {
    lines(include_str!("../vectors/malformed.jsonl")).collect()
}

/// One recorded message unit: its listing by Java's library, and its bytes.
pub struct RecordedUnit {
    pub line: Value,
    pub bytes: &'static [u8],
}

/// The message units of three stores.
pub fn units() -> Vec<RecordedUnit> {
    let stores: [(&str, &[u8]); 3] = [
        (
            include_str!("../vectors/units/broker-5.3.3.jsonl"),
            include_bytes!("../vectors/units/broker-5.3.3.bin"),
        ),
        (
            include_str!("../vectors/units/broker-4.9.7.jsonl"),
            include_bytes!("../vectors/units/broker-4.9.7.bin"),
        ),
        (
            include_str!("../vectors/units/broker-5.3.3-ipv6-propcrc.jsonl"),
            include_bytes!("../vectors/units/broker-5.3.3-ipv6-propcrc.bin"),
        ),
    ];
    let mut units = Vec::new();
    for (listing, mut rest) in stores {
        for line in lines(listing) {
            let (bytes, behind) = rest.split_at(line["length"].as_u64().unwrap() as usize);
            rest = behind;
            units.push(RecordedUnit { line, bytes });
        }
        assert!(rest.is_empty(), "{} bytes are in no listing", rest.len());
    }
    units
}

fn lines(text: &'static str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The cases of a golden table, each as version 5.3.3 has it.
pub fn cases(table: &str) -> Vec<Value> {
    cases_of(table, "5.3.3")
}

/// The cases of a golden table, each as `version` has it.
pub fn cases_of(table: &str, version: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(table).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
        .iter()
        .map(|case| {
            let mut case = case.clone();
            let differs = case.as_object_mut().unwrap().remove("differs");
            if let Some(Value::Object(own)) =
                differs.and_then(|mut differs| differs.get_mut(version).map(Value::take))
            {
                case.as_object_mut().unwrap().extend(own);
            }
            case
        })
        .collect()
}

/// The values of a golden table of constants, as version 5.3.3 has them.
pub fn constants(table: &str) -> Vec<(String, Value)> {
    let table: Value = serde_json::from_str(table).unwrap();
    let values = table["values"].get("5.3.3").unwrap_or(&table["values"]);
    values.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The bytes of hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// Whether a recorded result is a thrown exception.
pub fn is_exception(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("EXC "))
}
