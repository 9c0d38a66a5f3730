// Package corpus turns text into sequences of tokens to train on.
//
// [Prepare] takes a path: a text file, a folder of them, a token file, or nothing
// at all, which means the source tree of the Go installation (see [DefaultPath]).
// Text is tokenised once into a token file in a cache folder and found there
// afterwards. [NewDataset] cuts a token file into sequences, holds a part back
// for validation, and is the shard.Source that a trainer reads.
//
// # Token files
//
// The format is llm.c's: a header of 256 little-endian int32 (magic, version,
// number of tokens, zeros) and then the tokens, little-endian:
//
//	magic     version  token
//	20240520  1        uint16
//	20240801  7        uint32
//
// Files are read by mmap, so that all nodes of a machine share one copy in
// memory, and are trusted only after magic, version, size and largest token have
// been checked. They are written beside their place and renamed into it.
//
// # From text to tokens
//
// A folder's documents are its regular files, without hidden files and folders,
// symbolic links, unreadable files and files that are not text: those with a NUL
// or with something that is not UTF-8 in their first 8 KiB. They are laid out in
// an order that is shuffled, with a fixed seed, from the order of their paths, so
// that the validation split, which is the end of the tokens, is a fair sample.
// Every document is followed by the tokenizer's end-of-text token.
//
// # The cache
//
// A cached token file is named after its source and a key: a SHA-256 of every
// file's path, size and modification time, of the tokenizer and of the version
// of these rules. So a start costs a walk of the tree and no reading of it, and
// an edit that keeps both size and time goes unnoticed. Beside it lies a JSON
// manifest with the SHA-256 of the token file itself, which is verified whenever
// the file is used and, as the data digest, lets nodes make sure that they train
// on the same tokens. The manifest's time is when a run last took the entry: [List]
// tells of all, and what has not been used for long can be removed, as any of them
// can at any time.
//
// Read prepare.go first, then ingest.go; dataset.go stands by itself.
package corpus
