//! No circles between the files of a crate: if one uses what another defines, the other does not use it, not even by
//! way of a third.
//!
//! What counts as a use is a path: `use crate::…`, `super::…`, `child::item`, wherever it leads through re-exports.
//! A re-export alone is none, and neither is `mod`. Paths that stand in tests do not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use crate::source::{self, Import, Source};
use crate::{LAYERS, assert_none, texts};

/// Crates whose circles are still to be opened.
const MAY_HAVE_CIRCLES: &[&str] = &["raft", "store"];

/// More re-exports behind each other than any path goes through: two files that re-export all of each other.
const HOPS_MAX: usize = 16;

/// The files of one crate by their modules, `[]` the root.
struct Crate {
    files: BTreeMap<Vec<String>, (String, Source)>,
}

impl Crate {
    /// Of the Rust files of a crate, paths from its `src` on.
    fn new(texts: &[(&str, &str)]) -> Self {
        let mut files = BTreeMap::new();
        for (name, text) in texts {
            let mut module: Vec<String> =
                name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&**last)) {
                module.pop();
            }
            files.insert(module, ((*name).to_owned(), source::read(text)));
        }
        let tests: Vec<Vec<String>> = files
            .iter()
            .flat_map(|(module, (_, source))| {
                source.test_children.iter().map(|child| [&module[..], std::slice::from_ref(child)].concat())
            })
            .collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { files }
    }

    /// A path as written in a module, from the root of the crate; `None` if it leads out of the crate.
    fn absolute(
        &self,
        file: &[String],
        inside: &[String],
        path: &[String],
        hops: usize,
    ) -> Option<Vec<String>> {
        let here: Vec<String> = file.iter().chain(inside).cloned().collect();
        // A path from the root of all crates (`::raft::Node`) leads out of this one.
        let first = &**path.first()?;
        if first == "crate" {
            return Some(path[1..].to_vec());
        }
        if first == "self" {
            return Some([&here[..], &path[1..]].concat());
        }
        if first == "super" {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            let up = &here[..here.len().checked_sub(ups)?];
            return Some([up, &path[ups..]].concat());
        }
        let (_, source) = &self.files[file];
        if inside.is_empty() && source.children.contains(first) {
            return Some([&here[..], path].concat());
        }
        if hops == 0 {
            return None;
        }
        let named = |import: &&Import| import.name == first && import.inside == inside && import.path != path;
        let import = source.imports.iter().find(named)?;
        let target = self.absolute(file, &import.inside, &import.path, hops - 1)?;
        Some([&target[..], &path[1..]].concat())
    }

    /// The module of the file that defines what the path from the root leads to; `None` if that is a module itself, or
    /// of another crate.
    fn definer(&self, path: &[String], hops: usize) -> Option<&Vec<String>> {
        let known = (0..=path.len()).rev().find_map(|length| self.files.get_key_value(&path[..length]))?;
        let (module, (_, source)) = known;
        let rest = &path[module.len()..];
        let name = rest.first()?;
        if source.definitions.contains(name) || source.inline.contains(name) {
            return Some(module);
        }
        if hops == 0 {
            return Some(module);
        }
        let imports = || source.imports.iter().filter(|import| import.inside.is_empty());
        if let Some(import) = imports().find(|import| import.name == *name) {
            let target = self.absolute(module, &[], &import.path, hops - 1)?;
            return self.definer(&[&target[..], &rest[1..]].concat(), hops - 1);
        }
        let mut all = imports().filter(|import| import.name == "*");
        let through = all.find_map(|import| {
            let target = self.absolute(module, &[], &import.path, hops - 1)?;
            let path = [&target[..], rest].concat();
            let found = self.definer(&path, hops - 1)?;
            self.files[found].1.definitions.contains(name).then_some(found)
        });
        let of_macro = || self.files.iter().find(|(_, (_, source))| source.macros.contains(name));
        through.or_else(|| of_macro().map(|(module, _)| module)).or(Some(module))
    }

    /// Which files each file uses, and by which path.
    fn uses(&self) -> BTreeMap<&Vec<String>, BTreeMap<&Vec<String>, String>> {
        let mut uses: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (file, (_, source)) in &self.files {
            let imported = source
                .imports
                .iter()
                .filter(|import| !import.is_public || source.words.contains_key(&import.name));
            let imported = imported.map(|import| (&import.path, &import.inside, import.name == "*"));
            let mentioned = source.mentions.iter().map(|mention| (&mention.path, &mention.inside, false));
            for (path, inside, is_all) in imported.chain(mentioned) {
                let Some(target) = self.absolute(file, inside, path, HOPS_MAX) else { continue };
                let used =
                    if is_all { self.files.get_key_value(&target).map(|(module, _)| module) } else { None };
                let used = used.or_else(|| self.definer(&target, HOPS_MAX));
                if let Some(used) = used.filter(|used| *used != file) {
                    uses.entry(file).or_default().entry(used).or_insert_with(|| path.join("::"));
                }
            }
        }
        uses
    }

    /// The shortest circle through each file that is in one, each circle once.
    fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let mut seen = BTreeSet::new();
        let mut told = Vec::new();
        for start in self.files.keys() {
            let Some(circle) = shortest_circle(start, &uses) else { continue };
            let members: BTreeSet<_> = circle.iter().copied().collect();
            if seen.insert(members) {
                let mut text = self.files[circle[0]].0.clone();
                for (at, file) in circle.iter().enumerate() {
                    let next = circle[(at + 1) % circle.len()];
                    let _ = write!(text, " -> {} (by {})", self.files[next].0, uses[file][next]);
                }
                told.push(text);
            }
        }
        told
    }
}

