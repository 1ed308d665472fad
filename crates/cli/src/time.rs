//! Points in time for people: UTC, to the second.

/// `2026-11-30 09:15:02`.
pub(crate) fn utc(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The date of a day since 1970-01-01, in the calendar that begins its years in March: there the leap day is the last.
fn date(day: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097; // days of 400 years
    let day = day + 719_468; // since 0000-03-01
    let (cycle, day) = (day / CYCLE, day % CYCLE);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (number, day) = ((month + 2) % 12 + 1, day - (153 * month + 2) / 5 + 1);
    (cycle * 400 + year + u64::from(number <= 2), number, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_written_as_people_write_them() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_709_251_199_999), "2024-02-29 23:59:59");
        assert_eq!(utc(1_796_030_102_000), "2026-11-30 09:15:02");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00");
    }
}
