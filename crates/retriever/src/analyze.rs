//! From a text to the terms that an index keeps.

mod stop_words;
mod words;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Debug;

use rust_stemmers::{Algorithm, Stemmer};

use crate::RetrieveError;

/// Makes terms of a text. The same text always gives the same terms: removing a document relies on it.
///
/// ```
/// use std::borrow::Cow;
/// use atomr_agents_retriever::Analyzer;
///
/// /// Codes such as `AB-12`, whole.
/// #[derive(Debug)]
/// struct Codes;
///
/// impl Analyzer for Codes {
///     fn name(&self) -> String {
///         "codes".into()
///     }
///     fn words(&self, text: &str, each: &mut dyn FnMut(&str)) {
///         text.split_whitespace().for_each(each);
///     }
/// }
///
/// let mut words = Vec::new();
/// Codes.words("AB-12 ab-12", &mut |word| words.push(word.to_owned()));
/// assert_eq!(words, ["AB-12", "ab-12"]);
/// assert_eq!(Codes.term("AB-12"), Some(Cow::Borrowed("AB-12")));
/// ```
pub trait Analyzer: Debug + Send + Sync + 'static {
    /// What it does, in a word; an index that was saved is only loaded with an analyzer of the same name.
    fn name(&self) -> String;

    /// Tells the words of a text, in order.
    fn words(&self, text: &str, each: &mut dyn FnMut(&str));

    /// The term that a word stands for; `None` for one that is not kept. An index asks once for each different word.
    fn term<'a>(&self, word: &'a str) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(word))
    }
}

macro_rules! languages {
    ($($(#[$doc:meta])* $name:ident = $written:literal;)*) => {
        /// A language whose words have a stem here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Language { $($(#[$doc])* $name,)* }

        impl Language {
            /// Every language.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name: `"english"`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $written,)* }
            }

            fn algorithm(self) -> Algorithm {
                match self { $(Self::$name => Algorithm::$name,)* }
            }
        }
    };
}

languages! {
    /// Arabic.
    Arabic = "arabic";
    /// Danish.
    Danish = "danish";
    /// Dutch.
    Dutch = "dutch";
    /// English.
    English = "english";
    /// Finnish.
    Finnish = "finnish";
    /// French.
    French = "french";
    /// German.
    German = "german";
    /// Greek.
    Greek = "greek";
    /// Hungarian.
    Hungarian = "hungarian";
    /// Italian.
    Italian = "italian";
    /// Norwegian.
    Norwegian = "norwegian";
    /// Portuguese.
    Portuguese = "portuguese";
    /// Romanian.
    Romanian = "romanian";
    /// Russian.
    Russian = "russian";
    /// Spanish.
    Spanish = "spanish";
    /// Swedish.
    Swedish = "swedish";
    /// Tamil.
    Tamil = "tamil";
    /// Turkish.
    Turkish = "turkish";
}

impl std::str::FromStr for Language {
    type Err = RetrieveError;

    fn from_str(name: &str) -> Result<Self, RetrieveError> {
        Self::ALL.iter().copied().find(|language| language.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|language| language.as_str()).collect();
            RetrieveError::invalid("language", format!("must be one of {}, not {name:?}", all.join(", ")))
        })
    }
}

/// The words of Unicode (UAX #29: `3.14` and `don't` are one word each), in lower case and in the form NFKC. Stems and
/// stop words, if they are asked for.
///
/// ```
/// use atomr_agents_retriever::{Analyzer, Language, Words};
///
/// let terms = |analyzer: &Words, text: &str| {
///     let mut terms = Vec::new();
///     analyzer.words(text, &mut |word| terms.extend(analyzer.term(word).map(|term| term.into_owned())));
///     terms
/// };
/// assert_eq!(terms(&Words::new(), "It's 3.14 Straße!"), ["it's", "3.14", "straße"]);
/// let english = Words::new().stem(Language::English).without_stop_words(Language::English);
/// assert_eq!(terms(&english, "The rains of Oslo"), ["rain", "oslo"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Words {
    stem: Option<Language>,
    stop: HashSet<String>,
    /// What the stop words are called, for the name.
    stop_name: String,
}

impl Words {
    /// Words as they stand, in lower case.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Words become their stem in this language: `rains` and `raining` become `rain`.
    #[must_use]
    pub fn stem(mut self, language: Language) -> Self {
        self.stem = Some(language);
        self
    }

    /// Leaves out the most frequent words of this language. There are lists for English, French, German, Italian, Portuguese
    /// and Spanish; of another language nothing is left out.
    #[must_use]
    pub fn without_stop_words(mut self, language: Language) -> Self {
        let words = stop_words::of(language);
        self.stop.extend(words.iter().map(|word| (*word).to_owned()));
        if !words.is_empty() {
            self.named(language.as_str());
        }
        self
    }

    /// Leaves out these words, too. They are compared in lower case.
    #[must_use]
    pub fn without(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut words: Vec<String> = words.into_iter().map(|word| words::normal(&word.into()).into_owned()).collect();
        words.sort_unstable();
        words.dedup();
        if !words.is_empty() {
            self.named(&words.join(" "));
        }
        self.stop.extend(words);
        self
    }

    fn named(&mut self, name: &str) {
        if !self.stop_name.is_empty() {
            self.stop_name.push('+');
        }
        self.stop_name.push_str(name);
    }
}

impl Analyzer for Words {
    fn name(&self) -> String {
        let stem = self.stem.map(|language| format!(", stems of {}", language.as_str())).unwrap_or_default();
        let stop = if self.stop.is_empty() { String::new() } else { format!(", without {}", self.stop_name) };
        format!("words{stem}{stop}")
    }

    fn words(&self, text: &str, each: &mut dyn FnMut(&str)) {
        words::each(text, each);
    }

    fn term<'a>(&self, word: &'a str) -> Option<Cow<'a, str>> {
        if self.stop.contains(word) {
            return None;
        }
        // A stemmer is a table of functions: making one costs nothing.
        Some(match self.stem {
            None => Cow::Borrowed(word),
            Some(language) => match Stemmer::create(language.algorithm()).stem(word) {
                Cow::Borrowed(stem) => Cow::Owned(stem.to_owned()),
                Cow::Owned(stem) => Cow::Owned(stem),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_name_and_a_stemmer_that_takes_anything() {
        for language in Language::ALL {
            assert_eq!(language.as_str().to_uppercase().parse::<Language>().unwrap(), *language);
            let analyzer = Words::new().stem(*language);
            for word in ["", "a", "raining", "häuser", "дождями", "雨", "'", "ß", "மழைகள்"] {
                analyzer.term(word).unwrap();
            }
        }
        let error = "klingon".parse::<Language>().unwrap_err();
        assert!(error.to_string().contains("one of arabic, danish") && error.to_string().contains("klingon"));
    }

    #[test]
    fn the_name_tells_what_changes_the_terms() {
        let all = [
            Words::new(),
            Words::new().stem(Language::German),
            Words::new().without_stop_words(Language::German),
            Words::new().without(["B", "a"]),
            Words::new().without(["a"]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other.name() != one.name()), "{}", one.name());
        }
        assert_eq!(Words::new().without(["B", "a"]).name(), Words::new().without(["a", "b", "A"]).name());
    }
}
