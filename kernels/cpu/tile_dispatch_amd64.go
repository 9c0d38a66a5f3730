package cpu

// The micro-kernels by number of vectors and of rows, less one each.
var (
	tilesAVX512 = [2][12]func(*tile){
		{tile1x16AVX512, tile2x16AVX512, tile3x16AVX512, tile4x16AVX512, tile5x16AVX512, tile6x16AVX512,
			tile7x16AVX512, tile8x16AVX512, tile9x16AVX512, tile10x16AVX512, tile11x16AVX512, tile12x16AVX512},
		{tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512, tile6x32AVX512,
			tile7x32AVX512, tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512, tile12x32AVX512},
	}
	tilesAVX2 = [2][6]func(*tile){
		{tile1x8AVX2, tile2x8AVX2, tile3x8AVX2, tile4x8AVX2, tile5x8AVX2, tile6x8AVX2},
		{tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2},
	}
)

func tileAVX512(t *tile) { tilesAVX512[(t.n-1)/16][t.m-1](t) }

func tileAVX2(t *tile) { tilesAVX2[(t.n-1)/8][t.m-1](t) }
