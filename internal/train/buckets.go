package train

// span is the elements [lo, hi) of the flat gradient.
type span struct{ lo, hi int }

const (
	minBucket = 64 << 10 // elements: smaller buckets are all latency
	maxBucket = 4 << 20
)

// cutBuckets divides a flat gradient of size elements into the buckets that go
// round the ring one after the other: from the end, where backward begins, to
// the beginning. The cut depends on the size alone, so all ranks agree on it.
func cutBuckets(size int) []span {
	width := min(max(size/8, minBucket), maxBucket)
	var buckets []span
	for hi := size; hi > 0; hi -= width {
		buckets = append(buckets, span{max(0, hi-width), hi})
	}
	return buckets
}
