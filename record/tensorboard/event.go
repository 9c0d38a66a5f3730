package tensorboard

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// version is what the first event of a file says, which readers check.
const version = "brain.Event:2"

// event encodes tensorboard.Event. Of fileVersion and summary, one is not empty.
func event(at time.Time, step int64, fileVersion string, summary []byte) []byte {
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.Fixed64Type) // wall_time, seconds since 1970
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixNano())/1e9))
	b = protowire.AppendTag(b, 2, protowire.VarintType) // step
	b = protowire.AppendVarint(b, uint64(step))
	if fileVersion != "" {
		b = protowire.AppendTag(b, 3, protowire.BytesType) // file_version
		return protowire.AppendString(b, fileVersion)
	}
	b = protowire.AppendTag(b, 5, protowire.BytesType) // summary
	return protowire.AppendBytes(b, summary)
}

// appendScalar adds a tensorboard.Summary.Value with simple_value to a Summary.
func appendScalar(summary []byte, tag string, value float64) []byte {
	var v []byte
	v = protowire.AppendTag(v, 1, protowire.BytesType) // tag
	v = protowire.AppendString(v, tag)
	v = protowire.AppendTag(v, 2, protowire.Fixed32Type) // simple_value
	v = protowire.AppendFixed32(v, math.Float32bits(float32(value)))
	return appendMessage(summary, 1, v)
}

// appendText adds a value for the text plugin: a string tensor of one element,
// Markdown.
func appendText(summary []byte, tag, markdown string) []byte {
	var dimension, shape, tensor, plugin, metadata, v []byte
	dimension = protowire.AppendTag(dimension, 1, protowire.VarintType) // TensorShapeProto.Dim.size
	dimension = protowire.AppendVarint(dimension, 1)
	shape = appendMessage(shape, 2, dimension)

	tensor = protowire.AppendTag(tensor, 1, protowire.VarintType) // dtype
	tensor = protowire.AppendVarint(tensor, 7)                    // DT_STRING
	tensor = appendMessage(tensor, 2, shape)
	tensor = appendMessage(tensor, 8, []byte(markdown)) // string_val

	plugin = appendMessage(plugin, 1, []byte("text")) // plugin_name
	metadata = appendMessage(metadata, 1, plugin)
	metadata = protowire.AppendTag(metadata, 4, protowire.VarintType) // data_class
	metadata = protowire.AppendVarint(metadata, 2)                    // DATA_CLASS_TENSOR

	v = appendMessage(v, 1, []byte(tag))
	v = appendMessage(v, 8, tensor)
	v = appendMessage(v, 9, metadata)
	return appendMessage(summary, 1, v)
}

// appendMessage adds a field of length and bytes.
func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}
