//! House rules that no lint knows: which crate may use which, where `unsafe` may stand, what every file
//! begins with, and what must not be in the tree at all.
//!
//! A rule that has an exception names it here. Each test tells all its findings at once.

#![expect(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::files;

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/errors.rs"]
mod errors;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

/// The layers, from the bottom: a crate, and which of ours it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("platform", &[]),
    ("settings", &["platform"]),
    ("protocol", &[]),
    ("store", &["platform", "protocol"]),
    ("raft", &["platform", "store"]),
    ("remoting", &["platform", "protocol"]),
    ("web", &["platform"]),
    ("namesrv", &["platform", "protocol", "remoting", "settings", "web"]),
    ("broker", &["platform", "protocol", "raft", "remoting", "settings", "store", "web"]),
    ("client", &["platform", "protocol", "remoting"]),
    ("admin", &["client", "platform", "protocol", "web"]),
    ("harness", &["platform", "protocol", "remoting", "web"]),
    ("cluster-tests", &["harness", "platform", "protocol"]),
    ("jepsen", &["harness", "platform", "protocol"]),
    ("trireme", &["admin", "broker", "client", "jepsen", "namesrv", "platform", "settings", "web"]),
];

/// `store` knows how a message is laid out, and no other word of RocketMQ's.
const PROTOCOL_IN_STORE: &str = "protocol::message";

/// The one file with `unsafe`.
const UNSAFE_FILE: &str = "store/src/segment/map.rs";

/// Longer files mostly hold two ideas.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What git is asked for: tracked files, and new ones that are not ignored.
const LIST: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];

/// Tracked and new files by their path from the root; where there is no repository, all files but the ignored ones.
fn tracked() -> Vec<String> {
    let listed = Command::new("git").args(LIST).current_dir(root()).output();
    match listed {
        Ok(listed) if listed.status.success() => {
            let names = String::from_utf8(listed.stdout).unwrap();
            let names = names.split('\0').filter(|name| !name.is_empty());
            // What is deleted but not committed yet is still listed.
            names.filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(&root(), &mut found);
            found
        }
    }
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    const SKIPPED: &[&str] = &["target", ".git", ".cache", "trireme-data", "__pycache__"];
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !SKIPPED.contains(&entry.file_name().to_str().unwrap()) {
            walk(&path, found);
        } else if path.is_file() {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Path and text of every tracked file whose name ends with one of `endings`; binary files are left out.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let named = tracked().into_iter().filter(|name| endings.iter().any(|ending| name.ends_with(ending)));
    named.filter_map(|name| files::read(&root().join(&name)).ok().map(|text| (name, text))).collect()
}

#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}

/// The lines of a text with their numbers, from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

/// Lines outside of comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn manifest(of: &str) -> toml::Table {
    files::read(&root().join(of).join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Names under `[dependencies]` and its like, with how they are given.
fn dependencies(manifest: &toml::Table) -> BTreeMap<String, toml::Value> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    tables.flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn a_crate_uses_only_what_its_layer_may() {
    let workspace = manifest(".");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().map(|member| member.as_str().unwrap()).collect();
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut findings: Vec<String> = members
        .iter()
        .filter(|member| !layers.contains_key(**member))
        .map(|member| format!("{member} has no layer"))
        .collect();
    for (name, may_use) in layers.iter().filter(|(name, _)| members.contains(**name)) {
        for used in dependencies(&manifest(name)).into_keys() {
            if members.contains(&*used) && !may_use.contains(&&*used) {
                findings.push(format!("{name} uses {used}; it may use {}", may_use.join(", ")));
            }
        }
    }
    for (name, text) in texts(&[".rs"]).iter().filter(|(name, _)| name.starts_with("store/")) {
        for (number, line) in code(text).filter(|(_, line)| line.contains("protocol::")) {
            if !line.contains(PROTOCOL_IN_STORE) {
                findings.push(format!("{name}:{number}: store may use {PROTOCOL_IN_STORE} only"));
            }
        }
    }
    assert_none("the layers of ARCHITECTURE.md", &findings);
}

#[test]
fn versions_and_lints_stand_in_the_workspace_only() {
    let mut findings = Vec::new();
    for (name, _) in LAYERS {
        let manifest = manifest(name);
        for (used, how) in dependencies(&manifest) {
            if how.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                findings.push(format!("{name}/Cargo.toml: {used} is not `workspace = true`"));
            }
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        if lints != Some(true) {
            findings.push(format!("{name}/Cargo.toml: `[lints] workspace = true` is missing"));
        }
    }
    assert_none("one version each, one set of lints", &findings);
}

#[test]
fn unsafe_stands_in_one_file() {
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "(unsafe_code"];
    let mut findings = Vec::new();
    for (name, text) in texts(&[".rs"]).iter().filter(|(name, _)| name != UNSAFE_FILE) {
        let found = code(text).filter(|(_, line)| forms.iter().any(|form| line.contains(form)));
        // This file has to name what it looks for.
        let found = found.filter(|(_, line)| !line.contains("let forms ="));
        findings.extend(found.map(|(number, line)| format!("{name}:{number}: {}", line.trim())));
    }
    assert_none(&format!("`unsafe` only in {UNSAFE_FILE}"), &findings);
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let texts = texts(&[".rs"]);
    let silent = texts.iter().filter(|(_, text)| !text.starts_with("//! "));
    let findings: Vec<_> = silent.map(|(name, _)| name.clone()).collect();
    assert_none("the first line of a Rust file is `//! …`", &findings);
}

/// The part of a Rust file that is tests: all of it in a test directory, else what follows `#[cfg(test)]`.
fn test_part<'a>(name: &str, text: &'a str) -> &'a str {
    let all = name.contains("/tests/") || name.ends_with("/tests.rs");
    let from = if all { Some(0) } else { text.find("#[cfg(test)]\nmod ") };
    from.map_or("", |from| &text[from..])
}

