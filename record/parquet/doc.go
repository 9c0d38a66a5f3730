// Package parquet writes a recorded run as Apache Parquet, for data frames and
// query engines, and reads it back without loss.
//
// A run is a folder with one file per table of the ledger: runs.parquet (one row),
// steps.parquet and so on. Columns have the ledger's names, in alphabetical order.
// What is no number is null, and so is a time that there is none of; times are
// nanoseconds since 1970 in UTC.
//
// The library that decodes Parquet is not hardened: a file made to do harm can have
// it take more memory than there is. JSON lines are what to take from strangers.
package parquet
