package cpu

import (
	"fmt"
	"testing"

	"parallax/kernels"
)

func BenchmarkHeadLoss(b *testing.B) {
	const rows, dim = 1024, 384
	for _, set := range availableSets() {
		for _, words := range []int{512, 50304} {
			b.Run(fmt.Sprintf("%s/rows=%d/words=%d/dim=%d", set.key, rows, words, dim), func(b *testing.B) {
				dev := openSet(set, 2)
				defer dev.Close()
				targets, err := dev.Alloc(kernels.I32, rows)
				if err != nil {
					b.Fatal(err)
				}
				op := kernels.HeadLoss{X: benchMat(b, dev, rows, dim), W: benchMat(b, dev, words, dim), Targets: targets,
					Loss: benchMat(b, dev, 1, rows).Buf, Scale: 1, DX: benchMat(b, dev, rows, dim), DW: benchMat(b, dev, words, dim)}
				measure(b, op.FLOPs(), func() { dev.HeadLoss(op) })
			})
		}
	}
}
