//! Whether two questions can mean the same, told by their words.

/// What the words of two questions say.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// They have the same words in the same order, but for such as say nothing.
    Same,
    /// They differ in something that changes the answer.
    Different,
    /// They are the same if the two words of each of these pairs mean the same.
    Words(Vec<(String, String)>),
}

/// Words that say nothing about what is asked. No word of direction, person or time is one.
const FILLERS: &[&str] =
    &["a", "an", "the", "is", "are", "s", "re", "please", "tell", "me", "hi", "hello", "hey", "thanks"];

/// Words that turn a sentence round, in the languages that are asked most.
const NEGATIONS: &[&str] = &[
    "not", "no", "never", "none", "nobody", "nothing", "nor", "neither", "without", "cannot", "t", "except", "unless",
    "nicht", "kein", "keine", "keinen", "keiner", "nie", "ohne", "non", "pas", "jamais", "sans", "sin", "nunca",
    "senza", "mai", "nao", "não", "sem", "ikke", "inte", "niet", "geen",
];

/// Words that no other stands for, however near it is to a model: persons, numbers, times, directions, and what joins a sentence.
const ALONE: &[&str] = &[
    "i",
    "my",
    "mine",
    "myself",
    "you",
    "your",
    "yours",
    "he",
    "him",
    "his",
    "she",
    "her",
    "hers",
    "it",
    "its",
    "we",
    "us",
    "our",
    "ours",
    "they",
    "them",
    "their",
    "who",
    "whom",
    "whose",
    "what",
    "which",
    "when",
    "where",
    "why",
    "how",
    "this",
    "that",
    "these",
    "those",
    "here",
    "there",
    "man",
    "woman",
    "men",
    "women",
    "boy",
    "girl",
    "husband",
    "wife",
    "widow",
    "son",
    "daughter",
    "uncle",
    "aunt",
    "nephew",
    "niece",
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "half",
    "double",
    "triple",
    "twice",
    "once",
    "last",
    "next",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "spring",
    "summer",
    "autumn",
    "fall",
    "winter",
    "today",
    "tomorrow",
    "yesterday",
    "tonight",
    "now",
    "then",
    "morning",
    "noon",
    "afternoon",
    "evening",
    "night",
    "midnight",
    "am",
    "pm",
    "day",
    "week",
    "month",
    "year",
    "hour",
    "minute",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "north",
    "south",
    "east",
    "west",
    "left",
    "right",
    "up",
    "down",
    "in",
    "out",
    "on",
    "off",
    "to",
    "from",
    "into",
    "onto",
    "over",
    "under",
    "above",
    "below",
    "before",
    "after",
    "since",
    "until",
    "between",
    "with",
    "by",
    "at",
    "for",
    "of",
    "and",
    "or",
    "but",
    "if",
    "than",
    "as",
    "can",
    "could",
    "must",
    "should",
    "shall",
    "will",
    "would",
    "might",
    "do",
    "does",
    "did",
    "was",
    "were",
    "be",
    "been",
    "have",
    "has",
    "had",
    "all",
    "some",
    "any",
    "every",
    "each",
    "both",
    "either",
    "more",
    "less",
    "most",
    "least",
    "few",
    "fewer",
    "many",
    "much",
    "only",
    "always",
    "often",
    "sometimes",
    "ever",
    "best",
    "worst",
    "better",
    "worse",
];

/// What may stand between words and says nothing. Any other sign is as much as a word: C++ is not C, and 2 + 3 is not 2 * 3.
const PUNCTUATION: &str = ".,!?;:'\"`-–—…’‘“”«»¿¡。，？！、：；";

/// As many letters at one end make two words alike: names of kin, and opposites (legal and illegal, inbound and outbound).
const ALIKE: usize = 4;

#[derive(Clone, Debug, PartialEq)]
struct Word {
    /// In lower case, without the s of a plural; or a sign.
    form: String,
    /// In lower case.
    written: String,
    /// Written like a name: with a capital within a sentence, or with two.
    named: bool,
}

impl Word {
    fn sign(sign: char) -> Self {
        Self { form: sign.to_string(), written: sign.to_string(), named: false }
    }

    /// Whether no other word stands for it.
    fn stands_alone(&self) -> bool {
        let letters = |letter: char| letter.is_alphabetic();
        self.named || !self.form.chars().all(letters) || turns(&self.form) || self.is_alone()
    }

    fn is_alone(&self) -> bool {
        ALONE.contains(&self.form.as_str()) || ALONE.contains(&self.written.as_str())
    }
}

/// The words of a text that say something, and its signs.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut starts) = (Vec::new(), true);
    let inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut rest = text;
    while let Some(begin) = rest.find(inner) {
        let before = rest.get(..begin).unwrap_or_default();
        starts |= before.contains(['.', '!', '?', ':', '\n', '"']);
        words.extend(signs(before));
        let tail = rest.get(begin..).unwrap_or_default();
        let end = tail.find(|letter| !inner(letter)).unwrap_or(tail.len());
        // A sign between digits belongs to the number: 3.14 is neither 3 nor 14, and -3 is not 3.
        let end = number_end(tail, end);
        let (word, after) = tail.split_at(end);
        let negative = word.starts_with(|c: char| c.is_ascii_digit()) && before.ends_with('-');
        let lower = word.to_lowercase();
        let capitals = word.chars().filter(|letter| letter.is_uppercase()).count();
        if !FILLERS.contains(&lower.as_str()) {
            let named = capitals >= 2 || (capitals == 1 && !starts);
            let sign = if negative { "-" } else { "" };
            words.push(Word { form: format!("{sign}{}", singular(&lower)), written: lower, named });
        }
        starts = false;
        rest = after;
    }
    words.extend(signs(rest));
    words
}

