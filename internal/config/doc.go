// Package config holds the run specification and reads it strictly.
//
// A [Spec] is everything that decides what a run computes. [Load] builds it from
// four layers, each over the one before:
//
//	defaults.toml, then a preset      "default", "preset small"
//	a TOML file                       "run.toml:12"
//	PARALLAX_MODEL_LAYERS=4           "environment PARALLAX_MODEL_LAYERS"
//	--set model.layers=4              "--set"
//
// and remembers of every value where it came from. All layers pass the same
// check: an unknown key, a wrong type, 1.9 for an integer or a key given twice
// is an [Error] of one sentence that shows the line and suggests the nearest
// key. Nothing is ignored and nothing is rounded. A file may begin with
//
//	preset = "small"
//
// Then [Validate] checks ranges and consistency. [Canonical] writes a Spec in
// one fixed form, whose SHA-256 is the [Hash] that names the run; [Diff] says in
// which keys two specs differ.
//
// How a run is deployed (addresses, devices, directories, the failure timeout)
// is not part of the Spec: the daemons read such settings by [Daemon], where
// viper merges flags, environment and file.
//
// # Where next
//
// spec.go for the keys, presets/ for the presets, load.go for the layers.
package config
