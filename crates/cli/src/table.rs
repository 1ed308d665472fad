//! Rows under each other.

use std::io::{self, Write};

use crate::escape::shown;

/// A table: the columns as wide as their widest cell, numbers on the right.
#[derive(Debug)]
pub(crate) struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these heads; those that begin with `>` are of columns of numbers.
    pub(crate) fn new(heads: &'static [&'static str]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// One more row, as many cells as there are heads.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.into_iter().map(|cell| shown(cell).into_owned()).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let heads: Vec<String> = self.heads.iter().map(|head| head.trim_start_matches('>').to_owned()).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|at| self.rows.iter().chain([&heads]).map(|row| row[at].chars().count()).max().unwrap_or(0))
            .collect();
        for row in [&heads].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[at] - cell.chars().count());
                let right = self.heads[at].starts_with('>');
                let cell = if right { format!("{gap}{cell}") } else { format!("{cell}{gap}") };
                line.push_str(if at == 0 { "" } else { "  " });
                line.push_str(&cell);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["NAME", ">TURNS", "STATUS"]);
        table.row(["ä", "1", "finished"]);
        table.row(["a\tb", "100", "failed"]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAME  TURNS  STATUS\nä         1  finished\na\\tb    100  failed\n"
        );
    }
}
