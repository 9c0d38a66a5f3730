// Package tokenizer turns text into token ids and back, behind one small
// interface. `bytes` needs no vocabulary; the byte-pair encodings of GPT-2
// (r50k_base), GPT-4 (cl100k_base) and GPT-4o (o200k_base) are those of
// github.com/tiktoken-go/tokenizer, which carries their tables in the binary, so
// that nothing is downloaded.
//
// Special tokens that occur in the text as text (a file that says
// "<|endoftext|>") are encoded as ordinary text; the end-of-text id is only ever
// put between documents by whoever lays them out, see shard/corpus. The byte-pair
// encodings read bytes that are not UTF-8 as U+FFFD.
package tokenizer
