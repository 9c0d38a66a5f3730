//go:build cuda

package cuda

import "testing"

func TestSizeClass(t *testing.T) {
	for _, c := range []struct{ bytes, want int64 }{
		{0, 512}, {1, 512}, {512, 512}, {513, 1024}, {4096, 4096}, {4097, 4608}, {1 << 20, 1 << 20},
		{1<<20 + 1, 1<<20 + 1<<17}, {100 << 20, 100 << 20}, {100<<20 + 1, 102 << 20}, {1 << 50, 1 << 50},
	} {
		if got := sizeClass(c.bytes); got != c.want {
			t.Errorf("sizeClass(%d) = %d, want %d", c.bytes, got, c.want)
		}
	}
	for n := int64(1); n < 1<<40; n = n*3/2 + 1 {
		class := sizeClass(n)
		if class < n || class > n+max(512, n/8) || sizeClass(class) != class {
			t.Errorf("sizeClass(%d) = %d, whose class is %d: want at most an eighth more, and a fixed point", n, class, sizeClass(class))
		}
	}
}
