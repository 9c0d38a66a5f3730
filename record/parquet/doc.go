// Package parquet writes a recorded run as Apache Parquet, for data frames and
// query engines, and reads it back without loss.
//
// A run is a folder with one file per table of the ledger: runs.parquet (one row),
// steps.parquet and so on. Columns have the ledger's names, in alphabetical order.
// What is no number is null, and so is a time that there is none of; times are
// nanoseconds since 1970 in UTC.
//
// Files are written by a library, and read by the few hundred lines here, which know
// what [Export] writes and nothing else: one level of columns, data pages of version
// 2, Zstandard, plain numbers and texts behind their lengths. Every length and count
// is held against the file's size before memory is taken for it, so that a file made
// to do harm is refused, whatever it says of itself.
//
// compact.go reads metadata, footer.go says where everything is, page.go and
// delta.go read values.
package parquet
