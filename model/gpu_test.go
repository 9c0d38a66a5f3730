//go:build cuda

package model

import (
	"parallax/kernels"
	_ "parallax/kernels/cuda"
)

func init() {
	be, err := kernels.Open("cuda:0", kernels.Options{})
	if err != nil {
		return // a host without a GPU
	}
	be.Close()
	devices["cuda:0"] = 1e-2 // of bfloat16
}
