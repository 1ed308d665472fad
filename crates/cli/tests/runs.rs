//! The command on a store with a few runs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use atomr_agents_cli::{Exit, run};
use atomr_agents_core::{Event, EventKind};
use atomr_agents_state::{
    Checkpoint, EffectClass, EffectKey, EncryptedStore, EncryptionKey, Intent, Item, Journal, JournalOptions, NewRun,
    RunStatus, Store, StoredError, note, whole,
};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Answer {
    code: u8,
    out: String,
    err: String,
}

impl Answer {
    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A folder with a store in it.
struct Kept(TempDir);

impl Kept {
    fn path(&self) -> String {
        self.0.path().join("runs.db").display().to_string()
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(Path::new(&self.path()), SqliteOptions::default()).unwrap())
    }

    async fn say(&self, words: &[&str]) -> Answer {
        let path = self.path();
        let args: Vec<&str> =
            ["atomr-agents", "runs"].iter().chain(words).chain(&["--store", &path]).copied().collect();
        say(&args).await
    }
}

async fn say(args: &[&str]) -> Answer {
    let (out, err) = (Sink::default(), Sink::default());
    let exit = run(args.iter().copied(), Box::new(out.clone()), Box::new(err.clone())).await;
    let Exit::Code(code) = exit else { unreachable!("{exit:?}") };
    Answer { code, out: out.text(), err: err.text() }
}

fn new(name: &str, kind: &str) -> NewRun {
    let labels = [("team".to_owned(), "blue".to_owned())].into();
    NewRun { name: name.into(), kind: kind.into(), target: "demo".into(), version: "v1".into(), labels }
}

async fn checkpoint(journal: &Journal, step: u64, n: u64) {
    let mut blobs = Vec::new();
    let channels = [
        ("n".to_owned(), whole(&json!(n), &mut blobs).unwrap()),
        ("log".to_owned(), whole(&json!(["x".repeat(2_000), "y"]), &mut blobs).unwrap()),
    ];
    journal.stage_blobs(blobs);
    let source = "step".to_owned();
    let note = Some(note(&json!({})).unwrap());
    let made = Checkpoint { step, base: true, source, channels: channels.into(), note, ..Checkpoint::default() };
    journal.stage(Item::Checkpoint(made));
    journal.flush().await.unwrap();
}

fn tell(journal: &Journal, seq: u64, text: &str) {
    let (_, run) = journal.turn();
    let kind = EventKind::TextDelta { text: text.into() };
    let event = Event { run, seq, index: 0, path: "demo".into(), parent: None, time_ms: 1_000 * seq, kind };
    journal.stage_event(&event).unwrap();
}

