//! What a disk may hold after the power failed, by what was done to it.

use std::collections::BTreeMap;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::support::Op;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// A change of a file that no flush has followed.
#[derive(Clone, Debug)]
enum Pending {
    Written { at: usize, bytes: Vec<u8> },
    Cut { to: usize },
}

/// A file, whatever its name is.
#[derive(Clone, Debug, Default)]
struct File {
    flushed: Vec<u8>,
    pending: Vec<Pending>,
}

/// A change of the folder that no flush has followed.
#[derive(Clone, Debug)]
enum Entry {
    Made(String, usize),
    Removed(String),
}

/// A folder on a disk: what is on it for certain, and what may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// The names as the process sees them, and as they are on the disk for certain.
    names: BTreeMap<String, usize>,
    flushed: BTreeMap<String, usize>,
    entries: Vec<Entry>,
}

/// The files of a folder, with what is in them.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

impl Disk {
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Made(name) => {
                self.entries.push(Entry::Made(name.clone(), self.files.len()));
                self.names.insert(name.clone(), self.files.len());
                self.files.push(File::default());
            }
            Op::Removed(name) => {
                self.names.remove(name);
                self.entries.push(Entry::Removed(name.clone()));
            }
            Op::Written { name, at, bytes } => {
                self.file(name).pending.push(Pending::Written { at: *at, bytes: bytes.clone() });
            }
            Op::Cut { name, to } => self.file(name).pending.push(Pending::Cut { to: *to }),
            Op::Flushed(name) => {
                let file = self.file(name);
                for pending in std::mem::take(&mut file.pending) {
                    put(&mut file.flushed, &pending);
                }
            }
            Op::FolderFlushed => {
                self.entries.clear();
                self.flushed.clone_from(&self.names);
            }
            Op::Said(_) => {}
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        let at = *self.names.get(name).unwrap_or_else(|| panic!("{name} was changed and never made"));
        &mut self.files[at]
    }

    /// The folder as the process saw it.
    pub(crate) fn seen(&self) -> Image {
        let content = |file: &File| {
            let mut bytes = file.flushed.clone();
            file.pending.iter().for_each(|pending| put(&mut bytes, pending));
            bytes
        };
        self.names.iter().map(|(name, at)| (name.clone(), content(&self.files[*at]))).collect()
    }

    /// The folder as it may be when the power fails now: a beginning of what was done to its names, and of each file's
    /// changes any part, sector by sector.
    pub(crate) fn cut_off(&self, chance: &mut StdRng) -> Image {
        let mut names = self.flushed.clone();
        let kept = chance.random_range(0..=self.entries.len());
        for entry in &self.entries[..kept] {
            match entry {
                Entry::Made(name, at) => _ = names.insert(name.clone(), *at),
                Entry::Removed(name) => _ = names.remove(name),
            }
        }
        let mut keep = Keep::any(chance);
        names.into_iter().map(|(name, at)| (name, self.files[at].after(&mut keep, chance))).collect()
    }
}

/// Which of the changes that no flush has followed the disk has kept.
#[derive(Clone, Copy, Debug)]
enum Keep {
    /// Each with this chance, as a whole.
    Some(f64),
    /// Each sector with this chance.
    Sectors(f64),
    /// The first ones, and of the one after them some sectors.
    First(f64),
}

impl Keep {
    fn any(chance: &mut StdRng) -> Self {
        let share = [0.0, 0.1, 0.5, 0.9, 1.0][chance.random_range(0..5)];
        match chance.random_range(0..3) {
            0 => Self::Some(share),
            1 => Self::Sectors(share),
            _ => Self::First(chance.random_range(0.0..1.0)),
        }
    }
}

impl File {
    fn after(&self, keep: &mut Keep, chance: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        let first = match *keep {
            Keep::First(share) => (share * self.pending.len() as f64) as usize,
            _ => 0,
        };
        for (at, pending) in self.pending.iter().enumerate() {
            match *keep {
                Keep::Some(share) if chance.random_bool(share) => put(&mut bytes, pending),
                Keep::Sectors(share) => torn(&mut bytes, pending, share, chance),
                Keep::First(_) if at < first => put(&mut bytes, pending),
                Keep::First(_) if at == first => torn(&mut bytes, pending, 0.5, chance),
                _ => {}
            }
        }
        bytes
    }
}

fn put(file: &mut Vec<u8>, pending: &Pending) {
    match pending {
        Pending::Cut { to } => file.resize(*to, 0),
        Pending::Written { at, bytes } => write(file, *at, bytes),
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Some sectors of a change.
fn torn(file: &mut Vec<u8>, pending: &Pending, share: f64, chance: &mut impl Rng) {
    match pending {
        Pending::Cut { .. } if chance.random_bool(share) => put(file, pending),
        Pending::Cut { .. } => {}
        Pending::Written { at, bytes } => {
            let (mut from, end) = (*at, at + bytes.len());
            while from < end {
                let to = ((from / SECTOR + 1) * SECTOR).min(end);
                if chance.random_bool(share) {
                    write(file, from, &bytes[from - at..to - at]);
                }
                from = to;
            }
        }
    }
}

/// Lays an image into an empty folder.
pub(crate) fn lay(image: &Image, folder: &Path) {
    for (name, bytes) in image {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn an_image_has_what_was_flushed_and_any_part_of_the_rest() {
    use rand::SeedableRng;
    let written = |at, byte| Op::Written { name: "f".into(), at, bytes: vec![byte; 1_024] };
    let mut disk = Disk::default();
    let ops = [Op::Made("f".into()), written(0, 1), Op::Flushed("f".into()), Op::FolderFlushed, written(512, 2)];
    ops.iter().for_each(|op| disk.apply(op));
    disk.apply(&Op::Made("g".into()));
    let mut chance = StdRng::seed_from_u64(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        let image = disk.cut_off(&mut chance);
        let f = &image["f"];
        assert!(f[..512].iter().all(|byte| *byte == 1), "what was flushed and not written again stays");
        seen.insert((f[512], f.get(1_024).copied(), image.contains_key("g")));
    }
    for second in [1, 2] {
        for third in [None, Some(2)] {
            for made in [false, true] {
                assert!(seen.contains(&(second, third, made)), "{seen:?}");
            }
        }
    }
    assert_eq!(disk.seen()["f"].len(), 1_536);
}
