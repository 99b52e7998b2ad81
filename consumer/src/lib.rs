//! The consumer: journal to store, rows and position in one transaction.
