//! The implementation language a peer states in its headers.

/// The language of the sender of a frame: a number in the binary header, a name in the JSON one.
/// Source: Java's `LanguageCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Language {
    /// Java, and every answer of a broker.
    #[default]
    Java = 0,
    /// C++ and what is built on it.
    Cpp = 1,
    /// .NET
    Dotnet = 2,
    /// Python
    Python = 3,
    /// Delphi
    Delphi = 4,
    /// Erlang
    Erlang = 5,
    /// Ruby
    Ruby = 6,
    /// Any other, also what we read for a number or name we do not know.
    Other = 7,
    /// An HTTP gateway
    Http = 8,
    /// Go
    Go = 9,
    /// PHP
    Php = 10,
    /// `OpenMessaging`
    Oms = 11,
    /// Rust
    Rust = 12,
    /// Node.js, from 5.0 on
    NodeJs = 13,
}

impl Language {
    /// All languages, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Java,
        Self::Cpp,
        Self::Dotnet,
        Self::Python,
        Self::Delphi,
        Self::Erlang,
        Self::Ruby,
        Self::Other,
        Self::Http,
        Self::Go,
        Self::Php,
        Self::Oms,
        Self::Rust,
        Self::NodeJs,
    ];

    /// The number in the binary header.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in the JSON header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Java => "JAVA",
            Self::Cpp => "CPP",
            Self::Dotnet => "DOTNET",
            Self::Python => "PYTHON",
            Self::Delphi => "DELPHI",
            Self::Erlang => "ERLANG",
            Self::Ruby => "RUBY",
            Self::Other => "OTHER",
            Self::Http => "HTTP",
            Self::Go => "GO",
            Self::Php => "PHP",
            Self::Oms => "OMS",
            Self::Rust => "RUST",
            Self::NodeJs => "NODE_JS",
        }
    }

    /// The language of a number; [`Language::Other`] for one we do not know, which is harmless.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Other)
    }

    /// The language of a name; [`Language::Other`] for one we do not know, which is harmless.
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|language| language.name() == name).unwrap_or(Self::Other)
    }
}
