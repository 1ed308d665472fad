//! Memory for many numbers: in large pages where the system has them, or a part of a file.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use atomr_agents_core::Kind;
use bytemuck::Pod;
use memmap2::{Mmap, MmapMut};

use crate::EmbedError;

/// From here on large pages are asked for. Rows are read in no order; with small pages every second of them would have to
/// look its page up first.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// Numbers in a row that may grow. What lies in a file is read from there until the first change.
#[derive(Debug)]
pub(crate) struct Block<T> {
    memory: Memory,
    len: usize,
    of: PhantomData<T>,
}

#[derive(Debug)]
enum Memory {
    None,
    Own(MmapMut),
    File(Arc<Mmap>, Range<usize>),
}

impl<T> Default for Block<T> {
    fn default() -> Self {
        Self { memory: Memory::None, len: 0, of: PhantomData }
    }
}

fn no_memory(error: std::io::Error) -> EmbedError {
    EmbedError::Failed {
        what: "memory for vectors".into(),
        kind: Kind::Internal,
        message: error.to_string(),
        source: Some(Arc::new(error)),
    }
}

impl<T: Pod> Block<T> {
    /// The numbers in this part of a file; `None` where it is not aligned or no whole number of them.
    pub(crate) fn of_file(file: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        let len = bytemuck::try_cast_slice::<u8, T>(file.get(range.clone())?).ok()?.len();
        Some(Self { memory: Memory::File(Arc::clone(file), range), len, of: PhantomData })
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        let bytes = match &self.memory {
            Memory::None => &[],
            Memory::Own(map) => map.get(..self.len * size_of::<T>()).unwrap_or_default(),
            Memory::File(file, range) => file.get(range.clone()).unwrap_or_default(),
        };
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes place for more, so that the next [`extend`](Self::extend) of as many cannot fail.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), EmbedError> {
        let needed = (self.len + more) * size_of::<T>();
        let room = match &self.memory {
            Memory::Own(map) => map.len(),
            Memory::None | Memory::File(..) => 0,
        };
        if needed <= room || needed == 0 {
            return Ok(());
        }
        // Half as much again, so that growing costs the same for every row.
        let mut map = MmapMut::map_anon(needed.max(room + room / 2).max(4096)).map_err(no_memory)?;
        #[cfg(target_os = "linux")]
        if map.len() >= LARGE {
            // A wish: a system without large pages refuses it, and everything works all the same.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        let bytes: &[u8] = bytemuck::cast_slice(self.as_slice());
        if let Some(into) = map.get_mut(..bytes.len()) {
            into.copy_from_slice(bytes);
        }
        self.memory = Memory::Own(map);
        Ok(())
    }

    pub(crate) fn extend(&mut self, values: &[T]) -> Result<(), EmbedError> {
        self.reserve(values.len())?;
        let start = self.len * size_of::<T>();
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if let Memory::Own(map) = &mut self.memory
            && let Some(into) = map.get_mut(start..start + bytes.len())
        {
            into.copy_from_slice(bytes);
            self.len += values.len();
        }
        Ok(())
    }

    /// The numbers, to change: from a file they are copied first.
    pub(crate) fn as_mut_slice(&mut self) -> Result<&mut [T], EmbedError> {
        if matches!(self.memory, Memory::File(..)) {
            self.reserve(0)?;
        }
        let bytes = match &mut self.memory {
            Memory::Own(map) => map.get_mut(..self.len * size_of::<T>()).unwrap_or_default(),
            Memory::None | Memory::File(..) => &mut [],
        };
        Ok(bytemuck::try_cast_slice_mut(bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_at_any_size() {
        let mut block = Block::<u32>::default();
        assert_eq!(block.as_slice(), &[] as &[u32]);
        let mut wanted = Vec::new();
        for size in [0, 1, 5, 1023, 4000, 2_000_000] {
            let more: Vec<u32> = (0..size).map(|n| n * 7 + size).collect();
            block.extend(&more).unwrap();
            wanted.extend(more);
            assert!(block.as_slice() == wanted && block.len() == wanted.len());
        }
        block.as_mut_slice().unwrap()[3] = 9;
        assert_eq!(block.as_slice()[3], 9);
    }
}
