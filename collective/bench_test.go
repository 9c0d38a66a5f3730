package collective

import "testing"

// BenchmarkAdd reports how fast the adders are on a chunk in the cache.
func BenchmarkAdd(b *testing.B) {
	const n = DefaultChunkBytes / 4
	f, g, h := make([]float32, n), make([]float32, n), make([]float32, n)
	k, l, m := make([]int32, n), make([]int32, n), make([]int32, n)
	u, v := make([]uint16, n), make([]uint16, n)
	for name, add := range map[string]func(){
		"f32":    func() { addF32(f, g, h) },
		"i32":    func() { addI32(k, l, m) },
		"bf16":   func() { addBF16(u, v, h) },
		"wide":   func() { addWide(f, v, h) },
		"narrow": func() { narrow(u, h) },
		"widen":  func() { widen(f, u) },
		"copy":   func() { copy(f, g) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				add()
			}
		})
	}
}
