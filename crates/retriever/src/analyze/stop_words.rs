//! The words that say least, of some languages.

use super::Language;

/// The list of a language; empty where there is none.
pub(super) fn of(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => &[
            "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "had", "has", "have", "he", "her",
            "his", "i", "if", "in", "into", "is", "it", "its", "no", "not", "of", "on", "or", "our", "she", "so",
            "such", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "was", "we",
            "were", "which", "will", "with", "you", "your",
        ],
        Language::German => &[
            "als", "am", "an", "auch", "auf", "aus", "bei", "bin", "bis", "da", "das", "dem", "den", "der", "des",
            "die", "doch", "du", "ein", "eine", "einem", "einen", "einer", "eines", "er", "es", "für", "hat", "ich",
            "ihr", "im", "in", "ist", "mit", "nach", "nicht", "noch", "nur", "oder", "sich", "sie", "sind", "so", "um",
            "und", "von", "vor", "war", "was", "wenn", "wie", "wir", "zu", "zum", "zur",
        ],
        Language::French => &[
            "a", "au", "aux", "avec", "ce", "ces", "cette", "dans", "de", "des", "du", "elle", "en", "est", "et", "eu",
            "il", "ils", "je", "la", "le", "les", "leur", "lui", "mais", "me", "ne", "nous", "on", "ou", "où", "par",
            "pas", "pour", "qu", "que", "qui", "sa", "se", "ses", "son", "sont", "sur", "tu", "un", "une", "vous", "y",
            "à", "été",
        ],
        Language::Spanish => &[
            "a", "al", "como", "con", "de", "del", "el", "ella", "ellos", "en", "era", "es", "esta", "este", "esto",
            "fue", "ha", "la", "las", "le", "les", "lo", "los", "me", "mi", "más", "no", "nos", "o", "para", "pero",
            "por", "que", "se", "ser", "si", "sin", "sobre", "son", "su", "sus", "también", "te", "tu", "un", "una",
            "uno", "y", "ya", "yo",
        ],
        Language::Italian => &[
            "a", "ai", "al", "alla", "anche", "che", "chi", "ci", "come", "con", "da", "dal", "dalla", "de", "dei",
            "del", "della", "delle", "di", "e", "gli", "ha", "i", "il", "in", "io", "la", "le", "lo", "ma", "mi",
            "nel", "nella", "non", "o", "per", "più", "se", "si", "sono", "su", "ti", "tra", "un", "una", "uno", "è",
            "era",
        ],
        Language::Portuguese => &[
            "a", "ao", "aos", "as", "com", "como", "da", "das", "de", "do", "dos", "e", "ela", "ele", "em", "entre",
            "era", "essa", "esse", "esta", "este", "eu", "foi", "há", "isso", "já", "mais", "mas", "me", "na", "nas",
            "no", "nos", "não", "o", "os", "ou", "para", "pela", "pelo", "por", "que", "se", "sem", "ser", "seu",
            "sua", "são", "também", "um", "uma", "você", "à", "é",
        ],
        _ => &[],
    }
}
