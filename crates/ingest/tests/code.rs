//! Programs are cut at their items.
#![allow(clippy::unwrap_used)] // helpers of tests

use atomr_agents_core::Document;
use atomr_agents_ingest::{Code, CodeLanguage, Splitter};

fn cut(language: CodeLanguage, size: usize, text: &str) -> Vec<String> {
    let pieces = Code::new(language, size, 0).unwrap().split(&Document::new("s", text)).unwrap();
    pieces.into_iter().map(|piece| piece.text).collect()
}

const PYTHON: &str = r#"import os

# What the weather is.
# In two lines.
@cached
async def rain(city):
    return 1


@dataclass
class Report:
    """A report."""

    # Its city.
    city: str

    @property
    def title(self):
        return self.city

    async def send(self):
        await post(self)
"#;

#[test]
fn decorators_and_comments_stay_with_what_they_are_about() {
    let pieces = cut(CodeLanguage::Python, 110, PYTHON);
    assert_eq!(pieces.len(), 4, "{pieces:#?}");
    assert_eq!(
        pieces[0],
        "import os\n\n# What the weather is.\n# In two lines.\n@cached\nasync def rain(city):\n    return 1\n\n\n"
    );
    assert!(pieces[1].starts_with("@dataclass\nclass Report:"), "{pieces:#?}");
    assert!(pieces[2].starts_with("    @property\n    def title"), "{pieces:#?}");
    assert!(pieces[3].starts_with("    async def send"), "{pieces:#?}");
}

#[test]
fn small_methods_share_a_piece_and_a_class_that_has_room_stays_whole() {
    assert_eq!(cut(CodeLanguage::Python, 2_000, PYTHON).len(), 1);
    let pieces = cut(CodeLanguage::Python, 250, PYTHON);
    assert_eq!(pieces.len(), 2, "{pieces:#?}");
    assert!(pieces[1].starts_with("@dataclass"));
}

#[test]
fn items_of_every_language_are_found() {
    let cases: [(CodeLanguage, usize, &str, &[&str]); 8] = [
        (
            CodeLanguage::Rust,
            70,
            "use std::fmt;\n\n/// Rain.\n#[derive(Debug)]\npub struct Rain {\n    mm: f64,\n}\n\n/// Falls.\n#[inline]\npub async fn fall() -> Rain {\n    todo()\n}\n",
            &["use std::fmt;", "/// Rain.\n#[derive", "/// Falls.\n#[inline]\npub async fn"],
        ),
        (
            CodeLanguage::JavaScript,
            65,
            "import x from 'x';\n\n// Rain.\nexport const rain = async (city) => {\n  return 1;\n};\n\nexport default class Wind {\n  blow() { return 2; }\n}\n",
            &["import x", "// Rain.\nexport const rain = async", "export default class Wind"],
        ),
        (
            CodeLanguage::TypeScript,
            50,
            "interface Rain {\n  mm: number;\n}\n\n@injectable()\nexport class Wind {\n  constructor(private n: number) {}\n}\n\nexport type Both = Rain | Wind;\n",
            &["interface Rain", "@injectable()\nexport class Wind", "  constructor", "export type Both"],
        ),
        (
            CodeLanguage::Go,
            50,
            "package rain\n\n// Fall falls.\nfunc Fall() int {\n\treturn 1\n}\n\nfunc (r *Rain) Stop() {\n\tr.on = false\n}\n",
            &["package rain", "// Fall falls.\nfunc Fall", "func (r *Rain) Stop"],
        ),
        (
            CodeLanguage::Java,
            95,
            "package rain;\n\npublic class Rain {\n    /** Falls. */\n    @Override\n    public int fall() { return 1; }\n\n    @Deprecated\n    void stop() { this.on = false; }\n}\n",
            &["package rain;", "public class Rain {\n    /** Falls. */", "    @Deprecated\n    void stop"],
        ),
        (
            CodeLanguage::C,
            50,
            "#include <stdio.h>\n\n/* Falls. */\nint fall(void) {\n    return 1;\n}\n\nstatic int stop(void) { return 2; }\n",
            &["#include", "/* Falls. */\nint fall", "static int stop"],
        ),
        (
            CodeLanguage::Cpp,
            105,
            "namespace rain {\n\n// Rain.\ntemplate <typename T>\nclass Rain {\n public:\n  T fall() { return T(); }\n};\n\nint stop() { return 2; }\n\n}\n",
            &["namespace rain {\n\n// Rain.\ntemplate", "int stop"],
        ),
        (
            CodeLanguage::Python,
            30,
            "x = 1\n\ndef f():\n    a = 1\n    b = 2\n    return a + b\n",
            &["x = 1\n\n", "def f():\n    a = 1\n    b = 2\n", "    return a + b\n"],
        ),
    ];
    for (language, size, text, starts) in cases {
        let pieces = cut(language, size, text);
        assert_eq!(pieces.concat(), text);
        assert_eq!(pieces.len(), starts.len(), "{language}: {pieces:#?}");
        for (piece, start) in pieces.iter().zip(starts) {
            assert!(piece.starts_with(start), "{language}: {pieces:#?}");
        }
    }
}

#[test]
fn a_broken_program_is_cut_at_what_can_be_read() {
    let text = "def good():\n    return 1\n\n\ndef broken(:\n    ((((\n\n\ndef fine():\n    return 2\n";
    let pieces = cut(CodeLanguage::Python, 40, text);
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().any(|piece| piece.starts_with("def good")) && pieces.len() >= 2, "{pieces:#?}");
}

#[test]
fn a_program_nested_without_end_ends() {
    let text = "[".repeat(20_000);
    assert_eq!(cut(CodeLanguage::JavaScript, 1_000, &text).len(), 20);
}

#[test]
fn an_unknown_language_is_refused_with_those_there_are() {
    let error = "cobol".parse::<CodeLanguage>().unwrap_err().to_string();
    assert!(error.contains("rust") && error.contains("\"cobol\""), "{error}");
    assert_eq!(".TSX".parse::<CodeLanguage>().unwrap(), CodeLanguage::TypeScript);
}
