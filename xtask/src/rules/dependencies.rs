//! A dependency is there because code uses it: what no source names goes, or says why it stays (`linked`).

use crate::manifest::{Kind, Manifest};
use crate::report::Report;
use crate::rust_text::{code_only, doc_examples, find_word};
use crate::workspace::Workspace;

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("dependencies");
    for krate in ws.crates() {
        let product = code(ws, krate, &["src"], false);
        let build = code(ws, krate, &[""], false);
        let tests = code(ws, krate, &["src", "tests", "benches", "examples"], true);
        report.looked += usize::from(!product.is_empty());
        for dependency in &krate.dependencies {
            if krate.linked.contains_key(&dependency.package) {
                continue;
            }
            let (text, place) = match dependency.kind {
                Kind::Normal => (&product, "src/"),
                Kind::Build => (&build, "build.rs"),
                Kind::Dev => (&tests, "src/, tests/, benches/ or examples/"),
            };
            if !text.lines().any(|line| find_word(line, &dependency.ident).is_some()) {
                report.fail(&krate.path(), None, format!("`{}` is not used in {place}", dependency.package));
            }
        }
    }
    report
}

fn code(ws: &Workspace, krate: &Manifest, parts: &[&str], with_examples: bool) -> String {
    let mut out = String::new();
    for file in ws.sources(krate, parts) {
        out.push_str(&code_only(&file.text));
        if with_examples {
            out.push_str(&doc_examples(&file.text));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::{manifest, workspace};

    fn failures(more: &str, files: &[(&str, &str)]) -> Vec<String> {
        let manifest = manifest("tool", "1", more);
        let mut all = vec![("crates/tool/Cargo.toml", manifest.as_str())];
        all.extend_from_slice(files);
        check(&workspace(&all)).failures()
    }

    const LIB: &str = "crates/tool/src/lib.rs";

    #[test]
    fn an_unused_dependency_fails_in_every_list() {
        for list in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let more = format!("[{list}]\nserde-x = \"1\"\n");
            let found = failures(&more, &[(LIB, "//! serde_x\nfn f() { serde_x2(\"serde_x\"); }")]);
            assert!(found.len() == 1 && found[0].contains("serde-x"), "{list}: {found:?}");
        }
    }

    #[test]
    fn a_used_one_passes_under_its_name_here() {
        let more = "[dependencies]\nweb = { package = \"reqwest\" }\n[dev-dependencies]\na = \"1\"\nb = \"1\"\n";
        let tests = ("crates/tool/tests/t.rs", "use a::A;");
        assert!(failures(more, &[(LIB, "/// ```\n/// b::f();\n/// ```\npub fn f() { web::f() }"), tests]).is_empty());
    }

    #[test]
    fn a_dependency_that_only_tests_use_is_no_normal_one() {
        let found =
            failures("[dependencies]\na = \"1\"\n", &[(LIB, "fn f() {}"), ("crates/tool/tests/t.rs", "use a::A;")]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_linked_one_stays_for_its_reason() {
        let more = "[dependencies]\nring = \"1\"\n[package.metadata.atomr.linked]\nring = \"turns a feature on\"\n";
        assert!(failures(more, &[(LIB, "fn f() {}")]).is_empty());
    }
}
