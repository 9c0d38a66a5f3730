// Package tensorboard writes a recorded run as an event file of TensorBoard, so
// that people who live there find Parallax's runs beside their others.
//
// [Export] writes a folder per run, as TensorBoard expects: losses, rates, the
// split of a step's time and the optimizer's settings as scalars over steps, and
// the run's specification and sentences as text.
//
// event.go holds the little of TensorBoard's messages that this takes, encoded
// field by field (tensorboard/compat/proto: event.proto, summary.proto,
// tensor.proto); file.go the framing that TensorFlow calls TFRecord.
package tensorboard
