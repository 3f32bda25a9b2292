//! Rust source as far as the house rules have to understand it: tokens without comments, text and tests, and what
//! one file declares, imports and mentions.
//!
//! No compiler: types are not known, macros are not expanded, a method call names no file.

use std::collections::{BTreeMap, BTreeSet};

/// One token; literals and lifetimes are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier or a keyword.
    Name(String),
    /// `::`
    Colons,
    /// Any other sign.
    Sign(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Name(name) if name == word)
    }

    fn is_sign(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The tokens of a text.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => index = end_of_line(&chars, index),
            ('/', '*') => index = end_of_comment(&chars, index),
            ('"', _) => index = end_of_text(&chars, index),
            ('\'', next) if next == '\\' || at(index + 2) == '\'' => index = end_of_char(&chars, index),
            // A lifetime or a label.
            ('\'', _) => index = end_of(&chars, index + 1, is_word),
            (':', ':') => {
                tokens.push(Token::Colons);
                index += 2;
            }
            (c, _) if c.is_ascii_digit() => index = end_of(&chars, index, is_word),
            (c, _) if is_word(c) => {
                let end = end_of(&chars, index, is_word);
                let word: String = chars[index..end].iter().collect();
                let is_raw = matches!(&*word, "r" | "br" | "cr");
                match at(end) {
                    '"' if is_raw => index = end_of_raw(&chars, end),
                    '#' if is_raw && matches!(at(end + 1), '"' | '#') => index = end_of_raw(&chars, end),
                    '"' if matches!(&*word, "b" | "c") => index = end_of_text(&chars, end),
                    _ => {
                        tokens.push(Token::Name(word));
                        index = end;
                    }
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                index += 1;
            }
        }
    }
    tokens
}

fn end_of(chars: &[char], from: usize, belongs: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| !belongs(*c)).map_or(chars.len(), |length| from + length)
}

fn end_of_line(chars: &[char], from: usize) -> usize {
    end_of(chars, from, |c| c != '\n')
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut index) = (0, from);
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            break;
        }
    }
    index
}

/// Behind the closing quote of the text whose opening one is at `from`.
fn end_of_text(chars: &[char], from: usize) -> usize {
    let mut index = from + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// Behind the raw text whose first `#` or quote is at `from`.
fn end_of_raw(chars: &[char], from: usize) -> usize {
    let open = end_of(chars, from, |c| c == '#');
    let close: Vec<char> = std::iter::once('"').chain(chars[from..open].iter().copied()).collect();
    let inside = (open + 1).min(chars.len());
    let found = chars[inside..].windows(close.len()).position(|window| window == close);
    found.map_or(chars.len(), |at| inside + at + close.len())
}

fn end_of_char(chars: &[char], from: usize) -> usize {
    let mut index = from + 1;
    while index < chars.len() && chars[index] != '\'' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// The tokens without the items behind `#[cfg(test)]`, and the modules so left out that are files of their own.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut test_files) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        let is_attribute =
            tokens[index].is_sign('#') && tokens.get(index + 1).is_some_and(|t| t.is_sign('['));
        if !is_attribute {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let end = end_of_group(tokens, index + 1);
        let inside = &tokens[index..end];
        let says = |word: &str| inside.iter().any(|token| token.is(word));
        if !(says("cfg") && says("test") && !says("not")) {
            kept.extend_from_slice(inside);
            index = end;
            continue;
        }
        let item_end = end_of_item(tokens, end);
        if let [.., module, name, semicolon] = &tokens[end..item_end]
            && module.is("mod")
            && semicolon.is_sign(';')
        {
            test_files.extend(name.name().map(str::to_owned));
        }
        index = item_end;
    }
    (kept, test_files)
}

/// Behind the bracket that closes the one at `from`.
fn end_of_group(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Behind the item, statement, field or arm that begins at `from`, its attributes first.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut index = from;
    while tokens.get(index).is_some_and(|token| token.is_sign('#')) {
        index = end_of_group(tokens, index + 1);
    }
    let words =
        ["fn", "pub", "struct", "mod", "use", "impl", "const", "static", "type", "enum", "trait", "async"];
    let is_item = tokens.get(index).is_some_and(|token| words.iter().any(|word| token.is(word)));
    let mut is_import = false;
    while let Some(token) = tokens.get(index) {
        is_import |= token.is("use");
        match token {
            Token::Sign(';') => return index + 1,
            Token::Sign(',') if !is_item => return index + 1,
            Token::Sign(')' | ']' | '}') => return index,
            Token::Sign('{') if !is_import => return end_of_group(tokens, index),
            Token::Sign('(' | '[' | '{') => index = end_of_group(tokens, index),
            _ => index += 1,
        }
    }
    index
}

/// One name that a file brings in.
#[derive(Clone, Debug)]
pub struct Import {
    /// As the file calls it; `*` for all there is.
    pub name: String,
    /// The path as written, from `crate`, `self`, `super` or a name in scope.
    pub path: Vec<String>,
    /// The inline modules around it.
    pub inside: Vec<String>,
    /// Whether it is for others: a re-export.
    pub is_public: bool,
}

/// A path in the code of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    /// As written; two names at least.
    pub path: Vec<String>,
    /// The inline modules around it.
    pub inside: Vec<String>,
}

