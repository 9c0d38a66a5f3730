// Package checkpoint saves the state of a run and finds it again.
//
// A checkpoint is a folder, root/step-00000050, that holds
//
//	model.safetensors      parameters under Hugging Face's names
//	config.json            the model's shape, as Hugging Face has it
//	optimizer.safetensors  the optimizer's state
//	manifest.json          run, spec, step, place in the data; sizes and checksums of the above
//
// [Save] writes it beside, under a temporary name, syncs it, and renames it, so
// that a folder under its final name is complete. Older ones are removed only
// after that.
//
// [Load] believes nothing: the manifest must match its own checksum, every file
// its size and SHA-256, the tensors the layout, and the specification's hash the
// one that is wanted. All of this happens before memory is allocated for a
// tensor. [Latest] takes the newest checkpoint that passes and says why it
// refused the newer ones.
//
// One process writes to a root at a time. Checkpoints of the same root may be
// read while another one is written.
package checkpoint
