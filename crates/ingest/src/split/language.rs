//! Languages that the code splitter reads.

use std::fmt;
use std::str::FromStr;

use crate::IngestError;

macro_rules! languages {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $feature:literal, $grammar:expr, [$($alias:literal),*];)+) => {
        /// A programming language.
        ///
        /// ```
        /// use atomr_agents_ingest::CodeLanguage;
        ///
        /// assert_eq!("py".parse::<CodeLanguage>()?, CodeLanguage::Python);
        /// assert_eq!(CodeLanguage::Cpp.name(), "cpp");
        /// # Ok::<(), atomr_agents_ingest::IngestError>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CodeLanguage { $($(#[$doc])* $variant,)+ }

        impl CodeLanguage {
            /// Every language.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in lower case.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its other names; those of its files among them.
            #[must_use]
            pub fn aliases(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($alias),*],)+ }
            }

            #[cfg(feature = "tree-sitter")]
            pub(crate) fn grammar(self) -> Result<tree_sitter::Language, IngestError> {
                match self {
                    $(
                        #[cfg(feature = $feature)]
                        Self::$variant => Ok($grammar.into()),
                        #[cfg(not(feature = $feature))]
                        Self::$variant => {
                            Err(IngestError::config("language", concat!($name, " needs the feature ", $feature)))
                        }
                    )+
                }
            }
        }
    };
}

languages! {
    /// C.
    C, "c", "code-c", tree_sitter_c::LANGUAGE, ["h"];
    /// C++.
    Cpp, "cpp", "code-cpp", tree_sitter_cpp::LANGUAGE, ["c++", "cc", "cxx", "hpp", "hh"];
    /// Go.
    Go, "go", "code-go", tree_sitter_go::LANGUAGE, ["golang"];
    /// Java.
    Java, "java", "code-java", tree_sitter_java::LANGUAGE, [];
    /// JavaScript, also with JSX.
    JavaScript, "javascript", "code-javascript", tree_sitter_javascript::LANGUAGE, ["js", "jsx", "mjs", "cjs"];
    /// Python.
    Python, "python", "code-python", tree_sitter_python::LANGUAGE, ["py", "pyi"];
    /// Rust.
    Rust, "rust", "code-rust", tree_sitter_rust::LANGUAGE, ["rs"];
    /// TypeScript, also with JSX.
    TypeScript, "typescript", "code-typescript", tree_sitter_typescript::LANGUAGE_TSX, ["ts", "tsx", "mts", "cts"];
}

impl FromStr for CodeLanguage {
    type Err = IngestError;

    fn from_str(name: &str) -> Result<Self, IngestError> {
        let name = name.trim_start_matches('.').to_lowercase();
        let found = Self::ALL.iter().find(|language| language.name() == name || language.aliases().contains(&&*name));
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|language| language.name()).collect();
            IngestError::config("language", format!("must be one of {}, not {name:?}", names.join(", ")))
        })
    }
}

impl fmt::Display for CodeLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
