//! Structs that are read from rows: each field from the column of its name.

/// Defines a struct and how it is read from a row of either database, as `#[derive(sqlx::FromRow)]` would. That derive is
/// not used because sqlx's macros depend on its drivers: PostgreSQL's, SQLite's and all below them would be compiled a
/// second time. Fields after `besides` have no column and begin with their default.
macro_rules! from_row {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$column_meta:meta])* $column_vis:vis $column:ident: $type:ty,)*
        }
        $(besides {
            $($(#[$other_meta:meta])* $other_vis:vis $other:ident: $other_type:ty,)*
        })?
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$column_meta])* $column_vis $column: $type,)*
            $($($(#[$other_meta])* $other_vis $other: $other_type,)*)?
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)*
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($column: row.try_get(stringify!($column))?,)*
                    $($($other: Default::default(),)*)?
                })
            }
        }
    };
}
pub(crate) use from_row;
