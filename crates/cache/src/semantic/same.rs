//! Whether two questions can mean the same, told by their words.

/// What the words of two questions say.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// They have the same words in the same order, but for such as say nothing.
    Same,
    /// They differ in something that changes the answer.
    Different,
    /// They are the same if these words of the one mean what these of the other mean.
    Words(String, String),
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

#[derive(Clone, Debug, PartialEq)]
struct Word {
    /// In lower case, without the s of a plural.
    form: String,
    /// Written like a name: with a capital within a sentence, or with two.
    named: bool,
}

/// The words of a text that say something.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut starts) = (Vec::new(), true);
    let inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut rest = text;
    while let Some(begin) = rest.find(inner) {
        let before = rest.get(..begin).unwrap_or_default();
        starts |= before.contains(['.', '!', '?', ':', '\n', '"']);
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
            words.push(Word { form: format!("{sign}{}", singular(&lower)), named });
        }
        starts = false;
        rest = after;
    }
    words
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

/// Compares the words of two questions.
pub(super) fn compare(ours: &str, theirs: &str) -> Verdict {
    let (ours, theirs) = (words(ours), words(theirs));
    let hard = |words: &[Word]| -> Vec<String> {
        let hard = |word: &&Word| word.form.contains(|letter: char| letter.is_numeric()) || turns(&word.form);
        words.iter().filter(hard).map(|word| word.form.clone()).collect()
    };
    if hard(&ours) != hard(&theirs) {
        return Verdict::Different;
    }
    let in_other = |word: &Word, other: &[Word]| other.iter().any(|each| each.form == word.form);
    let split = |words: &[Word], other: &[Word]| -> (Vec<String>, Vec<Word>) {
        let (shared, own): (Vec<_>, Vec<_>) = words.iter().cloned().partition(|word| in_other(word, other));
        (shared.into_iter().map(|word| word.form).collect(), own)
    };
    let ((shared, own), (their_shared, their_own)) = (split(&ours, &theirs), split(&theirs, &ours));
    if shared != their_shared || own.is_empty() != their_own.is_empty() {
        return Verdict::Different;
    }
    if own.is_empty() {
        return Verdict::Same;
    }
    if own.iter().chain(&their_own).any(|word| word.named) {
        return Verdict::Different;
    }
    let joined = |words: Vec<Word>| words.into_iter().map(|word| word.form).collect::<Vec<_>>().join(" ");
    Verdict::Words(joined(own), joined(their_own))
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
        ] {
            assert_eq!(compare(one, other), Verdict::Different, "{one} / {other}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let words = Verdict::Words("cheap".into(), "inexpensive".into());
        assert_eq!(compare("What does the cheap plan cost?", "What does the inexpensive plan cost?"), words);
        assert_eq!(compare("weather in oslo", "weather in bergen"), Verdict::Words("oslo".into(), "bergen".into()));
    }
}