/// `done` ended well after two steps, `broken` failed, `open` was left in the middle of a call.
async fn kept() -> Kept {
    let kept = Kept(tempfile::tempdir().unwrap());
    let store = kept.store();
    let options = JournalOptions::default;
    let journal = Journal::begin(store.clone(), new("done", "workflow"), options(), &json!("in")).await.unwrap();
    for step in 0..2 {
        let key = EffectKey::new(step, "pay", 0);
        journal.intend(Intent::new(key.clone(), "tool", "pay")).await.unwrap();
        tell(&journal, step * 2 + 1, "hello \x1b[2J");
        tell(&journal, step * 2 + 2, "api_key=sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD");
        journal.record(key, &json!({"receipt": step})).await.unwrap();
        checkpoint(&journal, step, 10 * step).await;
    }
    let output = Some(journal.body(&json!("all paid")).unwrap());
    journal.end(RunStatus::Finished, output, None).await.unwrap();
    journal.release().await.unwrap();
    let journal = Journal::begin(store.clone(), new("broken", "agent"), options(), &json!("in")).await.unwrap();
    let error = StoredError { kind: atomr_agents_core::Kind::Tool, message: "no such city".into() };
    journal.end(RunStatus::Failed, None, Some(error)).await.unwrap();
    journal.release().await.unwrap();
    let journal = Journal::begin(store, new("open", "agent"), options(), &json!("in")).await.unwrap();
    let once = Intent::new(EffectKey::new(0, "mail", 0), "tool", "send_mail").effect(EffectClass::Once);
    journal.intend(once).await.unwrap();
    journal.release().await.unwrap();
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_and_filtered_in_a_table_and_as_json() {
    let kept = kept().await;
    let all = kept.say(&["list"]).await;
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    let lines: Vec<&str> = all.out.lines().collect();
    assert!(lines[0].starts_with("RUN     KIND      TARGET  STATUS    TURNS  BEGUN (UTC)"), "{}", all.out);
    assert!(lines.iter().any(|line| line.starts_with("done    workflow  demo    finished      1  20")), "{}", all.out);
    assert!(lines.iter().any(|line| line.starts_with("broken  agent     demo    failed        1  20")), "{}", all.out);
    assert!(lines[1].ends_with("team=blue") && lines.len() == 4, "{}", all.out);
    let failed = kept.say(&["list", "--status", "failed", "--status", "finished", "--json"]).await;
    let mut names: Vec<String> = failed.lines().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["broken", "done"]);
    assert_eq!(kept.say(&["list", "--label", "team=red"]).await.out, "no runs\n");
    let first = kept.say(&["list", "--limit", "2"]).await;
    let (_, last) = first.out.trim_end().rsplit_once("--after ").unwrap();
    let rest = kept.say(&["list", "--limit", "2", "--after", last]).await;
    assert_eq!(first.out.lines().count() + rest.out.lines().count(), 6, "{}{}", first.out, rest.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_with_its_state_and_what_is_open() {
    let kept = kept().await;
    let done = kept.say(&["show", "done", "--values"]).await;
    for line in ["status   finished", "step     1 (step), next: nothing", "channel  n: 10", "output   all paid"] {
        assert!(done.out.lines().any(|found| found == line), "{line}: {}", done.out);
    }
    let open = kept.say(&["show", "open"]).await;
    assert!(open.out.contains("open     0:mail#0 (send_mail) was begun and has no outcome"), "{}", open.out);
    let json = kept.say(&["show", "done", "--json"]).await.lines().remove(0);
    assert_eq!(json["checkpoint"]["channels"]["log"], "list of 2");
    assert_eq!((&json["output"], &json["effects"]), (&json!("all paid"), &json!(2)));
    let missing = kept.say(&["show", "nope"]).await;
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("no run named \"nope\"") && missing.err.contains("runs list"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_from_a_number_on_and_neither_move_the_cursor_nor_tell_secrets() {
    let kept = kept().await;
    let all = kept.say(&["events", "done"]).await;
    assert_eq!(all.out.lines().count(), 4, "{}", all.out);
    assert!(!all.out.contains('\x1b') && !all.out.contains("abcdefghijklmnop"), "{}", all.out);
    assert!(all.out.lines().next().unwrap().starts_with("     1  1970-01-01 00:00:01  demo"), "{}", all.out);
    let rest = kept.say(&["events", "done", "--from-seq", "3", "--json"]).await.lines();
    assert_eq!(rest.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(kept.say(&["events", "done", "--limit", "1"]).await.out.lines().count(), 1);
    let over = kept.say(&["events", "done", "--follow"]).await;
    assert_eq!((over.code, over.out.lines().count()), (0, 4), "a run that is over is not waited for");
    let late = kept.say(&["events", "open", "--follow", "--deadline", "0"]).await;
    assert!(late.code != 0 && late.err.contains("--deadline"), "{}", late.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_followed_is_told_until_it_ends() {
    let kept = kept().await;
    let journal = Journal::resume(kept.store(), "open", JournalOptions::default()).await.unwrap();
    let following = kept.say(&["events", "open", "--follow", "--json"]);
    let writing = async {
        for seq in 1..=20 {
            tell(&journal, seq, "word");
            journal.flush().await.unwrap();
        }
        journal.end(RunStatus::Finished, None, None).await.unwrap();
    };
    let (told, ()) = tokio::join!(following, writing);
    let seqs: Vec<u64> = told.lines().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!((told.code, seqs), (0, (1..=20).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_forked_at_a_step_with_other_values_and_at_an_event() {
    let kept = kept().await;
    let fork =
        kept.say(&["fork", "done", "--at-step", "0", "--name", "again", "--set", "n=7", "--label", "why=test"]).await;
    assert_eq!((fork.code, fork.out.as_str()), (0, "again\n"), "{}", fork.err);
    let shown = kept.say(&["show", "again", "--values", "--json"]).await.lines().remove(0);
    assert_eq!((&shown["checkpoint"]["values"]["n"], &shown["labels"]["why"]), (&json!(7), &json!("test")));
    let other = kept.say(&["fork", "done", "--at-seq", "2", "--json"]).await.lines().remove(0);
    let events = kept.say(&["events", other["run"].as_str().unwrap(), "--json"]).await;
    assert_eq!(events.lines().len(), 2);
    for (words, code, told) in [
        (vec!["fork", "done", "--at-step", "9"], 1, "no step 9"),
        (vec!["fork", "done", "--name", "again"], 1, "exists"),
        (vec!["fork", "done", "--set", "n=oops"], 2, "no JSON"),
        (vec!["fork", "done", "--set", "oops"], 2, "NAME=VALUE"),
        (vec!["fork", "done", "--at-step", "1", "--at-seq", "1"], 2, "cannot be used with"),
    ] {
        let refused = kept.say(&words).await;
        assert_eq!(refused.code, code, "{words:?}: {}", refused.err);
        assert!(refused.err.contains(told), "{words:?}: {}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_forgotten_and_a_run_removed_but_never_what_a_fork_needs() {
    let kept = kept().await;
    let pruned = kept.say(&["prune", "done", "--sweep", "--grace", "0"]).await;
    assert_eq!(pruned.code, 0, "{}", pruned.err);
    assert!(pruned.out.contains("commits forgotten") && pruned.out.contains("swept"), "{}", pruned.out);
    assert_eq!(kept.say(&["verify"]).await.code, 0);
    assert_eq!(kept.say(&["prune", "done", "--keep", "0"]).await.code, 2);
    assert_eq!(kept.say(&["fork", "done", "--name", "child"]).await.code, 0);
    let needed = kept.say(&["remove", "done"]).await;
    assert!(needed.code == 1 && needed.err.contains("child"), "{}", needed.err);
    assert_eq!(kept.say(&["remove", "child"]).await.out, "child removed\n");
    assert_eq!(kept.say(&["remove", "done"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_with_its_place_and_what_is_whole_is_saved() {
    let kept = kept().await;
    let whole = kept.say(&["verify"]).await;
    assert_eq!(whole.code, 0, "{}", whole.out);
    assert!(whole.out.ends_with("3 runs whole, 0 damaged\n"), "{}", whole.out);
    // One byte of each body of `done` that holds a receipt, as a bad disk would change it.
    let path = kept.path();
    let found = flip(Path::new(&path), b"\"receipt\":1");
    assert!(found > 0);
    let damaged = kept.say(&["verify", "done"]).await;
    assert_eq!(damaged.code, 3, "{}{}", damaged.out, damaged.err);
    assert!(damaged.out.contains("DAMAGED  done: position "), "{}", damaged.out);
    assert_eq!(damaged.out.lines().filter(|line| line.contains("DAMAGED")).count(), 1, "{}", damaged.out);
    let all = kept.say(&["verify"]).await;
    assert!(all.out.contains("whole    open:") && all.out.ends_with("2 runs whole, 1 damaged\n"), "{}", all.out);
    let other = kept.0.path().join("saved.db").display().to_string();
    let saved = kept.say(&["salvage", "--to", &other]).await;
    assert_eq!(saved.code, 3, "{}", saved.err);
    assert!(saved.out.contains("copied  open") && saved.out.contains("LEFT    done"), "{}", saved.out);
    let there = say(&["atomr-agents", "runs", "verify", "--store", &other]).await;
    assert_eq!((there.code, there.out.lines().count()), (0, 3), "{}", there.out);
}

/// Changes a byte in every place where the files of a store hold `text`.
fn flip(path: &Path, text: &[u8]) -> usize {
    let mut places = 0;
    for name in [path.to_path_buf(), path.with_extension("db-wal")] {
        let Ok(mut bytes) = std::fs::read(&name) else { continue };
        let found: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
        for at in &found {
            bytes[at + text.len() - 1] ^= 1;
        }
        places += found.len();
        std::fs::write(&name, bytes).unwrap();
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_held_against_itself() {
    let kept = kept().await;
    let done = kept.say(&["replay", "done"]).await;
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(
        done.out.contains("nothing was run") && done.out.ends_with("the record agrees with itself\n"),
        "{}",
        done.out
    );
    let journal = Journal::resume(kept.store(), "open", JournalOptions::default()).await.unwrap();
    journal.end(RunStatus::Finished, None, None).await.unwrap();
    journal.release().await.unwrap();
    let open = kept.say(&["replay", "open", "--json"]).await;
    assert_eq!((open.code, &open.lines()[0]["wrong"][0]), (3, &json!("0:mail#0 (send_mail) has no outcome")));
    let words = ["atomr-agents", "runs", "replay", "done", "--agent", "shop:agent", "--store", &kept.path()];
    let exit = run(words, Box::new(std::io::sink()), Box::new(std::io::sink())).await;
    assert!(matches!(exit, Exit::Replay(asked) if asked.agent == "shop:agent" && asked.run == "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_makes_no_sense_says_so_without_secrets() {
    for words in
        [vec!["atomr-agents"], vec!["atomr-agents", "runs"], vec!["atomr-agents", "runs", "lits", "--store", "x"]]
    {
        assert_eq!(say(&words).await.code, 2, "{words:?}");
    }
    let nowhere = say(&["atomr-agents", "runs", "list", "--store", "no/such.db"]).await;
    assert_eq!((nowhere.code, nowhere.err.as_str()), (1, "error: there is no store at no/such.db\n"));
    let scheme = say(&["atomr-agents", "runs", "list", "--store", "redis://u:hunter2@h"]).await;
    assert!(scheme.code == 2 && !scheme.err.contains("hunter2"), "{}", scheme.err);
    let refused = say(&["atomr-agents", "runs", "list", "--store", "postgres://u:hunter2@127.0.0.1:1/db"]).await;
    assert!(refused.code == 1 && !refused.err.contains("hunter2"), "{}", refused.err);
    let help = say(&["atomr-agents", "runs", "--help"]).await;
    assert!(help.code == 0 && help.out.contains("Exit codes:"), "{}", help.out);
}

#[tokio::test]
async fn an_encrypted_store_is_opened_with_the_key_in_a_file_and_with_no_other() {
    let kept = Kept(tempfile::tempdir().unwrap());
    let key = EncryptionKey::new([7; 32]);
    let store: Arc<dyn Store> = Arc::new(EncryptedStore::open(kept.store(), &key).await.unwrap());
    let run = new("secret", "workflow");
    let journal = Journal::begin(store, run, JournalOptions::default(), &json!("in")).await.unwrap();
    journal.end(RunStatus::Finished, None, None).await.unwrap();
    journal.release().await.unwrap();
    let file = |name: &str, text: &str| {
        let path = kept.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (right, wrong, none) =
        (file("right", &format!("{}\n", "07".repeat(32))), file("wrong", &"08".repeat(32)), file("none", "hunter2"));

    let shut = kept.say(&["list"]).await;
    assert!(shut.code == 2 && shut.err.contains("--key-file") && shut.err.contains("encrypted"), "{}", shut.err);
    let open = kept.say(&["list", "--json", "--key-file", &right]).await;
    assert_eq!((open.code, open.lines()[0]["name"].as_str()), (0, Some("secret")), "{}", open.err);
    let other = kept.say(&["list", "--key-file", &wrong]).await;
    assert!(other.code == 1 && other.err.contains("another key"), "{}", other.err);
    let bad = kept.say(&["list", "--key-file", &none]).await;
    assert!(bad.code == 1 && bad.err.contains("64 hexadecimal") && !bad.err.contains("hunter2"), "{}", bad.err);
    let missing = kept.say(&["list", "--key-file", "/nowhere"]).await;
    assert!(missing.code == 2 && missing.err.contains("cannot be read"), "{}", missing.err);
    assert_eq!(kept.say(&["verify", "--key-file", &right]).await.code, 0);

    let copy = Kept(tempfile::tempdir().unwrap());
    assert_eq!(kept.say(&["salvage", "--to", &copy.path(), "--key-file", &right]).await.code, 0);
    assert!(EncryptedStore::is_around(&*copy.store()).await.unwrap());
    assert_eq!(copy.say(&["show", "secret", "--key-file", &right]).await.code, 0);
}

#[tokio::test]
async fn a_key_binds_no_store_that_was_written_without_one() {
    let kept = kept().await;
    let file = kept.0.path().join("key");
    std::fs::write(&file, "07".repeat(32)).unwrap();
    let refused = kept.say(&["list", "--key-file", &file.display().to_string()]).await;
    assert!(refused.code == 2 && refused.err.contains("not encrypted"), "{}", refused.err);
    assert_eq!(kept.say(&["verify"]).await.code, 0);
}
