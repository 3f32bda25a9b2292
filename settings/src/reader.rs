//! The typed side: asks for one name after the other, and gathers what is wrong instead of stopping at it.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::properties::{covers, meant};
use crate::{Entry, Notice, Place, Properties, Refusal, Refusals};

/// Names that are known without being asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary {
    /// Other spellings, each with the name it is taken for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Accepted and without effect. A pattern may hold one `*`.
    pub without_effect: &'static [&'static str],
}

/// One value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The name asked for.
    pub name: &'static str,
    /// As a file would have it; empty where unset.
    pub value: String,
    /// Where it was set; `None` is the default.
    pub place: Option<Place>,
}

/// A line of a property file that sets this value.
impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        write!(f, "{}={value}", self.name)
    }
}

/// What a reader leaves behind when nothing was refused.
#[derive(Clone, Debug)]
pub struct Values {
    /// Every name asked for, in that order.
    pub in_force: Vec<InForce>,
    /// What the operator should know.
    pub notices: Vec<Notice>,
}

/// Reads known names out of [`Properties`].
///
/// Each getter returns a usable value even where the written one is refused (then the default), so that reading
/// goes on and finds the other errors; [`Reader::finish`] tells all of them.
pub struct Reader {
    properties: Properties,
    without_effect: &'static [&'static str],
    in_force: Vec<InForce>,
    notices: Vec<Notice>,
    refusals: Vec<Refusal>,
}

impl Reader {
    /// Takes aliases for the names they stand for.
    pub fn new(mut properties: Properties, vocabulary: Vocabulary) -> Self {
        let mut notices = Vec::new();
        for (alias, name) in vocabulary.aliases {
            notices.extend(properties.rename(alias, name).into_iter().map(|entry| Notice::Alias {
                key: entry.key,
                name: (*name).to_owned(),
                place: entry.place,
            }));
        }
        let without_effect = vocabulary.without_effect;
        Self { properties, without_effect, in_force: Vec::new(), notices, refusals: Vec::new() }
    }