/// The signs between two words that say something.
fn signs(between: &str) -> impl Iterator<Item = Word> + '_ {
    let lone = between.split_whitespace().any(|part| part == "-") && between.starts_with(char::is_whitespace);
    let signs = between.chars().filter(|sign| !sign.is_whitespace() && !PUNCTUATION.contains(*sign));
    signs.chain(lone.then_some('-')).map(Word::sign)
}

/// The end of a word, a number with its points and commas in one piece.
fn number_end(tail: &str, mut end: usize) -> usize {
    let digit = |at: usize| tail.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    while end > 0
        && digit(end - 1)
        && matches!(tail.as_bytes().get(end), Some(b'.' | b',' | b':' | b'/'))
        && digit(end + 1)
    {
        end += 1;
        while tail.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric) {
            end += 1;
        }
    }
    end
}

fn singular(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(stem) if word.len() > 4 && !stem.ends_with(['s', 'u', 'i']) => stem,
        _ => word,
    }
}

fn turns(word: &str) -> bool {
    NEGATIONS.contains(&word)
}

/// Whether two different words are made of the same letters at one end.
fn alike(one: &str, other: &str) -> bool {
    let enough = ALIKE.min(one.chars().count()).min(other.chars().count());
    let start = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let end = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count();
    start >= enough || end >= enough
}

/// Compares the words of two questions.
pub(super) fn compare(ours: &str, theirs: &str) -> Verdict {
    let (ours, theirs) = (words(ours), words(theirs));
    if ours.len() != theirs.len() {
        return Verdict::Different;
    }
    let pairs: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a.form != b.form).collect();
    let moved = |word: &Word, other: &[Word]| other.iter().any(|each| each.form == word.form);
    let differs = |(a, b): &(&Word, &Word)| {
        a.stands_alone() || b.stands_alone() || alike(&a.form, &b.form) || moved(a, &theirs) || moved(b, &ours)
    };
    if pairs.iter().any(differs) {
        return Verdict::Different;
    }
    match pairs.as_slice() {
        [] => Verdict::Same,
        pairs => Verdict::Words(pairs.iter().map(|(a, b)| (a.written.clone(), b.written.clone())).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_case_and_plurals_change_nothing() {
        for (one, other) in [
            ("What is the weather in Oslo?", "what's the weather in Oslo"),
            ("Please tell me the price of the tickets", "The price of tickets"),
            ("", "  ?"),
            ("Is it well-known?", "is it well known"),
        ] {
            assert_eq!(compare(one, other), Verdict::Same, "{one} / {other}");
        }
    }

    #[test]
    fn what_changes_an_answer_is_seen() {
        for (one, other) in [
            ("Pay 100 to Ada", "Pay 1000 to Ada"),
            ("Is pi 3.14?", "Is pi 3.41?"),
            ("Add 3", "Add -3"),
            ("At 10:30", "At 10:45"),
            ("Is it safe?", "Is it not safe?"),
            ("You can eat it", "You can't eat it"),
            ("Flights from Oslo to Rome", "Flights from Rome to Oslo"),
            ("Weather in Oslo", "Weather in Bergen"),
            ("Weather in Oslo", "Weather in Oslo tomorrow"),
            ("Tell Ada about it", "Tell Bob about it"),
            ("Compare IBM with SAP", "Compare IBM with HP"),
            ("The dog bites the man", "The man bites the dog"),
            ("Was it open?", "Is it open?"),
            ("A loop in C++", "A loop in C#"),
            ("A loop in C++", "A loop in C"),
            ("What is 2 + 3", "What is 2 * 3"),
            ("What is 2 - 3", "What is 2, 3"),
            ("What is 2 * (3 + 4)", "What is 2 * 3 + 4"),
            ("It costs $5", "It costs €5"),
            ("How is my mood 😀", "How is my mood 😡"),
            ("open on monday", "open on tuesday"),
            ("for two people", "for three people"),
            ("what is my limit", "what is your limit"),
            ("is it legal", "is it illegal"),
            ("the inbound flight", "the outbound flight"),
            ("an inexpensive plan", "an expensive plan"),
            ("the use of chlorine", "the use of chlorate"),
            ("cheap flights to hotels", "flights to inexpensive hotels"),
            ("天气怎么样在奥斯陆", "天气怎么样在罗马"),
        ] {
            assert_eq!(compare(one, other), Verdict::Different, "{one} / {other}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let words = Verdict::Words(vec![("cheap".into(), "inexpensive".into())]);
        assert_eq!(compare("What does the cheap plan cost?", "What does the inexpensive plan cost?"), words);
        let two = vec![("film".into(), "movie".into()), ("oslo".into(), "bergen".into())];
        assert_eq!(compare("the new film in oslo", "the new movie in bergen"), Verdict::Words(two));
        let plural = vec![("movies".into(), "films".into())];
        assert_eq!(compare("which movies?", "Which films"), Verdict::Words(plural));
    }
}