#[test]
fn no_test_sleeps() {
    let words = [["thread", "::sleep"], ["time", "::sleep"], ["Thread", ".sleep"]].map(|word| word.concat());
    let mut findings = Vec::new();
    let java = texts(&[".java"]);
    let rust = texts(&[".rs"]);
    let tests = java.iter().map(|(name, text)| (name, text.as_str()));
    for (name, tests) in tests.chain(rust.iter().map(|(name, text)| (name, test_part(name, text)))) {
        for (_, line) in code(tests).filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            findings.push(format!("{name}: {}", line.trim()));
        }
    }
    assert_none("a test waits for a condition with a deadline, it does not sleep", &findings);
}

#[test]
fn nothing_is_left_to_do_in_code_that_says_it_is_done() {
    let words = [["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]].map(|word| word.concat());
    let mut findings = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        for (number, line) in code(&text).filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            findings.push(format!("{name}:{number}: {}", line.trim()));
        }
    }
    assert_none("no placeholders", &findings);
}

#[test]
fn no_file_is_too_long_to_read() {
    let long = texts(&[".rs", ".py", ".java"]).into_iter().map(|(name, text)| (name, text.lines().count()));
    let long = long.filter(|(_, count)| *count > LINES_MAX);
    let findings: Vec<_> = long.map(|(name, count)| format!("{name} has {count} lines")).collect();
    assert_none(
        &format!("a file has at most {LINES_MAX} lines; split it where its second idea begins"),
        &findings,
    );
}

