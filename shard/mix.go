package shard

// Mix hashes a seed and the coordinates of a stream (an epoch, a split and an
// index, ...) to the seed of that stream. Each word is absorbed by SplitMix64's
// output function (Steele, Lea and Flood 2014, OOPSLA), a bijection on 64 bits,
// so that neighbouring coordinates give unrelated streams.
func Mix(seed uint64, coordinates ...uint64) uint64 {
	h := finalise(seed)
	for _, c := range coordinates {
		h = finalise(h ^ finalise(c))
	}
	return h
}

// finalise is one step of SplitMix64 from state x.
func finalise(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
