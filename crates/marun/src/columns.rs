//! Cells in columns, for people. What stands in them, and where the lines go, is the business of who asks.

/// The header and the rows as lines, two blanks between the columns; no line ends in blanks.
pub(crate) fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![line(&header.map(str::to_owned), &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths);
    let cells: Vec<_> = cells
        .map(|(cell, &width)| format!("{cell:<width$}"))
        .collect();
    cells.join("  ").trim_end().to_owned()
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
    }
}
