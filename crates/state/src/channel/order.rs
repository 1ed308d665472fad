//! The order of tasks, and names that are alike.

use std::cmp::Ordering;

/// The order of two paths of tasks: as text, but digits that stand together are one number, so that `fan[9]` comes before
/// `fan[10]`.
pub(crate) fn of_tasks(one: &str, two: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), two.as_bytes());
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        let order = if a.is_ascii_digit() && b.is_ascii_digit() {
            let (first, second) = (number(&mut left), number(&mut right));
            first.len().cmp(&second.len()).then_with(|| first.cmp(second))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            a.cmp(b)
        };
        if order.is_ne() {
            return order;
        }
    }
    // Of two that say the same, such as `a1` and `a01`, one still comes first, whoever is asked.
    left.len().cmp(&right.len()).then_with(|| one.cmp(two))
}

/// Takes the digits from the front; those that count.
fn number<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// The name that is most like `wanted`, if one is alike at all.
pub(crate) fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = wanted.chars().count().div_ceil(3).max(1);
    let alike = names.map(|name| (distance(&wanted.to_lowercase(), &name.to_lowercase()), name));
    alike.filter(|(steps, _)| *steps <= limit).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// How many characters have to be put in, taken out or changed to make one word the other.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut corner = line;
        row[0] = line + 1;
        for (at, b) in two.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[at + 1];
            row[at + 1] = change.min(corner + 1).min(row[at] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_paths_are_compared_as_numbers() {
        let mut paths = vec!["fan[10]", "fan[9]", "b", "fan[9]/x2", "a10/b", "a9/c", "fan", "a09/c", "fan[9]/x11", ""];
        paths.sort_by(|one, two| of_tasks(one, two));
        assert_eq!(paths, ["", "a09/c", "a9/c", "a10/b", "b", "fan", "fan[9]", "fan[9]/x2", "fan[9]/x11", "fan[10]"]);
    }

    #[test]
    fn the_name_that_is_most_alike_is_offered_and_no_stranger() {
        let names = ["messages", "count", "notes"];
        for (wanted, found) in
            [("mesages", Some("messages")), ("Count", Some("count")), ("note", Some("notes")), ("weather", None)]
        {
            assert_eq!(nearest(wanted, names.into_iter()), found);
        }
    }
}