#[test]
fn the_tree_names_no_machine_and_no_package_host() {
    // In pieces, so that this file does not find itself.
    let paths = [["/wo", "rk/"], ["/fa", "rm/"], ["/ro", "ot/"]].map(|path| path.concat());
    let hosts = [
        ["crates", ".io"],
        ["pypi", ".org"],
        ["python", "hosted.org"],
        ["repo.maven.", "apache.org"],
        ["maven", ".org"],
        ["npmjs", ".org"],
        ["npmjs", ".com"],
        ["proxy.go", "lang.org"],
    ]
    .map(|host| host.concat());
    let mut findings = Vec::new();
    // Cargo writes its lock files itself.
    for (name, text) in texts(&[""]).iter().filter(|(name, _)| !name.ends_with("Cargo.lock")) {
        for (number, line) in lines(text) {
            let named = paths.iter().chain(&hosts).find(|word| line.contains(*word)).cloned();
            if let Some(word) = named.or_else(|| home(line)) {
                findings.push(format!("{name}:{number}: {word}"));
            }
        }
    }
    assert_none("no paths of a certain machine, no hosts of package registries", &findings);
}

/// Somebody's home directory; RocketMQ's own container user is nobody, and so is "me".
fn home(line: &str) -> Option<String> {
    let prefix = ["/ho", "me/"].concat();
    let starts = line.match_indices(&prefix).filter(|(at, _)| !line[..*at].ends_with(char::is_alphanumeric));
    let mut names = starts.map(|(at, _)| {
        let rest = &line[at + prefix.len()..];
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
    });
    names.find(|name| !["", "rocketmq", "me"].contains(name)).map(|name| format!("{prefix}{name}"))
}

/// The records of `store::codec` by kind: name, version, and the crate they are in. Test parts are left out.
fn records() -> Vec<(u16, String, u16, String)> {
    let mut found = Vec::new();
    let sources = texts(&[".rs"]).into_iter();
    let is_product = |name: &str| name.contains("/src/") && !name.ends_with("/testing.rs");
    for (file, text) in sources.filter(|(name, _)| is_product(name)) {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for record in code.split("impl Record for ").skip(1) {
            let record = record.split("\n}\n").next().unwrap();
            let value = |constant: &str| {
                let line = record.lines().find(|line| line.contains(&format!("const {constant}:")))?;
                Some(line.split(" = ").nth(1)?.trim_end_matches(';').trim_matches('"').to_owned())
            };
            let kind = value("KIND").unwrap_or_else(|| panic!("{file}: a record without a kind"));
            if kind.starts_with('$') {
                continue; // of the macro, whose uses come below
            }
            let kind = u16::from_str_radix(kind.trim_start_matches("0x"), 16).unwrap();
            let version = value("VERSION").map_or(1, |version| version.parse().unwrap());
            let in_crate = file.split('/').next().unwrap().to_owned();
            found.push((kind, value("NAME").unwrap(), version, in_crate));
        }
        for section in code.split("\nsection!(").skip(1) {
            // Behind its attribute, if it has one.
            let section = section
                .split_once(")] ")
                .filter(|_| section.trim_start().starts_with("#["))
                .map_or(section, |(_, rest)| rest);
            let mut words = section.split(", ").skip(1);
            let kind = u16::from_str_radix(words.next().unwrap().trim_start_matches("0x"), 16).unwrap();
            let name = words.next().unwrap().trim_matches('"').to_owned();
            found.push((kind, name, 1, file.split('/').next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn every_record_has_a_kind_of_its_own_golden_bytes_and_a_row_in_the_formats() {
    let formats = files::read(&root().join("docs/format.md")).unwrap();
    let records = records();
    assert!(records.len() > 20, "only {} records found", records.len());
    let mut findings = Vec::new();
    let (mut kinds, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (kind, name, version, in_crate) in records {
        if !kinds.insert(kind) || !names.insert(name.clone()) {
            findings.push(format!("{name}: kind {kind:#06x} or the name is taken"));
        }
        let golden = format!("{in_crate}/testdata/{name}-v{version}.bin");
        if !root().join(&golden).exists() {
            findings.push(format!("{name}: no {golden}"));
        }
        let row = format!("| `{kind:#06x}` | `{name}` | {version} |");
        if !formats.contains(&row) {
            findings.push(format!("{name}: docs/format.md has no row {row}"));
        }
    }
    assert_none("records of store::codec", &findings);
}