    /// Any text; `default` where the name is not set.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.parsed(name, default.to_owned(), "", |text| Some(text.to_owned()), Clone::clone)
    }

    /// Any text; `None` where the name is not set, or set to nothing.
    pub fn optional_text(&mut self, name: &'static str) -> Option<String> {
        Some(self.text(name, "")).filter(|text| !text.is_empty())
    }

    /// Java's rule: `true` in any case is true, all else is false. What is neither earns a notice.
    pub fn bool(&mut self, name: &'static str, default: bool) -> bool {
        let value = self.parsed(
            name,
            default,
            "",
            |text| Some(text.eq_ignore_ascii_case("true")),
            ToString::to_string,
        );
        if let Some(Entry { value: written, place, .. }) = self.properties.get(name)
            && !value
            && !written.eq_ignore_ascii_case("false")
        {
            let (key, value, place) = (name.to_owned(), written.clone(), place.clone());
            self.notices.push(Notice::OddBoolean { key, value, place });
        }
        value
    }

    /// `true` or `false` in any case, and nothing else: for what is too grave to be taken for false by a slip.
    pub fn strict_bool(&mut self, name: &'static str, default: bool) -> bool {
        let parse = |text: &str| match text {
            _ if text.eq_ignore_ascii_case("true") => Some(true),
            _ if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        self.parsed(name, default, "true or false", parse, ToString::to_string)
    }

    /// A whole number of `range`; `unit` stands in the message, as in `a whole number of ms from 1 to 10`.
    pub fn integer(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> u64 {
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        let allowed = format!("a whole number{of} from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(name, default, &allowed, parse, ToString::to_string)
    }

    /// As [`Reader::integer`]; `None` where the name is not set, or set to nothing.
    pub fn optional_integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<u64> {
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        let allowed = format!("a whole number{of} from {} to {}", range.start(), range.end());
        let parse = |text: &str| match text {
            "" => Some(None),
            _ => text.parse().ok().filter(|number| range.contains(number)).map(Some),
        };
        self.parsed(name, None, &allowed, parse, |value| {
            value.map_or_else(String::new, |value| value.to_string())
        })
    }

    /// One of a few words (case counts), each with what it means.
    pub fn one_of<T: Clone + PartialEq>(
        &mut self,
        name: &'static str,
        default: &T,
        words: &[(&str, T)],
    ) -> T {
        let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.parsed(
            name,
            default.clone(),
            &allowed.join(" or "),
            |text| words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone()),
            |value| {
                words
                    .iter()
                    .find(|(_, of)| of == value)
                    .map_or_else(String::new, |(word, _)| (*word).to_owned())
            },
        )
    }

    /// An IP address that this machine may listen on.
    pub fn ip(&mut self, name: &'static str, default: IpAddr) -> IpAddr {
        self.parsed(
            name,
            default,
            "an IP address of this machine",
            |text| text.parse().ok(),
            ToString::to_string,
        )
    }

    /// Texts between `separator`, trimmed, empty ones left out.
    pub fn list(&mut self, name: &'static str, separator: char) -> Vec<String> {
        let parse = |text: &str| {
            let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(str::to_owned).collect::<Vec<_>>())
        };
        self.parsed(name, Vec::new(), "", parse, |parts| parts.join(&separator.to_string()))
    }

    /// Anything: `parse` returns `None` for what is not `allowed`, `write` is how a file would have it.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        write: impl FnOnce(&T) -> String,
    ) -> T {
        debug_assert!(self.in_force.iter().all(|known| known.name != name), "{name} is read twice");
        let entry = self.properties.get(name);
        let parsed = entry.map(|entry| parse(&entry.value));
        if let (Some(entry), Some(None)) = (entry, &parsed) {
            self.refusals.push(Refusal::Value {
                key: name.to_owned(),
                value: entry.value.clone(),
                place: entry.place.clone(),
                allowed: allowed.to_owned(),
            });
        }
        let value = parsed.flatten().unwrap_or(default);
        let place = entry.map(|entry| entry.place.clone());
        self.in_force.push(InForce { name, value: write(&value), place });
        value
    }

    /// Whether the name is set to anything, well or badly.
    pub fn is_set(&self, name: &str) -> bool {
        self.properties.get(name).is_some_and(|entry| !entry.value.is_empty())
    }

    /// Replaces the value in force of a name already asked for by one that follows from others, for the listing.
    ///
    /// # Panics
    /// If the name was not asked for.
    pub fn derive(&mut self, name: &'static str, value: impl Into<String>) {
        let known = self.in_force.iter_mut().find(|known| known.name == name);
        known.unwrap_or_else(|| panic!("{name} is derived before it is read")).value = value.into();
    }

    /// Refuses a value that parsed: `allowed` says what it may be.
    pub fn refuse_value(&mut self, name: &str, allowed: impl Into<String>) {
        if let Some(entry) = self.properties.get(name) {
            self.refusals.push(Refusal::Value {
                key: name.to_owned(),
                value: entry.value.clone(),
                place: entry.place.clone(),
                allowed: allowed.into(),
            });
        } else {
            self.refuse(&[name], format!("{name}: allowed is {}", allowed.into()));
        }
    }

    /// Refuses values that cannot stand together; those of `names` that are set are quoted.
    pub fn refuse(&mut self, names: &[&str], why: impl Into<String>) {
        let set = names.iter().filter_map(|name| self.properties.get(name));
        let set = set.map(|entry| (entry.key.clone(), entry.value.clone(), entry.place.clone())).collect();
        self.refusals.push(Refusal::Together { set, why: why.into() });
    }

    /// Says that a name already asked for changes nothing here, where it is set.
    pub fn has_no_effect(&mut self, name: &str) {
        if let Some(Entry { key, place, .. }) = self.properties.get(name) {
            self.notices.push(Notice::WithoutEffect { key: key.clone(), place: place.clone() });
        }
    }

    /// Adds a warning.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.notices.push(Notice::Warning(text.into()));
    }

    /// Ends the reading: what was never asked for is unknown, or without effect.
    ///
    /// # Errors
    /// Every refusal there was.
    pub fn finish(mut self) -> Result<Values, Refusals> {
        let mut seen: Vec<&Entry> = Vec::new();
        for entry in self.properties.entries() {
            let earlier = seen.iter().rev().find(|seen| seen.key == entry.key);
            if let Some(notice) = earlier.and_then(|earlier| repeated(earlier, entry)) {
                self.notices.push(notice);
            }
            let is_new = earlier.is_none();
            seen.push(entry);
            if !is_new || self.in_force.iter().any(|known| known.name == entry.key) {
                continue;
            }
            let (key, place) = (entry.key.clone(), entry.place.clone());
            if self.without_effect.iter().any(|pattern| covers(pattern, &key)) {
                self.notices.push(Notice::WithoutEffect { key, place });
            } else {
                let nearest = meant(&key, self.in_force.iter().map(|known| known.name)).map(str::to_owned);
                self.notices.push(Notice::Unknown { key, place, nearest });
            }
        }
        if self.refusals.is_empty() {
            Ok(Values { in_force: self.in_force, notices: self.notices })
        } else {
            Err(Refusals { refusals: self.refusals, notices: self.notices })
        }
    }
}

