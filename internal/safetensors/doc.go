// Package safetensors reads and writes files of named tensors in the format of
// that name: an unsigned 64-bit length (little-endian), a JSON header of that
// many bytes, and the tensors' bytes end to end (huggingface/safetensors,
// "Format"). The header gives for each tensor its dtype, its shape and its place
// in the data, and may hold strings under "__metadata__".
//
// Files come from strangers, so [Open] checks everything that the header claims
// before anything is allocated for it: lengths against the file's size, places
// against the dtype and shape, no gap, no overlap, no name twice. Tensors are
// read piece by piece into the caller's memory, see [Read]; a file is never held
// whole.
//
// [WriteFile] streams tensors to a temporary file, takes the SHA-256 on the way,
// and renames it into place, so that a file under its name is complete.
package safetensors
