//! The estimate beside OpenAI's vocabularies: for ordinary text it is not below them. `o200k_base` is that of the models of
//! today; `cl100k_base` (GPT-4 and before) has fewer words of other languages and stands for the rest of the world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use atomr_agents_tokens::{BpeCounter, EstimatingCounter, TokenCounter};
use proptest::prelude::*;

/// Ordinary text, a language or a notation each.
const TEXTS: &[(&str, &str)] = &[
    (
        "English",
        "The quick brown fox jumps over the lazy dog. In 1987, she wasn't sure whether O'Brien's umbrella would hold; \
         nevertheless they walked three miles to the lighthouse (it rained throughout). Quarterly revenue increased by \
         12.5% to $3,400,000, mostly through subscriptions, whereas consultancy remained unchanged.",
    ),
    (
        "German",
        "Die Donaudampfschifffahrtsgesellschaft verlangte außerordentliche Geschwindigkeitsbegrenzungen, obwohl niemand \
         überzeugt war. Trotzdem fährt der Zug um 7 Uhr früh über München nach Zürich, und die Schüler müssen aufstehen.",
    ),
    (
        "French",
        "L’été dernier, nous avons traversé la forêt où les chênes étaient déjà dépouillés ; c'était une épreuve inouïe \
         pour les élèves, qui n'avaient jamais vu pareille sécheresse près d’une rivière.",
    ),
    (
        "Polish and Turkish",
        "Rząd zapowiedział wczoraj nowe przepisy dotyczące ochrony środowiska, a mieszkańcy Łodzi przyjęli je z nadzieją. Öğretmen çocuklara yağmurun neden \
         yağdığını açıkladı; şimdi güneş ışığı gölün üzerinde parlıyor.",
    ),
    (
        "Vietnamese",
        "Tiếng Việt là ngôn ngữ của người Việt và là ngôn ngữ chính thức tại Việt Nam, được nhiều người sử dụng.",
    ),
    (
        "Russian",
        "Съешь ещё этих мягких французских булок, да выпей чаю. Правительство утвердило постановление о государственном \
         регулировании сельскохозяйственной деятельности в Новосибирске.",
    ),
    (
        "Greek",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Η κυβέρνηση ανακοίνωσε νέα μέτρα για την προστασία του περιβάλλοντος.",
    ),
    (
        "Hebrew and Arabic",
        "דג סקרן שט בים מאוכזב ולפתע מצא חברה. أعلنت الحكومة عن إجراءات جديدة لحماية البيئة في المدينة.",
    ),
    ("Hindi", "सभी मनुष्य गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त हैं। सरकार ने नई योजना की घोषणा की।"),
    ("Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ รัฐบาลประกาศมาตรการใหม่"),
    (
        "Japanese",
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。東京タワーへ行きたい。",
    ),
    ("Chinese", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。魑魅魍魉。"),
    ("Korean", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 정부는 새로운 정책을 발표했다."),
    ("emoji", "Great job 🎉🎉 see you 👋🏽 at the 🏖️ with the family 👨‍👩‍👧‍👦! ✅ done ❌ failed → next ★★★☆☆"),
    (
        "code",
        "pub fn getHTTPResponse<T: Into<String>>(url: &str, mut retries_left: u32) -> Result<Vec<u8>, Box<dyn Error>> {\n    \
         let x0 = (a[i + 1] & 0xFF) << 8;\n\tif !self.is_ready() { return Err(\"not_ready\".into()); }\n}\n\
         def main(argv=None):\n        for idx, (key, value) in enumerate(sorted(kwargs.items())):\n            \
         print(f\"{key!r:>10} = {value}\")  # noqa: T201\n",
    ),
    (
        "JSON",
        "{\"id\": \"call_9pw1XQZbv8fKkmS0aVn1qT2d\", \"type\":\"function\",\"created\":1723456789,\"usage\":{\"prompt_tokens\":82,\
         \"details\":null},\"ok\":true,\"items\":[[-1.5e-7, 0.3333333],[]],\"uuid\":\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"}",
    ),
    (
        "Markdown",
        "## Results\n\n| name | value |\n|---|---:|\n| `cached` | **12** |\n\n1. See [the docs](https://example.com/a/b?c=d&e=%20f#g)\n\
         - [ ] E-mail to admin@example.org\n\n```\n$ cargo build --release 2>&1 | tail -n 5\n```\n",
    ),
    (
        "SQL",
        "SELECT COUNT(*) AS total, users.id FROM users LEFT JOIN orders ON orders.user_id = users.id WHERE created_at >= '2024-08-06T12:00:00Z' GROUP BY users.id HAVING COUNT(*) > 10;",
    ),
];

fn counts(text: &str) -> [u64; 3] {
    let exact = |model| BpeCounter.count_text(model, text);
    [EstimatingCounter.count_text("any", text), exact("gpt-4o"), exact("gpt-4")]
}

#[test]
fn ordinary_text_is_not_underestimated_nor_beyond_all_measure() {
    for (name, text) in TEXTS {
        let [estimate, o200k, cl100k] = counts(text);
        assert!(estimate >= o200k.max(cl100k), "{name}: {estimate} estimated, {o200k} and {cl100k} counted");
        assert!(estimate * 2 <= cl100k * 5, "{name}: {estimate} estimated, {cl100k} counted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_words_of_a_text_in_any_order_are_not_underestimated_for_todays_models(
        (which, words) in (0..TEXTS.len()).prop_flat_map(|which| {
            let words: Vec<&str> = TEXTS[which].1.split_whitespace().collect();
            (Just(which), prop::collection::vec(prop::sample::select(words), 15..120))
        }),
    ) {
        let text = words.join(" ");
        let [estimate, o200k, _] = counts(&text);
        prop_assert!(estimate >= o200k, "{}: {estimate}, {o200k}: {text}", TEXTS[which].0);
    }

    #[test]
    fn pieces_of_ordinary_texts_in_any_order_are_not_underestimated(
        pieces in prop::collection::vec((0..TEXTS.len(), 0usize..400, 40usize..400), 1..12),
    ) {
        let pieces = pieces.into_iter().map(|(which, from, length)| {
            let text: Vec<char> = TEXTS[which].1.chars().collect();
            let from = from.min(text.len() / 2);
            text[from..(from + length).min(text.len())].iter().collect::<String>()
        });
        let text = pieces.collect::<Vec<_>>().join("\n");
        let [estimate, o200k, cl100k] = counts(&text);
        prop_assert!(estimate >= o200k.max(cl100k), "{estimate}, {o200k}, {cl100k}: {text}");
    }
}
