//! A table for the terminal.

/// Rows of equal length; the first is the heading.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    /// The text: the first column to the left, the others to the right.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let fill = " ".repeat(width - cell.chars().count());
                match column {
                    0 => line.extend([cell.as_str(), &fill]),
                    _ => line.extend(["  ", &fill, cell]),
                }
            }
            text.extend([line.trim_end(), "\n"]);
            if index == 0 {
                let width = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
                text.extend([&"-".repeat(width), "\n"]);
            }
        }
        text
    }
}

/// `38,700`: a number rounded to a whole one, in groups of three digits.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "rate"]);
        table.row(&["echo", "71,500"]);
        table.row(&["checks", "9"]);
        assert_eq!(
            table.render(),
            "what      rate\n--------------\necho    71,500\nchecks       9\n"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0.0, "0"),
            (999.6, "1,000"),
            (71_499.9, "71,500"),
            (1_234_567.0, "1,234,567"),
            (-1_500.0, "-1,500"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
