//! Tables with aligned columns.

/// Returns the header and the rows as lines, with two spaces between columns and no trailing
/// spaces. A cell may have any length.
pub(crate) fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    aligned_some(header, rows, |_| true)
}

/// The same with some of the columns, which are chosen by their index.
pub(crate) fn aligned_some<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    is_shown: impl Fn(usize) -> bool,
) -> Vec<String> {
    let shown: Vec<usize> = (0..N).filter(|index| is_shown(*index)).collect();
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![line(&header.map(str::to_owned), &widths, &shown)];
    lines.extend(rows.iter().map(|row| line(row, &widths, &shown)));
    lines
}

/// Returns one line. All cells but the last are padded, without a format string, whose width has at
/// most 16 bits.
fn line<const N: usize>(cells: &[String; N], widths: &[usize; N], shown: &[usize]) -> String {
    let mut line = String::new();
    for index in shown {
        let (cell, width) = (&cells[*index], widths[*index]);
        line.push_str(cell);
        if shown.last() != Some(index) {
            let blanks = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [["ä", "1"], ["longer", ""]].map(|row| row.map(str::to_owned));
        let lines = aligned(["NAME", "N"], &rows);
        assert_eq!(lines, ["NAME    N", "ä       1", "longer"]);
        assert_eq!(aligned(["NAME"], &[]), ["NAME"]);
        let lines = aligned_some(["NAME", "N"], &rows, |index| index == 0);
        assert_eq!(lines, ["NAME", "ä", "longer"]);
    }

    #[test]
    fn a_cell_may_be_of_any_length() {
        let long = "x".repeat(70_000);
        let rows = [[long.as_str(), "1"], ["a", &long]].map(|row| row.map(str::to_owned));
        let lines = aligned(["NAME", "N"], &rows);
        assert_eq!(lines[1], format!("{long}  1"));
        assert_eq!(lines[2], format!("a{}{long}", " ".repeat(70_001)));
    }
}