/// Twice in one file is probably a slip; a file overruled by the command line is not.
fn repeated(earlier: &Entry, later: &Entry) -> Option<Notice> {
    match (&earlier.place, &later.place) {
        (Place::Line { file: one, .. }, Place::Line { file: other, .. }) if one == other => {
            Some(Notice::Repeated {
                key: later.key.clone(),
                earlier: earlier.place.clone(),
                place: later.place.clone(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: Vocabulary = Vocabulary {
        aliases: &[("enableDLedgerCommitLog", "enableDLegerCommitLog")],
        without_effect: &["*ThreadPoolNums", "forceRegister"],
    };

    fn reader(text: &str) -> Reader {
        Reader::new(Properties::parse(text.as_bytes(), "b.conf").unwrap(), VOCABULARY)
    }

    #[test]
    fn values_are_typed_and_defaults_hold_where_nothing_is_set() {
        let mut reader =
            reader("port=80\non=TRUE\noff=0\nmode=SYNC\nlist = a; ;b\nname=x\nmaybe=7\nnothing=\nnone=");
        assert_eq!(reader.integer("port", 1, 1..=65535, ""), 80);
        assert_eq!(reader.integer("other", 9, 0..=10, "ms"), 9);
        assert_eq!(reader.optional_integer("maybe", 0..=10, ""), Some(7));
        assert_eq!(reader.optional_integer("never", 0..=10, ""), None);
        assert_eq!(reader.optional_integer("none", 0..=10, ""), None);
        assert!(reader.bool("on", false));
        assert!(!reader.bool("off", true));
        assert!(reader.bool("unset", true));
        assert_eq!(reader.one_of("mode", &2, &[("SYNC", 1), ("ASYNC", 2)]), 1);
        assert_eq!(reader.list("list", ';'), ["a", "b"]);
        assert_eq!(reader.text("name", "y"), "x");
        assert_eq!(reader.optional_text("nothing"), None);
        let values = reader.finish().unwrap();
        let in_force: Vec<_> = values.in_force.iter().map(ToString::to_string).collect();
        let expected = "port=80 other=9 maybe=7 never= none= on=true off=false unset=true mode=SYNC list=a;b name=x nothing=";
        assert_eq!(in_force.join(" "), expected);
        assert_eq!(values.in_force[0].place.as_ref().unwrap().to_string(), "b.conf line 1");
        assert_eq!(values.in_force[1].place, None);
        assert_eq!(
            values.notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [r#"b.conf line 3: off = "0" counts as false, as in RocketMQ; write true or false"#]
        );
    }

    #[test]
    fn every_bad_value_is_told_with_file_line_key_value_and_what_is_allowed() {
        let mut reader = reader("port=99999\n\nperiod=soon\nmode=sync\nsize=-1");
        assert_eq!(reader.integer("port", 10911, 1..=65535, ""), 10911);
        reader.integer("period", 30_000, 10_000..=60_000, "ms");
        reader.one_of("mode", &1, &[("SYNC_FLUSH", 1), ("ASYNC_FLUSH", 2)]);
        reader.integer("size", 5, 0..=9, "bytes");
        reader.refuse(&["mode", "absent", "port"], "choose one of the two");
        let refusals = reader.finish().unwrap_err();
        let expected = [
            r#"b.conf line 1: port = "99999" is refused; allowed is a whole number from 1 to 65535"#,
            r#"b.conf line 3: period = "soon" is refused; allowed is a whole number of ms from 10000 to 60000"#,
            r#"b.conf line 4: mode = "sync" is refused; allowed is SYNC_FLUSH or ASYNC_FLUSH"#,
            r#"b.conf line 5: size = "-1" is refused; allowed is a whole number of bytes from 0 to 9"#,
            r#"b.conf line 4: mode = "sync" with b.conf line 1: port = "99999": choose one of the two"#,
        ];
        assert_eq!(refusals.to_string(), expected.join("\n"));
    }

    #[test]
    fn what_nobody_asked_for_is_said_once_with_the_nearest_known_name() {
        let mut reader = reader(
            "lisenPort=1\nsendMessageThreadPoolNums=16\nforceRegister=true\nzzz=1\nzzz=2\n\
             enableDLedgerCommitLog=true\nlistenPort=3",
        );
        reader.properties.set_pair("listenPort=4").unwrap();
        assert_eq!(reader.integer("listenPort", 10911, 1..=65535, ""), 4);
        assert!(reader.bool("enableDLegerCommitLog", false));
        let values = reader.finish().unwrap();
        let expected = [
            (false, "b.conf line 6: enableDLedgerCommitLog is taken for enableDLegerCommitLog"),
            (
                true,
                "b.conf line 1: lisenPort is no known property and does nothing; did you mean listenPort?",
            ),
            (false, "b.conf line 2: sendMessageThreadPoolNums is accepted and has no effect here"),
            (false, "b.conf line 3: forceRegister is accepted and has no effect here"),
            (true, "b.conf line 4: zzz is no known property and does nothing"),
            (true, "b.conf line 5: zzz is set again; the value of b.conf line 4 does not count"),
        ];
        let said: Vec<_> = values.notices.iter().map(|one| (one.is_warning(), one.to_string())).collect();
        let said: Vec<_> = said.iter().map(|(is_warning, text)| (*is_warning, text.as_str())).collect();
        assert_eq!(said, expected);
    }
}
