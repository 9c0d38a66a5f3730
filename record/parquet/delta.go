package parquet

// maxBlock is how many values a block of deltas has at most.
const maxBlock = 1 << 16

// deltas reads n integers that are packed as differences in blocks of equal length,
// each of some miniblocks with a bit width of its own (the format's
// DELTA_BINARY_PACKED), and returns what comes behind them.
func deltas(data []byte, n int) (all []int64, rest []byte, err error) {
	c := compact{data: data}
	block, minis, total, last := c.unsigned(), c.unsigned(), c.unsigned(), c.signed()
	if c.err != nil || total != uint64(n) || block == 0 || block > maxBlock || minis == 0 || block%minis != 0 || block/minis%8 != 0 {
		return nil, nil, errPage
	}
	all = make([]int64, 0, n)
	if n > 0 {
		all = append(all, last)
	}
	for len(all) < n {
		least := c.signed()
		widths := c.take(minis)
		for _, width := range widths {
			if len(all) == n {
				break // those that are not needed have no data
			}
			each := block / minis
			packed := c.take(each / 8 * uint64(width))
			if c.err != nil || width > 64 {
				return nil, nil, errPage
			}
			for i := uint64(0); i < each && len(all) < n; i++ {
				last += least + int64(bitsAt(packed, i*uint64(width), uint64(width)))
				all = append(all, last)
			}
		}
		if c.err != nil {
			return nil, nil, errPage
		}
	}
	return all, c.data, nil
}

// bitsAt is the number of so many bits at a place, the lowest bit first.
func bitsAt(data []byte, at, width uint64) (x uint64) {
	for got := uint64(0); got < width; {
		shift := (at + got) % 8
		take := min(8-shift, width-got)
		piece := uint64(data[(at+got)/8]>>shift) & (1<<take - 1)
		x |= piece << got
		got += take
	}
	return x
}