/// The files of the shortest way from `start` back to it.
fn shortest_circle<'a>(
    start: &'a Vec<String>,
    uses: &BTreeMap<&'a Vec<String>, BTreeMap<&'a Vec<String>, String>>,
) -> Option<Vec<&'a Vec<String>>> {
    let mut came_from: BTreeMap<&Vec<String>, &Vec<String>> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in uses.get(file).into_iter().flat_map(BTreeMap::keys).copied() {
            if next == start {
                let mut circle = vec![file];
                while *circle.last().unwrap() != start {
                    circle.push(came_from[circle.last().unwrap()]);
                }
                circle.reverse();
                return Some(circle);
            }
            came_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                file
            });
        }
    }
    None
}

#[test]
fn no_files_of_a_crate_need_each_other_in_a_circle() {
    let texts = texts(&[".rs"]);
    let mut findings = Vec::new();
    for (name, _) in LAYERS.iter().filter(|(name, _)| !MAY_HAVE_CIRCLES.contains(name)) {
        let files = texts.iter().filter_map(|(file, text)| {
            let path = file.strip_prefix(name)?.strip_prefix("/src/")?;
            Some((path, text.as_str()))
        });
        let circles = Crate::new(&files.collect::<Vec<_>>()).circles();
        findings.extend(circles.into_iter().map(|circle| format!("{name}: {circle}")));
    }
    assert_none("files that use each other in a circle; move the definition that both need", &findings);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(texts: &[(&str, &str)]) -> Vec<String> {
        Crate::new(texts).circles()
    }

    #[test]
    fn a_circle_of_three_is_named_with_the_paths_that_make_it() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B(super::c::C);"),
            ("c.rs", "use crate::A; pub struct C(Box<A>);"),
        ]);
        assert_eq!(found, ["a.rs -> b.rs (by crate::b::B) -> c.rs (by super::c::C) -> a.rs (by crate::A)"]);
    }

    #[test]
    fn a_parent_that_only_declares_and_re_exports_is_in_no_circle() {
        let parent = "mod child; pub use child::{One, Two}; pub struct Kept;";
        let child = "use super::Kept; pub struct One(Kept); pub struct Two;";
        assert_eq!(circles(&[("lib.rs", parent), ("child.rs", child)]), [] as [&str; 0]);
        let parent = format!("{parent} fn uses(_: One) {{}}");
        assert_eq!(circles(&[("lib.rs", &parent), ("child.rs", child)]).len(), 1);
        let parent = "mod child; pub struct Kept; fn uses() { child::start() }";
        assert_eq!(circles(&[("lib.rs", parent), ("child.rs", child)]).len(), 1);
    }

    #[test]
    fn tests_comments_and_modules_by_name_alone_make_no_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod tests; #[cfg(test)] mod testing; use crate::b; fn f() { b::g() }"),
            ("a/testing.rs", "use crate::b::g;"),
            (
                "b.rs",
                "// crate::a::f\n#[cfg(test)]\nmod tests { use crate::a::f; }\nuse crate::a; pub fn g() {}",
            ),
        ]);
        assert_eq!(found, [] as [&str; 0]);
    }
}
