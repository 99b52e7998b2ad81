//! Many rows in one statement: the round trip to SQLite's thread costs more than the row.

use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

/// A statement with its values bound.
pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The numbers of rows that statements are made for. Few, so that each is prepared once and then found in the cache; and
/// so many that hardly any batch needs one twice.
const ROWS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// Cuts `rows` into the pieces that statements are made for.
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// The SQL `before values (?, …), … after`, for `rows` rows of `columns` columns. Values are bound, never written into it.
pub(super) fn statement<'q>(before: &'static str, rows: usize, columns: usize, after: &'static str) -> Bound<'q> {
    sqlx::query(AssertSqlSafe(format!("{before} {}{after}", table(rows, columns))))
}

/// The SQL `values (?, …), …` for so many rows and columns.
pub(super) fn table(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("values {}", vec![row.as_str(); rows].join(","))
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_hold_every_row_once_in_order() {
        let rows: Vec<_> = (0..153).collect();
        let sizes: Vec<_> = pieces(&rows).map(<[_]>::len).collect();
        assert_eq!(sizes, [128, 16, 8, 1]);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }
}