/// What one file declares and needs, its tests left out.
#[derive(Debug, Default)]
pub struct Source {
    /// Modules that are files of their own.
    pub children: BTreeSet<String>,
    /// Modules that are files of their own and only for tests.
    pub test_children: Vec<String>,
    /// Modules in this file.
    pub inline: BTreeSet<String>,
    /// Types, functions, constants and macros.
    pub definitions: BTreeSet<String>,
    /// `macro_rules!`, which are found by their bare name.
    pub macros: BTreeSet<String>,
    pub imports: Vec<Import>,
    pub mentions: BTreeSet<Mention>,
    /// How often each name stands outside of imports.
    pub words: BTreeMap<String, usize>,
}

/// Reads one file.
pub fn read(text: &str) -> Source {
    let (tokens, test_children) = without_tests(&tokens(text));
    let mut source = Source { test_children, ..Source::default() };
    // The inline modules around, each with the depth of its braces.
    let mut inside: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut index) = (0_usize, 0);
    while index < tokens.len() {
        let next = |ahead: usize| tokens.get(index + ahead);
        match &tokens[index] {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                if inside.last().is_some_and(|(_, at)| *at == depth) {
                    inside.pop();
                }
            }
            Token::Name(word) if word == "use" => {
                let is_public = index > 0 && (tokens[index - 1].is("pub") || tokens[index - 1].is_sign(')'));
                let end = end_of_item(&tokens, index);
                let mut paths = Vec::new();
                spread(&tokens[index + 1..end.saturating_sub(1)], &[], &mut paths);
                let imports = paths.into_iter().map(|(name, path)| Import {
                    name,
                    path,
                    inside: names(&inside),
                    is_public,
                });
                source.imports.extend(imports);
                index = end;
                continue;
            }
            Token::Name(word) if word == "mod" && depth == inside.len() => {
                if let (Some(Token::Name(name)), Some(sign)) = (next(1), next(2)) {
                    if sign.is_sign('{') {
                        source.inline.insert(name.clone());
                        inside.push((name.clone(), depth));
                        depth += 1;
                    } else {
                        source.children.insert(name.clone());
                    }
                    index += 3;
                    continue;
                }
            }
            Token::Name(word) if word == "macro_rules" => {
                if let Some(Token::Name(name)) = next(2) {
                    source.macros.insert(name.clone());
                    source.definitions.insert(name.clone());
                }
            }
            Token::Name(word) if depth == inside.len() && declares(word) => {
                if let Some(name) = next(1).and_then(Token::name) {
                    source.definitions.insert(name.to_owned());
                }
            }
            _ => {}
        }
        if let Token::Name(first) = &tokens[index] {
            *source.words.entry(first.clone()).or_default() += 1;
            let is_beginning = index == 0 || tokens[index - 1] != Token::Colons;
            let mut path = vec![first.clone()];
            let mut at = index;
            while is_beginning
                && tokens.get(at + 1) == Some(&Token::Colons)
                && let Some(Token::Name(name)) = tokens.get(at + 2)
            {
                path.push(name.clone());
                at += 2;
            }
            if path.len() > 1 {
                source.mentions.insert(Mention { path, inside: names(&inside) });
            }
        }
        index += 1;
    }
    source
}

fn names(modules: &[(String, usize)]) -> Vec<String> {
    modules.iter().map(|(name, _)| name.clone()).collect()
}

fn declares(word: &str) -> bool {
    ["fn", "struct", "enum", "union", "trait", "type", "const", "static"].contains(&word)
}

/// The single imports of one `use`: the name in scope, and the path.
fn spread(tokens: &[Token], before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let mut path = before.to_vec();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        match token {
            Token::Sign('{') => {
                let end = end_of_group(tokens, index);
                let mut depth = 0;
                let is_comma = |token: &Token| {
                    match token {
                        Token::Sign('{') => depth += 1,
                        Token::Sign('}') => depth -= 1,
                        _ => {}
                    }
                    depth == 0 && token.is_sign(',')
                };
                tokens[index + 1..end - 1].split(is_comma).for_each(|part| spread(part, &path, found));
                return;
            }
            Token::Sign('*') => {
                found.push(("*".to_owned(), path));
                return;
            }
            Token::Name(word) if word == "as" => {
                let name = tokens.get(index + 1).and_then(Token::name).unwrap_or("_");
                found.push((name.to_owned(), path));
                return;
            }
            // `a::{self, b}`
            Token::Name(word) if word == "self" && !path.is_empty() => {}
            Token::Name(word) => path.push(word.clone()),
            _ => {}
        }
        index += 1;
    }
    if path.len() > before.len() || !tokens.is_empty() {
        let name = path.last().cloned().unwrap_or_default();
        found.push((name, path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_texts_and_lifetimes_are_no_names() {
        let text = r##"
            // crate::no
            /* crate::no /* crate::no */ crate::no */
            fn a<'a>(b: &'a str) -> char { let _ = ("crate::no \" x", r#"crate::"no"#, b"no", 'n', '\''); '"' }
            crate::yes
        "##;
        let names: Vec<_> = tokens(text).iter().filter_map(|t| t.name().map(str::to_owned)).collect();
        assert_eq!(names, ["fn", "a", "b", "str", "char", "let", "_", "crate", "yes"]);
    }

    #[test]
    fn imports_are_spread_and_tests_left_out() {
        let source = read(
            "use crate::{a::{self, B as C}, d::*};\npub(crate) use super::E;\nmod child;\n\
             fn f() { child::g(crate::h::I); }\npub mod code { use super::J; }\n\
             #[cfg(test)]\nuse crate::no;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more { use crate::no; }\n",
        );
        let imports: Vec<_> =
            source.imports.iter().map(|i| (&*i.name, i.path.join("::"), i.is_public)).collect();
        let expected = [
            ("a", "crate::a", false),
            ("C", "crate::a::B", false),
            ("*", "crate::d", false),
            ("E", "super::E", true),
            ("J", "super::J", false),
        ];
        assert_eq!(imports, expected.map(|(name, path, public)| (name, path.to_owned(), public)));
        assert_eq!(source.imports[4].inside, ["code"]);
        assert_eq!(source.test_children, ["tests"]);
        let mentions: Vec<_> = source.mentions.iter().map(|mention| mention.path.join("::")).collect();
        assert_eq!(mentions, ["child::g", "crate::h::I"]);
        assert!(source.children.contains("child") && source.definitions.contains("f"));
    }
}
